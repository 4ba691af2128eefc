"""Means over seeds of what the tidy table holds; every figure and table starts here."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from analysis.statistics.intervals import MeanInterval, mean_interval, prediction_interval
from analysis.tables.architectures import class_of

SETTING = ["task", "vocabulary"]  # trials are compared only within the same task and vocabulary
PROPORTION = (0.0, 1.0)
LEAST_SEEDS = 3  # of a prediction; with two, almost every interval would be 0…1


def synthetic(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of synthetic tasks, whose test examples have one length; those of text are bucketed by length."""
    return results[results["bucket"] == ""]


def measured(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric on the test split of synthetic tasks, at every length."""
    rows = synthetic(results)
    return rows[(rows["metric"] == metric) & (rows["split"] == "test")]


def at_train_length(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric where a model was tested at the greatest length it was trained on."""
    rows = measured(results, metric)
    return rows[rows["eval_length"] == rows["train_length"]]


def of_setting(rows: pd.DataFrame, task: str, vocabulary: int) -> pd.DataFrame:
    """The rows of a task with a vocabulary."""
    return rows[(rows["task"] == task) & (rows["vocabulary"] == vocabulary)]


def settings_of(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """The tasks of rows, each with its vocabulary, by name."""
    return list(rows[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None))


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the greatest train length of each task and vocabulary."""
    return rows[rows["train_length"] == rows.groupby(SETTING)["train_length"].transform("max")]


def over_seeds(
    rows: pd.DataFrame,
    by: list[str],
    bounds: tuple[float, float] | None = None,
    interval_from: Callable[[np.ndarray], MeanInterval] = mean_interval,
) -> pd.DataFrame:
    """Mean and 95% interval of `value` in each group: columns `by`, mean, low, high, seeds.

    `bounds` clips the intervals of quantities that cannot leave them.
    """
    points = []
    for key, group in rows.groupby(by, sort=True):
        interval = interval_from(group["value"].to_numpy())
        points.append([*key, *(interval.clipped(*bounds) if bounds else interval)])
    return pd.DataFrame(points, columns=[*by, "mean", "low", "high", "seeds"])


def next_seed(results: pd.DataFrame) -> pd.DataFrame:
    """Where the greedy token accuracy of one more trial should land, of architectures and lengths with three seeds.

    Returns:
        Prediction intervals: task, vocabulary, arch, train_length, mean, low, high, seeds.
    """
    rows = at_train_length(results, "greedy_token_accuracy")
    points = over_seeds(rows, [*SETTING, "arch", "train_length"], PROPORTION, prediction_interval)
    return points[points["seeds"] >= LEAST_SEEDS]


def interval_of(point: pd.Series) -> MeanInterval:
    """A row of `over_seeds` as a MeanInterval."""
    return MeanInterval(point["mean"], point["low"], point["high"], int(point["seeds"]))


def setting_name(task: object, vocabulary: object) -> str:
    """How figures and tables call a task."""
    return f"{task}, vocabulary {vocabulary}"


def seeds_phrase(points: pd.DataFrame) -> str:
    """How many seeds stand behind each point: `3 seeds` or `2 to 3 seeds`."""
    if points["seeds"].max() == 1:
        return "one seed"
    return f"{count_phrase(points['seeds'])} seeds"


def count_phrase(counts: Iterable[int]) -> str:
    """`3` where all counts agree, else `2 to 3`."""
    least, most = min(counts := list(counts)), max(counts)
    return str(most) if least == most else f"{least} to {most}"


def ended_badly(failures: pd.DataFrame, arch: str, task: str, length: int) -> str:
    """`1 diverged, 2 failed` of the class of an architecture at one length of a task; empty where none did.

    Means are over the trials that completed; beside their number stands this one.
    """
    lost = failures[failures["arch"] == class_of(arch)]
    lost = lost[(lost["task"] == task) & (lost["train_length"] == length)]
    return ", ".join(f"{count} {status}" for status, count in lost["status"].value_counts().sort_index().items())
