"""Every figure of gradient flow: how much of the learning signal reaches a source token, by its distance."""

import pandas as pd

from analysis.figures.chart import Chart
from analysis.figures.gradients.distance import gradient_norm_figure, jacobian_figure
from analysis.figures.gradients.recall import accuracy_by_lag_figure
from analysis.figures.gradients.remedies import remedies_figure
from analysis.figures.gradients.training import gradient_heatmap_figure, training_norms_figure


def gradient_charts(table: pd.DataFrame, results: pd.DataFrame | None = None) -> list[Chart]:
    """Every figure of gradient flow that there are numbers for; `results` is the tidy table of trials, if any."""
    charts = [
        gradient_norm_figure(table),
        gradient_heatmap_figure(table),
        jacobian_figure(table),
        None if results is None else accuracy_by_lag_figure(results, table),
        training_norms_figure(table),
        remedies_figure(table, results),
    ]
    return [chart for chart in charts if chart is not None]
