"""Accuracy of recalling the first source token against the lag, beside how far the gradient reaches."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from analysis.figures.chart import Chart
from analysis.figures.gradients.panels import WIDTHS, each_line, legend
from analysis.figures.length.accuracy import GUIDE, is_leftmost, panels, use
from analysis.figures.style import Style, paper_style, styles
from analysis.statistics.gradient_fits import fits
from analysis.statistics.gradient_norms import RECALL, lag_points, without_remedies
from analysis.statistics.summaries import SETTING, seeds_phrase, setting_name
from analysis.tables.architectures import Architectures

APART = 2.5  # points of paper between lines at the same lag
CHANCE = {**GUIDE, "linestyle": ":", "label": "chance"}
HORIZON = {"color": "#707070", "linestyle": "", "marker": "o", "markerfacecolor": "white", "label": "effective horizon"}
LOWEST = -0.05  # of the axis of accuracy, where horizons are marked


def accuracy_by_lag_figure(results: pd.DataFrame, table: pd.DataFrame) -> Chart | None:
    """Accuracy of recalling the first source token against how many tokens follow it, a panel a vocabulary.

    Args:
        results: the tidy table of trials.
        table: as `read_gradients` returns it, for the effective horizon after training.
    """
    points = lag_points(results)
    if points.empty:
        return None
    points = without_remedies(points, "arch").reset_index(drop=True)
    points["trained_horizon_lag"] = points["arch"].map(_trained_horizons(table)).astype(float)
    looks = styles(points["arch"])
    settings = list(points[SETTING].drop_duplicates().itertuples(index=False, name=None))
    with paper_style():
        columns = min(2, len(settings))
        figure, grid = panels(-(-len(settings) // columns), columns, height=2.2, width=WIDTHS[columns])
        for axes, (task, vocabulary) in zip(use(grid, len(settings)), settings, strict=True):
            own = points[points["vocabulary"] == vocabulary]
            axes.axhline(1 / vocabulary, **CHANCE)
            draw_lags(axes, own, looks)
            _mark_horizons(axes, own, looks)
            lag_axis(axes, own["lag"], own["trained_horizon_lag"])
            axes.set_ylabel("Greedy token accuracy" if is_leftmost(axes) else "")
            axes.set_title(setting_name(task, vocabulary), loc="left")
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


def lag_spread(points: pd.DataFrame) -> str:
    """What points and bars of accuracy are."""
    if points["seeds"].max() == 1:
        return "one seed, so without intervals"
    return f"means with 95% t intervals over seeds ({seeds_phrase(points)}), cut at 0 and 1"


def draw_lags(axes: Axes, points: pd.DataFrame, looks: dict[str, Style], by: str = "arch") -> None:
    """Accuracy against lag with error bars, a line for each look."""
    lines = list(each_line(points, by, looks))
    for place, (name, own) in enumerate(lines):
        own = own.sort_values("lag")
        # Apart on paper, while the data stay as they are, so that equal lines do not hide each other.
        shift = ScaledTranslation((place - (len(lines) - 1) / 2) * APART / 72, 0, axes.figure.dpi_scale_trans)
        axes.errorbar(
            own["lag"], own["mean"], yerr=[own["mean"] - own["low"], own["high"] - own["mean"]],
            elinewidth=0.8, markeredgewidth=0, transform=axes.transData + shift, **looks[name].of_line(),
        )  # fmt: skip
    axes.set_ylim(LOWEST, 1.03)
    axes.grid(True, axis="y")


def lag_axis(axes: Axes, lags: pd.Series, marked: pd.Series | None = None) -> None:
    """A logarithmic axis with a tick at each lag that was measured, wide enough for what is marked on it too."""
    lags = lags.clip(lower=1)
    ends = [*lags, *([] if marked is None else marked.dropna())]
    least, most = min(ends), max(ends)
    margin = (most / least) ** 0.09 if most > least else 2
    axes.set_xscale("log", base=2)
    axes.set_xlim(least / margin, most * margin)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_major_locator(FixedLocator(sorted(lags.unique())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Lag (tokens)")


def _mark_horizons(axes: Axes, points: pd.DataFrame, looks: dict[str, Style]) -> None:
    for name, own in each_line(points, "arch", looks):
        axes.plot(
            own["trained_horizon_lag"].iloc[:1], [LOWEST], marker=looks[name].marker, color=looks[name].color,
            markerfacecolor="white", markersize=4.5, markeredgewidth=0.9, clip_on=False, zorder=5,
        )  # fmt: skip


def _trained_horizons(table: pd.DataFrame) -> dict[str, float]:
    """Effective horizon after training, as a lag, of the lines that have one; the greatest length counts."""
    found = [fit for fit in fits(table, Architectures()) if fit.task == RECALL and fit.phase == "trained"]
    at_longest = {fit.name: fit for fit in sorted(found, key=lambda fit: fit.length)}
    # The token at distance d is followed by d - 1 others; a logarithmic axis begins at 1.
    return {name: max(fit.horizon.reached.mean - 1, 1.0) for name, fit in at_longest.items() if fit.horizon.reached}
