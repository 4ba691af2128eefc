"""Gradient norms on a logarithmic axis, against distance from the loss: what several figures share."""

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures.axes import logarithmic_axis
from analysis.figures.lines import draw_bands
from analysis.figures.style import Style, guide
from analysis.statistics.gradient_fits import HORIZON_SHARE
from analysis.statistics.gradient_norms import without_remedies
from analysis.statistics.summaries import seeds_phrase

MOST_LINES = 8  # in one panel
LEAST_SHOWN = 1e-10  # norms below it, relative to the greatest, leave the figure; else one RNN would flatten the rest


class Level(NamedTuple):
    """A horizontal line that is no measurement, and how it looks."""

    value: float
    look: dict[str, Any]


ONE_PERCENT = Level(HORIZON_SHARE, guide("1%"))
UNCHANGED = Level(1.0, guide("no change in size"))


def few_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """All lines, or those without remedies where all would be too many for one panel."""
    return rows if rows["name"].nunique() <= MOST_LINES else without_remedies(rows)


def norm_limits(points: pd.DataFrame, level: Level) -> tuple[float, float]:
    """The ends of an axis of norms that shows a level and all norms but those far below the greatest."""
    most = max(points["mean"].max(), level.value)
    least = max(min(points["mean"].min(), level.value / 10), LEAST_SHOWN * most)
    return 0.5 * least, 4 * most


def draw_distances(
    axes: Axes, points: pd.DataFrame, looks: dict[str, Style], limits: tuple[float, float], level: Level,
    by: str = "name",
) -> None:  # fmt: skip
    """Norms on a logarithmic axis against distance; a straight line is an exponential decay."""
    logarithmic_axis(axes, *limits, LogLocator(numticks=7))
    axes.axhline(level.value, **level.look)
    draw_bands(axes, points, "distance", looks, by, ringed=True)
    axes.set_xlabel("Distance from the loss (steps)")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def log_spread(points: pd.DataFrame, one_seed: str = " With one seed the band shows quartiles over sequences.") -> str:
    """What lines and bands are, for a caption; the sentences end without a full stop."""
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
