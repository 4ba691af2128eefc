"""Figures against distance from the loss: gradient norms at the source embeddings, and Jacobians of the encoder."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.chart import Chart
from analysis.figures.gradients.norms import (
    ONE_PERCENT,
    UNCHANGED,
    Level,
    cut_phrase,
    draw_distances,
    few_lines,
    log_spread,
    norm_limits,
)
from analysis.figures.panels import label_leftmost, legend, panels, split_by
from analysis.figures.registry import register
from analysis.figures.style import Style, styles
from analysis.statistics.gradient_fits import WHEN
from analysis.statistics.gradient_norms import over_log_seeds, relative, without_remedies
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import LINE, curves, ends, longest
from analysis.tables.schema import EMBEDDING_GRADIENT, JACOBIAN

MOST_ROWS = 2  # of panels in a figure that shows every length


@register(
    "gradient_norm", "gradients", 1,
    "How steeply a line falls: a straight one loses the same share of the signal at every step.",
)  # fmt: skip
def gradient_norm_figure(gradients: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Gradient norm at the embeddings against distance, relative to that at the least distance."""
    points = _points(relative(_lengths_shown(without_remedies(ends(curves(gradients, EMBEDDING_GRADIENT))))))
    if points.empty:
        return None
    figure = _draw(points, styles(points["name"], architectures), "Gradient norm (relative)", ONE_PERCENT)
    caption = (
        "Norm of the gradient of the loss at one target position with respect to the embedding of a source token, "
        f"against the token's distance from the loss, relative to that at distance {points['distance'].min():.0f}. "
        f"A straight line is an exponential decay. {log_spread(points)}. {cut_phrase(points)}"
    )
    return Chart("gradient_norm", figure, points, caption.strip())


@register("jacobian", "gradients", 3, "Below the dotted line a state forgets; the steeper the faster.")
def jacobian_figure(gradients: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Largest singular value of the state's derivative against distance, recurrent encoders only."""
    points = _points(_lengths_shown(few_lines(ends(curves(gradients, JACOBIAN)))))
    if points.empty:
        return None
    figure = _draw(points, styles(points["name"], architectures), "Largest singular value", UNCHANGED)
    caption = (
        "Largest singular value of the derivative of the encoder's last state with respect to an earlier one, "
        "against the number of steps between them (Pascanu et al. 2013); recurrent encoders only. Below the dotted "
        f"line every change of the earlier state arrives smaller than it was. {log_spread(points)}. "
        f"{cut_phrase(points)}"
    )
    return Chart("jacobian", figure, points, caption.strip())


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    return over_log_seeds(rows, [*LINE, "name", "phase", "distance"])


def _lengths_shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Every length where they are few, otherwise the greatest of each task."""
    return rows if len(rows[["task", "length"]].drop_duplicates()) <= MOST_ROWS else longest(rows)


def _draw(points: pd.DataFrame, looks: dict[str, Style], label: str, level: Level) -> Figure:
    """A row of panels for each task and length, and a panel for each phase."""
    phases = [phase for phase in WHEN if phase in set(points["phase"])]
    groups = split_by(points, ["task", "length"])
    limits = norm_limits(points, level)
    figure, grid = panels(len(groups), len(phases), height=2.3)
    for ((task, length), of_length), row in zip(groups, grid, strict=True):
        for axes, phase in zip(row, phases, strict=True):
            shown = of_length[of_length["phase"] == phase]
            if shown.empty:
                axes.set_visible(False)
                continue
            draw_distances(axes, shown, looks, limits, level)
            label_leftmost(axes, label)
            axes.set_title(f"{task}, length {length}, {WHEN[phase]}", loc="left")
    legend(figure, list(looks.values()), [level.look])
    return figure
