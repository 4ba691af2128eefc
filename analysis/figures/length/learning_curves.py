"""The figure of learning curves: validation scores against optimiser steps and against wall-clock time."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.chart import Chart
from analysis.figures.direct_labels import label_lines
from analysis.figures.gradients.panels import draw_bands
from analysis.figures.length.accuracy import panels
from analysis.figures.style import Style, paper_style, styles
from analysis.statistics.intervals import mean_interval
from analysis.statistics.summaries import PROPORTION, SETTING, longest, seeds_phrase, setting_name

# In the order of preference: what is drawn of a trial is the first that it has.
METRICS = {
    "bleu": ("BLEU", (0.0, 100.0)),
    "greedy_token_accuracy": ("Greedy token accuracy", PROPORTION),
    "loss": ("Loss (nats a token)", None),
}
LABELS = {"minutes": "Minutes of training", "step": "Optimiser steps"}
HEIGHT, AROUND = 2.3, 0.6  # inches of a row of panels, and what title and labels take of it
POINT_COLUMNS = [
    *SETTING,
    "train_length",
    "arch",
    "metric",
    "step",
    "seconds",
    "mean",
    "low",
    "high",
    "seeds",
    "running",
]


def learning_figure(curves: pd.DataFrame, trials: pd.DataFrame) -> Chart | None:
    """Validation score at the greatest train length of each task; None where no trial kept its curve.

    Args:
        curves: as `read_histories` returns it.
        trials: one row a complete trial, variants told apart.
    """
    points = learning_points(curves, trials)
    if points.empty:
        return None
    looks = styles(points["arch"])
    groups = list(points[[*SETTING, "train_length", "metric"]].drop_duplicates().itertuples(index=False, name=None))
    with paper_style():
        figure, grid = panels(len(groups), 2, height=HEIGHT)
        for (task, vocabulary, length, metric), (left, right) in zip(groups, grid, strict=True):
            own = points[(points[[*SETTING, "metric"]] == [task, vocabulary, metric]).all(axis=1)]
            own = own.assign(minutes=own["seconds"] / 60)
            _draw(left, own, "minutes", looks)
            _draw(right, own, "step", looks)
            left.set_title(f"{setting_name(task, vocabulary)}, trained up to {length}", loc="left")
            label_lines(right, own, "step", looks, HEIGHT - AROUND)
    caption = (
        f"Score on the validation examples during training, at the greatest train length of each task, against the "
        f"time spent (left) and against optimiser steps (right). Accuracy and BLEU are those of free-running decoding. "
        f"{_spread(points)} A trial that ended early keeps its last score and time."
    )
    return Chart("learning_curves", figure, points, caption)


def learning_points(curves: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds at each step that any of them was measured at: columns `POINT_COLUMNS`.

    `seeds` counts all trials behind a mean, `running` those that still trained; the others keep their last value.
    """
    rows = curves.merge(longest(trials)[["trial", *SETTING, "train_length", "arch"]], on="trial")
    rows = rows[rows["metric"] == rows.groupby(SETTING)["metric"].transform(_preferred)]
    points = []
    for key, group in rows.groupby([*SETTING, "train_length", "arch", "metric"]):
        group = group.drop_duplicates(["trial", "step"], keep="last")
        values, seconds = (
            group.pivot_table(index="step", columns="trial", values=what) for what in ("value", "seconds")
        )
        running = values.notna().sum(axis=1)
        bounds = METRICS[str(key[-1])][1]
        # A trial that has not been measured yet has no value; none is made up for it.
        values, seconds = values.ffill(), seconds.ffill()
        for step in values.index:
            interval = mean_interval(values.loc[step].dropna().to_numpy())
            spent = seconds.loc[step].mean()
            points.append([*key, step, spent, *(interval.clipped(*bounds) if bounds else interval), running[step]])
    return pd.DataFrame(points, columns=POINT_COLUMNS)


def _preferred(metrics: pd.Series) -> str:
    return next(metric for metric in METRICS if (metrics == metric).any())


def _draw(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style]) -> None:
    metric = points["metric"].iloc[0]
    draw_bands(axes, points, x, looks, by="arch")
    axes.set_xlim(0, 1.02 * points[x].max())
    if metric == "greedy_token_accuracy":
        axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(LABELS[x])
    axes.set_ylabel(METRICS[metric][0] if x == "minutes" else "")


def _spread(points: pd.DataFrame) -> str:
    if points["seeds"].max() == 1:
        return "One seed, so without intervals."
    return f"Means over {seeds_phrase(points)}; bands are 95% t intervals."
