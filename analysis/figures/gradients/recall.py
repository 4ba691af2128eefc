"""The figure of accuracy of recalling the first source token, beside how far the gradient reaches."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.axes import doubling_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, each_line, spread_phrase
from analysis.figures.panels import label_leftmost, legend, split_by, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import CHANCE, Style, styles
from analysis.statistics.gradient_fits import fits
from analysis.statistics.gradient_norms import RECALL, lag_points, without_remedies
from analysis.statistics.summaries import TASK, task_name
from analysis.tables.architectures import Architectures

APART = 2.5  # points of paper between lines at the same lag
LOWEST = -0.05  # of the axis of accuracy, where horizons are marked
HORIZON = {"color": "#707070", "linestyle": "", "marker": "o", "markerfacecolor": "white", "label": "effective horizon"}


@register(
    "accuracy_by_lag", "gradients", 4,
    "How long a model remembers: the lag at which each line leaves the top. Compare it with the "
    "effective horizon of its gradient.",
)  # fmt: skip
def accuracy_by_lag_figure(
    results: pd.DataFrame, gradients: pd.DataFrame, architectures: Architectures
) -> Chart | None:
    """Accuracy of recalling the first source token against how many tokens follow it, a panel a vocabulary."""
    points = lag_points(results)
    if points.empty:
        return None
    points = without_remedies(points, "arch").reset_index(drop=True)
    horizons = _trained_horizons(gradients, architectures)
    points["trained_horizon_lag"] = points["arch"].map(horizons).astype(float)
    looks = styles(points["arch"], architectures)
    figure, cells = wrapped_panels(split_by(points, TASK), 2, height=2.2)
    for axes, ((task, vocabulary), shown) in cells:
        axes.axhline(1 / vocabulary, **CHANCE)
        draw_lags(axes, shown, looks, marked=shown["trained_horizon_lag"])
        _mark_horizons(axes, shown, looks)
        label_leftmost(axes, "Greedy token accuracy")
        axes.set_title(task_name(task, vocabulary), loc="left")
    guides = [CHANCE, HORIZON] if points["trained_horizon_lag"].notna().any() else [CHANCE]
    legend(figure, list(looks.values()), guides)
    caption = (
        "Greedy accuracy of naming the first source token against the lag, the number of tokens that follow it; "
        f"{lag_spread(points)}. Models trained at several lengths are tested at their "
        "own. An open marker on the axis is the effective horizon after training, the lag at which the gradient has "
        "fallen to 1% of that of the last token; lines without one stay above 1% or were not measured. "
        "Points of one lag are drawn side by side."
    )
    return Chart("accuracy_by_lag", figure, points, caption)


def _mark_horizons(axes: Axes, points: pd.DataFrame, looks: dict[str, Style]) -> None:
    for name, line in each_line(points, "arch", looks):
        axes.plot(
            line["trained_horizon_lag"].iloc[:1], [LOWEST], marker=looks[name].marker, color=looks[name].color,
            markerfacecolor="white", markersize=4.5, markeredgewidth=0.9, clip_on=False, zorder=5,
        )  # fmt: skip


def _trained_horizons(table: pd.DataFrame, architectures: Architectures) -> dict[str, float]:
    """Effective horizon after training, as a lag, of the lines that have one; the greatest length counts."""
    fitted = [fit for fit in fits(table, architectures) if fit.task == RECALL and fit.phase == "trained"]
    at_longest = {fit.name: fit for fit in sorted(fitted, key=lambda fit: fit.length)}
    # The token at distance d is followed by d - 1 others; a logarithmic axis begins at 1.
    return {name: max(fit.horizon.reached.mean - 1, 1.0) for name, fit in at_longest.items() if fit.horizon.reached}


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
