"""The figure of operations that have to follow each other, counted on the graph of a model."""

import pandas as pd

from analysis.figures.axes import doubling_axis, logarithmic_axis
from analysis.figures.chart import Chart
from analysis.figures.panels import legend, panels
from analysis.figures.parallelism.machines import draw_medians
from analysis.figures.registry import register
from analysis.figures.style import paper_style, styles
from analysis.tables.architectures import Architectures
from analysis.tables.schema import PARALLELISM

LABELS = {"sequential_depth": "Sequential depth (operations)", "path_length": "Maximum path (operations)"}


@register(
    "sequential_depth", "parallelism", 3,
    "Recurrent models rise with the length, the transformer does not: this is what can and cannot "
    "be done at the same time, on any machine.",
)  # fmt: skip
def depth_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Sequential depth and the maximum path length against length; no device is involved."""
    points = parallelism[parallelism["metric"].isin(list(LABELS))]
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    with paper_style():
        figure, [row] = panels(1, 2, height=2.4)
        for axes, (metric, label) in zip(row, LABELS.items(), strict=True):
            shown = points[points["metric"] == metric]
            draw_medians(axes, shown, "length", looks)
            doubling_axis(axes, shown["length"], "Length of source and target (tokens)", margin=0.06)
            logarithmic_axis(axes, shown["median"].min() / 1.5, shown["median"].max() * 1.5)
            axes.set_ylabel(label)
        legend(figure, list(looks.values()), columns=4)
    caption = (
        "Left: the longest chain of operations between a source embedding and the loss that have to follow each other. "
        "Right: the greatest number of operations on the shortest way between a source token and the loss at a target "
        "token. Counted exactly on the graph of the unfused model; the same on every device. Lines may coincide."
    )
    return Chart("sequential_depth", figure, points[PARALLELISM.names], caption)
