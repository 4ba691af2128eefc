"""The figure of learning rates: what each was worth on validation, from which one is chosen for each architecture."""

import pandas as pd
from matplotlib.ticker import NullLocator

from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import label_leftmost, legend, split_by, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import paper_style, styles
from analysis.statistics.summaries import STOPPED, TASK, over_seeds, task_name
from analysis.tables.architectures import Architectures, class_of

LEAST_RATES = 3  # of an architecture, for a line


@register(
    "learning_rates", "learning", 2,
    "Where the lowest point of a line lies: too small a rate has not arrived yet, too great a one never does. A rate "
    "is tuned where the lowest point is not at an end.",
)  # fmt: skip
def learning_rates_figure(curves: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Best validation loss against learning rate; None unless some architecture was run at three rates or more.

    Args:
        curves: as `read_histories` returns it.
        trials: one row a complete trial, variants told apart or not.
        architectures: what they say of themselves.
    """
    points = learning_rate_points(curves, trials)
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    groups = split_by(points, [*TASK, "train_length"])
    with paper_style():
        figure, cells = wrapped_panels(len(groups), 2, height=2.4)
        for axes, ((task, vocabulary, length), shown) in zip(cells, groups, strict=True):
            draw_error_bars(axes, shown, "learning_rate", looks)
            axes.set_xscale("log")
            axes.set_yscale("log")
            rates = sorted(shown["learning_rate"].unique())
            axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("Learning rate")
            label_leftmost(axes, "Validation loss (nats a token)")
            axes.set_title(f"{task_name(task, vocabulary)},\ntrained up to {length}", loc="left")
        legend(figure, list(looks.values()))
    caption = (
        "The least validation loss of a trial against its learning rate, both axes logarithmic; "
        f"{spread_phrase(points)}. No test example is involved."
    )
    return Chart("learning_rates", figure, points, caption)


def learning_rate_points(curves: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of the least validation loss, for each learning rate of each architecture."""
    least = curves[curves["metric"] == "loss"].groupby("trial")["value"].min()
    rows = trials.assign(
        arch=trials["arch"].map(class_of),
        learning_rate=[options.get("learning_rate") for options in trials["model"]],
        value=trials["trial"].map(least),
    ).dropna(subset=["learning_rate", "value"])
    line = [*TASK, "train_length", "arch"]
    rows = rows[rows.groupby(line)["learning_rate"].transform("nunique") >= LEAST_RATES]
    # Such trials are short on purpose; whether they had converged says nothing here.
    return over_seeds(rows, [*line, "learning_rate"], (0.0, float("inf"))).drop(columns=STOPPED)
