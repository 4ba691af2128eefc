"""Figures of learning: scores against optimiser steps and the clock, and what each learning rate was worth."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.figures.axes import proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.direct_labels import label_lines
from analysis.figures.lines import draw_bands, draw_error_bars, each_line, ring_stopped, spread_phrase
from analysis.figures.panels import label_leftmost, legend, panels, split_by, title, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import Style, styles
from analysis.statistics.intervals import mean_interval
from analysis.statistics.summaries import (
    BUDGET,
    PROPORTION,
    STOPPED,
    TASK,
    TaskSetting,
    longest,
    over_seeds,
    seeds_phrase,
    task_name,
)
from analysis.tables.architectures import Architectures, class_of

# In the order of preference: what is drawn of a trial is the first that it has.
METRICS = {
    "bleu": ("BLEU", (0.0, 100.0)),
    "chrf": ("chrF", (0.0, 100.0)),
    "greedy_token_accuracy": ("Greedy token accuracy", PROPORTION),
    "loss": ("Loss (nats a token)", None),
}
LABELS = {"minutes": "Minutes of training", "step": "Optimiser steps"}
HEIGHT, AROUND = 2.3, 0.6  # inches of a row of panels, and what title and labels take of it
LEAST_RATES = 3  # of an architecture, for a line
POINT_COLUMNS = [
    *TASK, "train_length", "arch", "metric", "step", "seconds", "mean", "low", "high", "seeds", "running",
    STOPPED,
]  # fmt: skip


@register(
    "learning_curves", "learning", 1,
    "Who learns at all, who learns first by steps, and who learns first by the clock: the order may "
    "change between the panels.",
)  # fmt: skip
def learning_figure(curves: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Validation score at the greatest train length of each task; None where no trial kept its curve."""
    points = learning_points(curves, trials)
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    groups = split_by(points, [*TASK, "train_length", "metric"])
    figure, grid = panels(len(groups), 2, height=HEIGHT)
    for ((task, vocabulary, length, metric), shown), (left, right) in zip(groups, grid, strict=True):
        shown = shown.assign(minutes=shown["seconds"] / 60)
        _draw(left, shown, "minutes", looks)
        _draw(right, shown, "step", looks)
        left.set_ylabel(METRICS[metric][0])
        left.set_title(str(TaskSetting(task, vocabulary, length)), loc="left")
        label_lines(right, shown, "step", looks, HEIGHT - AROUND)
    spread = (
        "One seed, so without intervals."
        if points["seeds"].max() == 1
        else f"Means over {seeds_phrase(points)}; bands are 95% t intervals."
    )
    decoded = "Accuracy, BLEU and chrF" if (points["metric"] == "chrf").any() else "Accuracy and BLEU"
    caption = (
        f"Score on the validation examples during training, at the greatest train length of each task, against the "
        f"time spent (left) and against optimiser steps (right). {decoded} are those of free-running decoding. "
        f"{spread} A trial that ended early keeps its last score and time."
    )
    return Chart("learning_curves", figure, points, caption)


def learning_points(curves: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds at each step that any of them was measured at: columns `POINT_COLUMNS`.

    `seeds` counts all trials behind a mean, `running` those that still trained; the others keep their last value.
    """
    shown = longest(trials, "train_length")[["trial", *TASK, "train_length", "arch", "ended"]]
    rows = curves.merge(shown, on="trial")
    rows = rows[rows["metric"] == rows.groupby(TASK)["metric"].transform(_preferred)]
    points = []
    for key, group in rows.groupby([*TASK, "train_length", "arch", "metric"]):
        group = group.drop_duplicates(["trial", "step"], keep="last")
        values, seconds = (
            group.pivot_table(index="step", columns="trial", values=what) for what in ("value", "seconds")
        )
        running = values.notna().sum(axis=1)
        stopped = group.loc[group["ended"] == BUDGET, "trial"].nunique()
        bounds = METRICS[str(key[-1])][1]
        # A trial that has not been measured yet has no value; none is made up for it.
        values, seconds = values.ffill(), seconds.ffill()
        for step in values.index:
            interval = mean_interval(values.loc[step].dropna().to_numpy())
            spent = seconds.loc[step].mean()
            points.append(
                [*key, step, spent, *(interval.clipped(*bounds) if bounds else interval), running[step], stopped]
            )
    return pd.DataFrame(points, columns=POINT_COLUMNS)


def _preferred(metrics: pd.Series) -> str:
    return next(metric for metric in METRICS if (metrics == metric).any())


def _draw(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style]) -> None:
    draw_bands(axes, points, x, looks)
    for name, line in each_line(points, "arch", looks):
        look = looks[name]
        ring_stopped(axes, line[line["step"] == line["step"].max()], x, color=look.color, label=look.name)
    axes.set_xlim(0, 1.02 * points[x].max())
    if points["metric"].iloc[0] == "greedy_token_accuracy":
        proportion_axis(axes)
    axes.set_xlabel(LABELS[x])


@register(
    "learning_rates", "learning", 2,
    "Where the lowest point of a line lies: too small a rate has not arrived yet, too great a one never does. A rate "
    "is tuned where the lowest point is not at an end.",
)  # fmt: skip
def learning_rates_figure(curves: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Best validation loss against learning rate; None unless some architecture was run at three rates or more."""
    points = learning_rate_points(curves, trials)
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    figure, cells = wrapped_panels(split_by(points, [*TASK, "train_length"]), 2, height=2.4)
    for axes, ((task, vocabulary, length), shown) in cells:
        draw_error_bars(axes, shown, "learning_rate", looks)
        axes.set_xscale("log")
        axes.set_yscale("log")
        rates = sorted(shown["learning_rate"].unique())
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Learning rate")
        label_leftmost(axes, "Validation loss (nats a token)")
        title(axes, f"{task_name(task, vocabulary)}, trained up to {length}")
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
