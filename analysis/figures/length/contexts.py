"""The figure of fixed contexts of different kinds: what each carries, by how many numbers it holds."""

import pandas as pd

from analysis.figures.axes import length_axis
from analysis.figures.chart import Chart
from analysis.figures.length.capacity import capacity_points
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import legend, panels
from analysis.figures.registry import register
from analysis.figures.style import guide, paper_style, styles
from analysis.statistics.summaries import by_setting
from analysis.tables.architectures import Architectures

PRESENTED = guide("most bits presented")
LABELS = ("Most bits recovered (a sequence)", "Bits a number of the context")


@register(
    "capacity_by_context",
    "bottleneck",
    3,
    "What a number of the context is worth: the size of the state against its kind.",
)
def context_figure(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Most bits recovered against the numbers that a fixed context holds, and the bits for each of these numbers.

    None unless contexts of two sizes or more were run.

    Args:
        results: the tidy table, variants told apart or not.
        trials: one row a complete trial, with its `hidden_size` and `context_size`.
        architectures: what they say of themselves.
    """
    points = capacity_points(results, trials).dropna(subset="context_size")
    if points["context_size"].nunique() < 2:
        return None
    looks = styles(points["arch"], architectures)
    settings = by_setting(points)
    with paper_style():
        figure, grid = panels(len(settings), 2, height=2.4)
        for row, (setting, shown) in zip(grid, settings, strict=True):
            numbers = shown["context_size"]
            for axes, divisor, label in zip(row, (1, numbers), LABELS, strict=True):
                bits = shown[["mean", "low", "high"]].div(divisor, axis=0)
                draw_error_bars(axes, pd.concat([shown.drop(columns=list(bits)), bits], axis=1), "context_size", looks)
                length_axis(axes, numbers.astype(int), "Numbers in the context")
                axes.set_ylabel(label)
                axes.margins(y=0.1)
                axes.set_ylim(bottom=min(0, bits["mean"].min()))
            row[0].axhline(shown["presented"].max(), **PRESENTED)
            row[0].set_ylim(top=1.05 * shown[["high", "mean", "presented"]].max().max())
            row[0].set_title(str(setting), loc="left")
        legend(figure, list(looks.values()), [PRESENTED])
    caption = (
        "The most bits a sequence that a fixed context carried at any length, against how many numbers it holds "
        f"(left), and the same divided by that number (right); {spread_phrase(points)}. At the dotted line everything "
        "presented arrived: such a context may hold more."
    )
    return Chart("capacity_by_context", figure, points.reset_index(drop=True), caption)
