"""What the figures of gradient flow share: means over seeds, lines with bands, axes, and legends below the panels."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from analysis.figures.length.accuracy import GUIDE
from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, Style, gid
from analysis.statistics.gradient_fits import FLOAT_FLOOR, HORIZON_SHARE
from analysis.statistics.intervals import mean_interval
from analysis.statistics.summaries import seeds_phrase
from analysis.tables.frames import Frame
from analysis.tables.gradient_tables import LINE

WIDTHS = {1: COLUMN_WIDTH, 2: TEXT_WIDTH}  # of a figure with so many panels in a row
MOST_LINES = 8  # in one panel
MARKERS = 7  # along a line
LEAST_SHOWN = 1e-10  # norms below it, relative to the greatest, leave the figure; else one RNN would flatten the rest


class Level(NamedTuple):
    """A horizontal line that is no measurement, and how it looks."""

    value: float
    look: dict[str, Any]


ONE_PERCENT = Level(HORIZON_SHARE, {**GUIDE, "linestyle": ":", "label": "1%"})
UNCHANGED = Level(1.0, {**GUIDE, "linestyle": ":", "label": "no change in size"})


def without_remedies(rows: Frame, column: str = "name") -> Frame:
    """The lines but those of variants whose baseline is there too; the figure of remedies shows these."""
    names = set(rows[column])
    classes = [name.partition(" [")[0] for name in rows[column]]
    kept = [name == own or own not in names for name, own in zip(rows[column], classes, strict=True)]
    return rows[np.array(kept, dtype=bool)]


def few_lines(rows: Frame) -> Frame:
    """All lines, or those without remedies where all would be too many for one panel."""
    return rows if rows["name"].nunique() <= MOST_LINES else without_remedies(rows)


def relative(rows: Frame, to: Literal["first", "max"] = "first") -> Frame:
    """Norms relative to that at the least distance of their seed, or to the greatest; without one, left out."""
    rows = rows.sort_values("distance")
    one = rows.groupby([*LINE, "seed", "phase"])["mean"].transform(to)
    divided = rows.assign(**{column: rows[column] / one for column in ("mean", "low", "high")})
    return divided[one > FLOAT_FLOOR]


def over_log_seeds(rows: Frame, by: list[str]) -> Frame:
    """Geometric mean over seeds with its 95% t interval: columns `by`, mean, low, high, seeds.

    With one seed low and high are those of its row: quartiles over sequences for norms by distance.
    """
    logarithms = rows.assign(mean=np.log(np.maximum(rows["mean"].astype(float), np.finfo(float).tiny)))
    points = over_row_seeds(logarithms, by)
    several = points["seeds"] > 1
    points["mean"] = np.exp(points["mean"])
    points.loc[several, ["low", "high"]] = np.exp(np.minimum(points.loc[several, ["low", "high"]], 700.0))
    return points


def over_row_seeds(rows: Frame, by: list[str], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Frame:
    """Mean over seeds with its 95% t interval cut at the bounds; with one seed low and high are those of its row."""
    points = []
    for key, group in rows.groupby(by):
        if len(group) == 1:
            points.append([*key, *group[["mean", "low", "high"]].iloc[0], 1])
        else:
            points.append([*key, *mean_interval(group["mean"].to_numpy(float)).clipped(*bounds)])
    return pd.DataFrame(points, columns=[*by, "mean", "low", "high", "seeds"])


def norm_limits(points: Frame, level: Level) -> tuple[float, float]:
    """The ends of an axis of norms that shows a level and all norms but those far below the greatest."""
    most = max(points["mean"].max(), level.value)
    least = max(min(points["mean"].min(), level.value / 10), LEAST_SHOWN * most)
    return 0.5 * least, 4 * most


def draw_distances(axes: Axes, points: Frame, looks: dict[str, Style], limits: tuple[float, float], level: Level,
                   by: str = "name") -> None:  # fmt: skip
    """Norms on a logarithmic axis against distance; a straight line is an exponential decay."""
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.axhline(level.value, **level.look)
    draw_bands(axes, points, "distance", looks, by)
    axes.set_xlabel("Distance from the loss (steps)")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())


def draw_bands(axes: Axes, points: Frame, x: str, looks: dict[str, Style], by: str = "name") -> None:
    """A line with a band for each look; markers of neighbouring lines stand at different places."""
    lines = list(each_line(points, by, looks))
    for place, (name, own) in enumerate(lines):
        own = own.sort_values(x)
        every = max(1, len(own) // MARKERS)
        band = axes.fill_between(own[x], own["low"], own["high"], color=looks[name].color, alpha=0.12, linewidth=0)
        band.set_gid(gid(looks[name].name, axes, "band"))
        axes.plot(
            own[x], own["mean"], markevery=(place * every // len(lines), every), markeredgewidth=0,
            gid=gid(looks[name].name, axes, "line"), **looks[name].of_line(),
        )  # fmt: skip
    axes.grid(True, axis="y")


def each_line(points: Frame, column: str, looks: dict[str, Style]) -> Iterator[tuple[str, Frame]]:
    """Each name with its rows, in the order of legends."""
    for name in looks:
        own = points[points[column] == name]
        if len(own):
            yield name, own


def legend(figure: Figure, looks: Sequence[Style], guides: Sequence[dict[str, Any]] = ()) -> None:
    """A legend below the panels, which keep their height."""
    handles = [Line2D([], [], markeredgewidth=0, **look.of_line()) for look in looks]
    handles += [Line2D([], [], **guide) for guide in guides]
    labels = [wrapped(str(handle.get_label())) for handle in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    # Inches of an entry and of the space behind it, and of a line of text, at the size of legends.
    columns = max(1, min(4, int((figure.get_figwidth() + 0.2) / (0.63 + 0.0575 * longest))))
    lines = -(-sum(label.count("\n") + 1 for label in labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.16 * max(0, lines - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)


def wrapped(name: str, width: int = 24) -> str:
    """A name on lines of at most so many letters, where it has spaces."""
    return textwrap.fill(name, width, break_long_words=False)


def log_spread(points: Frame, one_seed: str = " With one seed the band shows quartiles over sequences.") -> str:
    """What lines and bands are; the sentences end without a full stop."""
    least, most = points["seeds"].min(), points["seeds"].max()
    if most == 1:
        return f"One seed, so no interval over seeds.{one_seed}".rstrip(".")
    spread = f"Geometric means over {seeds_phrase(points)}; bands are 95% t intervals over seeds"
    return spread if least > 1 else f"{spread}.{one_seed}".rstrip(".")


def cut_phrase(points: Frame) -> str:
    """Where lines leave the figure at its lower edge, the sentence that says so."""
    if points["mean"].min() >= LEAST_SHOWN * points["mean"].max():
        return ""
    return "Lines that reach the lower edge go on below it; the CSV has all of their points."
