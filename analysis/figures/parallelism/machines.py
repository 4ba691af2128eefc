"""What figures of training-time parallelism share: titles that name a machine, and lines of medians with quartiles."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.lines import draw_error_bars
from analysis.figures.style import Style


def draw_medians(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], scale: float = 1.0) -> None:
    """A line for each architecture, with bars between the quartiles where there are some.

    Args:
        axes: the panel.
        points: with the columns median, lower and upper.
        x: the column of the horizontal axis.
        looks: of the lines.
        scale: what the values are multiplied by.
    """
    low, high = (points[quartile].fillna(points["median"]) * scale for quartile in ("lower", "upper"))
    drawn = points.assign(mean=points["median"] * scale, low=low, high=high)
    draw_error_bars(axes, drawn, x, looks, markersize=3.5)
    axes.grid(True)


def machine_name(machine: Sequence[Any]) -> str:
    """What a panel's title says of device, processor, threads and precision."""
    device, processor, threads, precision = machine
    count = "" if device == "cuda" else f", {int(threads)} thread{'s' if threads > 1 else ''}"
    return f"{short_name(processor)}{count}, {precision}"


def short_name(processor: str) -> str:
    """A processor's name without core count, clock and trademark signs."""
    return re.sub(r"\((R|TM)\)|( \d+-Core)? Processor| CPU| @.*", "", processor)[:32].strip()
