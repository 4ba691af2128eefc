"""The figure of gradients while training: the total norm, and the share of steps that were clipped."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures.axes import logarithmic_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.gradients.norms import few_lines, log_spread
from analysis.figures.lines import draw_bands
from analysis.figures.panels import legend, panels
from analysis.figures.registry import register
from analysis.figures.style import styles
from analysis.statistics.gradient_norms import over_log_seeds, over_row_seeds
from analysis.statistics.summaries import PROPORTION
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import LINE, curves, longest


@register("training_norms", "gradients", 5, "Spikes are exploding gradients, and clipping is what holds them.")
def training_norms_figure(gradients: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Total gradient norm over training and the share of clipped steps."""
    by = [*LINE, "name", "quantity", "step"]
    norms = over_log_seeds(_training(gradients, "gradient_norm"), by)
    clipped = over_row_seeds(_training(gradients, "clipped"), by, PROPORTION)
    kinds = [(norms, "Gradient norm before clipping"), (clipped, "Share of steps clipped")]
    kinds = [(points, label) for points, label in kinds if len(points)]
    if not kinds:
        return None
    points = pd.concat([of_kind for of_kind, _ in kinds], ignore_index=True)
    looks = styles(points["name"], architectures)
    tasks = list(points["task"].unique())
    figure, grid = panels(len(tasks), len(kinds), height=2.1)
    for task, row in zip(tasks, grid, strict=True):
        for axes, (of_kind, label) in zip(row, kinds, strict=True):
            shown = of_kind[of_kind["task"] == task]
            if shown.empty:
                axes.set_visible(False)
                continue
            if of_kind is norms:
                _norm_axis(axes, shown)
            else:
                proportion_axis(axes)
            draw_bands(axes, shown, "step", looks, by="name", ringed=True)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.set_xlabel("Training step")
            axes.set_ylabel(label)
            axes.set_title(f"{task}, length {shown['length'].max()}", loc="left")
    legend(figure, list(looks.values()))
    one_seed = " With one seed the band of the norm runs from its least to its greatest since the point before."
    caption = (
        "Norm of the gradient over all parameters before clipping, averaged over the steps since the point before, "
        f"and the share of steps whose norm was clipped. {log_spread(points, one_seed)}; shares have arithmetic means."
    )
    return Chart("training_norms", figure, points, caption)


def _training(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity at the greatest length of each task; infinite norms have no place on an axis."""
    rows = few_lines(longest(curves(table, quantity)))
    rows = rows[np.isfinite(rows["mean"].astype(float))]
    return rows.drop_duplicates([*LINE, "seed", "step"], keep="last")


def _norm_axis(axes: Axes, points: pd.DataFrame) -> None:
    """An axis that the lines decide: a band of few seeds that differ spans many decades."""
    least, most = points["mean"].min(), points["mean"].max()
    ticks = MaxNLocator(5) if most < 10 * least else LogLocator(subs=(1, 2, 5), numticks=8)
    logarithmic_axis(axes, least / 3, most * 3, ticks, label="{x:g}")
