"""Small charts for the tests of the report."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.chart import Chart
from analysis.figures.style import gid, paper_style, styles
from analysis.tables.architectures import Architectures


def line_chart(name: str, archs=("LSTM", "GRU")) -> Chart:
    """A chart whose bands, drawn before all lines, come in another order than its lines."""
    looks = list(styles(archs, Architectures()).values())
    with paper_style():
        figure = Figure(figsize=(3.3, 2))
        axes = figure.subplots()
        for place, look in enumerate(looks):
            axes.errorbar([1, 2], [place, place + 1], yerr=0.1, **look.of_line())
        for look in reversed(looks):
            band = axes.fill_between([1, 2], 0, 1, color=look.color)
            band.set_gid(gid(look.name, axes, "band"))
        axes.axhline(0.5, label="chance")
    return Chart(name, figure, pd.DataFrame({"x": [1]}), "100% of x_1 & y.")


def rings(axes: Axes) -> list[list[float]]:
    """x, y of every ring in a panel, which marks a point behind which a trial had not converged."""
    ringed = [line for line in axes.lines if (line.get_gid() or "").endswith("stopped")]
    return [place for line in ringed for place in np.column_stack(line.get_data()).astype(float).tolist()]


def map_chart(name: str, cells: int) -> Chart:
    """A chart of cells x cells coloured cells."""
    with paper_style():
        figure = Figure(figsize=(6.9, 2))
        figure.subplots().pcolormesh(np.arange(cells * cells).reshape(cells, cells))
    return Chart(name, figure, pd.DataFrame({"x": [1]}), "A map.")
