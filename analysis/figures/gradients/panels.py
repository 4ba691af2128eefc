"""What the figures of gradient flow share: means over seeds, lines with bands, axes, and legends below the panels."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from analysis.figures.length.accuracy import GUIDE
from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, Style, gid
from analysis.statistics.gradient_fits import HORIZON_SHARE
from analysis.statistics.gradient_norms import without_remedies
from analysis.statistics.summaries import seeds_phrase

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


def few_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """All lines, or those without remedies where all would be too many for one panel."""
    return rows if rows["name"].nunique() <= MOST_LINES else without_remedies(rows)


def norm_limits(points: pd.DataFrame, level: Level) -> tuple[float, float]:
    """The ends of an axis of norms that shows a level and all norms but those far below the greatest."""
    most = max(points["mean"].max(), level.value)
    least = max(min(points["mean"].min(), level.value / 10), LEAST_SHOWN * most)
    return 0.5 * least, 4 * most


def draw_distances(axes: Axes, points: pd.DataFrame, looks: dict[str, Style], limits: tuple[float, float], level: Level,
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


def draw_bands(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], by: str = "name") -> None:
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


def each_line(points: pd.DataFrame, column: str, looks: dict[str, Style]) -> Iterator[tuple[str, pd.DataFrame]]:
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


def log_spread(points: pd.DataFrame, one_seed: str = " With one seed the band shows quartiles over sequences.") -> str:
    """What lines and bands are; the sentences end without a full stop."""
    least, most = points["seeds"].min(), points["seeds"].max()
    if most == 1:
        return f"One seed, so no interval over seeds.{one_seed}".rstrip(".")
    spread = f"Geometric means over {seeds_phrase(points)}; bands are 95% t intervals over seeds"
    return spread if least > 1 else f"{spread}.{one_seed}".rstrip(".")


def cut_phrase(points: pd.DataFrame) -> str:
    """Where lines leave the figure at its lower edge, the sentence that says so."""
    if points["mean"].min() >= LEAST_SHOWN * points["mean"].max():
        return ""
    return "Lines that reach the lower edge go on below it; the CSV has all of their points."
