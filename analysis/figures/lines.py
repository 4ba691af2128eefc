"""Lines of points with their intervals: as error bars or as bands, side by side so that equal lines do not hide."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from analysis.figures.panels import panel_width
from analysis.figures.style import CHANCE, Style, gid
from analysis.statistics.summaries import STOPPED, chances, seeds_phrase

MARKERS = 7  # along a line with a band


def each_line(points: pd.DataFrame, by: str, looks: dict[str, Style]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each name with its rows, in the order of legends."""
    for name in looks:
        rows = points[points[by] == name]
        if len(rows):
            yield name, rows


def from_middle(lines: int) -> list[float]:
    """Places of so many lines beside each other, 1 apart with 0 in their middle."""
    return [place - (lines - 1) / 2 for place in range(lines)]


def distance_apart(axes: Axes, points: pd.DataFrame, x: str, by: str = "arch") -> float:
    """Points of paper between neighbouring lines: a marker's width, less where lengths are close together."""
    return min(3.0, 0.45 * panel_width(axes) / points[x].nunique() / points[by].nunique())


def error_bars(axes: Axes, points: pd.DataFrame, x: str, shift: float = 0.0, **look: Any) -> None:
    """One line with error bars from `low` to `high` around `mean`.

    Args:
        axes: the panel.
        points: of the line.
        x: the column of the horizontal axis.
        shift: points of paper to the right, while the data stay as they are.
        look: keywords of matplotlib's errorbar.
    """
    points = points.sort_values(x)
    keywords: dict[str, Any] = {"elinewidth": 0.8, "markeredgewidth": 0, **look}
    if shift:
        keywords["transform"] = axes.transData + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
    bars = [(points["mean"] - points["low"]).clip(lower=0), (points["high"] - points["mean"]).clip(lower=0)]
    axes.errorbar(points[x], points["mean"], yerr=bars, **keywords)
    moved = {"transform": keywords["transform"]} if shift else {}
    ring_stopped(axes, points, x, color=keywords["color"], label=keywords["label"], **moved)


def ring_stopped(axes: Axes, points: pd.DataFrame, x: str, color: Any, label: str, **keywords: Any) -> None:
    """A ring around each point of a line behind which a trial stands that had not converged."""
    stopped = points[points[STOPPED] > 0] if STOPPED in points else points[:0]
    if len(stopped):
        axes.plot(
            stopped[x], stopped["mean"], linestyle="", marker="o", markersize=8.5, markerfacecolor="none",
            markeredgecolor=color, markeredgewidth=0.7, gid=gid(label, axes, STOPPED), **keywords,
        )  # fmt: skip


def draw_error_bars(
    axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], by: str = "arch", apart: float = 0.0,
    markersize: float = 4,
) -> None:  # fmt: skip
    """A line with error bars for each look; neighbouring lines stand `apart` points of paper from each other."""
    lines = list(each_line(points, by, looks))
    for place, (name, line) in zip(from_middle(len(lines)), lines, strict=True):
        error_bars(axes, line, x, place * apart, markersize=markersize, **looks[name].of_line())
    axes.grid(True, axis="y")


def draw_bands(
    axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], by: str = "arch", ringed: bool = False
) -> None:
    """A line with a band for each look; markers of neighbouring lines stand at different places.

    `ringed` marks the markers behind which a trial stands that had not converged.
    """
    lines = list(each_line(points, by, looks))
    for place, (name, line) in enumerate(lines):
        line = line.sort_values(x)
        every = max(1, len(line) // MARKERS)
        band = axes.fill_between(line[x], line["low"], line["high"], color=looks[name].color, alpha=0.12, linewidth=0)
        band.set_gid(gid(looks[name].name, axes, "band"))
        first = place * every // len(lines)
        axes.plot(
            line[x], line["mean"], markevery=(first, every), markeredgewidth=0,
            gid=gid(looks[name].name, axes, "line"), **looks[name].of_line(),
        )  # fmt: skip
        if ringed:
            ring_stopped(axes, line.iloc[first::every], x, looks[name].color, looks[name].name)
    axes.grid(True, axis="y")


def draw_chance(axes: Axes, results: pd.DataFrame, task: str, vocabulary: int, lengths: Iterable[int]) -> None:
    """What guessing without the source gets at lengths of a task; 1/vocabulary where a table does not say it."""
    known, lengths = chances(results), sorted(set(lengths))
    chance = [known.get((task, vocabulary, length), 1 / vocabulary) for length in lengths]
    if len(set(chance)) == 1:
        axes.axhline(chance[0], **CHANCE)
    else:
        axes.plot(lengths, chance, **CHANCE)


def spread_phrase(points: pd.DataFrame, one_seed: str = "one seed") -> str:
    """What points and error bars are, for a caption."""
    if points["seeds"].max() == 1:
        return f"{one_seed}, so without intervals"
    return f"means with 95% t intervals over seeds ({seeds_phrase(points)})"
