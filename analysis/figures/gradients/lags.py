"""Accuracy of recalling the first source token against the lag: what its figure and that of remedies share."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.axes import doubling_axis
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.style import Style

APART = 2.5  # points of paper between lines at the same lag
LOWEST = -0.05  # of the axis of accuracy, where horizons are marked


def draw_lags(
    axes: Axes, points: pd.DataFrame, looks: dict[str, Style], by: str = "arch", marked: pd.Series | None = None
) -> None:
    """Accuracy against lag with error bars, a line for each look, on an axis wide enough for lags marked on it."""
    draw_error_bars(axes, points, "lag", looks, by, APART)
    axes.set_ylim(LOWEST, 1.03)
    lags = points["lag"].clip(lower=1)
    doubling_axis(axes, lags, "Lag (tokens)", [*lags, *([] if marked is None else marked.dropna())])


def lag_spread(points: pd.DataFrame) -> str:
    """What points and bars of accuracy are, for a caption."""
    return spread_phrase(points) + (", cut at 0 and 1" if points["seeds"].max() > 1 else "")
