"""Means over seeds of what the tidy table holds; every figure and table starts here."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics.intervals import MeanInterval, mean_interval, prediction_interval
from analysis.tables.architectures import class_of
from analysis.tables.schema import CHANCE

TASK = ["task", "vocabulary"]  # trials are compared only within the same task and vocabulary
SETTING = [*TASK, "limit"]  # and a curve over lengths comes from models of one kind of training, see `tested`
TASKS_IN_WORDS = ("coreference", "word-sense", "negation", "tagging")  # whose length is a distance
PROPORTION = (0.0, 1.0)
STOPPED = "stopped"  # a column of points: how many trials had not converged
CONVERGED, BUDGET = "converged", "budget"  # how training ended, as a summary says it
LEAST_SEEDS = 3  # of a prediction; with two, almost every interval would be 0…1


class TaskSetting(NamedTuple):
    """What the points of one curve over lengths have in common: the columns `SETTING`."""

    task: str
    vocabulary: int
    limit: int

    def __str__(self) -> str:
        """How figures and tables call it."""
        limit = f", trained up to {self.limit}" if self.limit else ""
        return f"{task_name(self.task, self.vocabulary)}{limit}"


def synthetic(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of synthetic tasks, whose test examples have one length; those of text are bucketed by length."""
    return results[results["bucket"] == ""]


def measured(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric on the test split of synthetic tasks, at every length."""
    rows = synthetic(results)
    return rows[(rows["metric"] == metric) & (rows["split"] == "test")]


def tested(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric at every length that a model was tested at.

    Returns:
        The rows with two further columns. `length` is that of the test examples. `limit` is the greatest length in
        training of a model that was trained on all lengths up to it: its curve is that of one model. It is 0 for
        models that were trained on one length each: their curve has a model for each length.
    """
    rows = measured(results, metric)
    ranged = rows["min_train_length"] < rows["train_length"]
    return rows.assign(length=rows["eval_length"], limit=rows["train_length"].where(ranged, 0))


def within_training(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The same rows where a model was tested at a length that it was trained on."""
    rows = tested(results, metric)
    return rows[rows["length"].between(rows["min_train_length"], rows["train_length"])]


def chances(results: pd.DataFrame) -> pd.Series:
    """Accuracy of the best guess that does not see the source, by task, vocabulary and test length."""
    return measured(results, CHANCE).groupby([*TASK, "eval_length"])["value"].first()


def with_score(rows: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Rows of an accuracy with a further column `score`: 0 at chance, 1 at the top.

    Where chance is not known, as in tables of earlier versions, it is taken as 0: the score is the accuracy.
    """
    chance = rows.join(chances(results).rename(CHANCE), on=[*TASK, "eval_length"])[CHANCE].fillna(0.0)
    return rows.assign(score=(rows["value"] - chance) / (1 - chance).clip(lower=1e-9))


def without_stopped(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but those of trials that used up their budget before they had converged: no verdict rests on these."""
    return rows[rows["ended"] != BUDGET] if "ended" in rows else rows


def of_setting(rows: pd.DataFrame, setting: TaskSetting) -> pd.DataFrame:
    """The rows of a setting."""
    return rows[(rows[SETTING] == list(setting)).all(axis=1)]


def settings_of(rows: pd.DataFrame) -> list[TaskSetting]:
    """The settings of rows, by name and limit."""
    distinct = rows[SETTING].drop_duplicates().sort_values(SETTING)
    return [TaskSetting(*values) for values in distinct.itertuples(index=False, name=None)]


def by_setting(rows: pd.DataFrame) -> list[tuple[TaskSetting, pd.DataFrame]]:
    """Each setting with its rows."""
    return [(setting, of_setting(rows, setting)) for setting in settings_of(rows)]


def longest(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows at the greatest value of a column of lengths, for each task and vocabulary."""
    return rows[rows[column] == rows.groupby(TASK)[column].transform("max")]


def over_seeds(
    rows: pd.DataFrame,
    by: list[str],
    bounds: tuple[float, float] | None = None,
    interval_from: Callable[[np.ndarray], MeanInterval] = mean_interval,
) -> pd.DataFrame:
    """Mean and 95% interval of `value` in each group: columns `by`, mean, low, high, seeds, stopped.

    `bounds` clips the intervals of quantities that cannot leave them. `stopped` is the number of those trials that used
    up their budget before they had converged.
    """
    points = []
    for key, group in rows.groupby(by, sort=True):
        interval = interval_from(group["value"].to_numpy())
        points.append([*key, *(interval.clipped(*bounds) if bounds else interval), count_stopped(group)])
    return pd.DataFrame(points, columns=[*by, "mean", "low", "high", "seeds", STOPPED])


def count_stopped(rows: pd.DataFrame) -> int:
    """How many rows are of trials that had not converged; 0 of a table that does not say how training ended."""
    return int((rows["ended"] == BUDGET).sum()) if "ended" in rows else 0


def stopped_names(points: pd.DataFrame) -> set[str]:
    """The architectures behind whose points a trial stands that had not converged."""
    return set(points.loc[points[STOPPED] > 0, "arch"])


def next_seed(results: pd.DataFrame) -> pd.DataFrame:
    """Where the greedy token accuracy of one more trial should land, of architectures and lengths with three seeds.

    Returns:
        Prediction intervals: columns `SETTING`, arch, length, mean, low, high, seeds.
    """
    rows = within_training(results, "greedy_token_accuracy")
    points = over_seeds(rows, [*SETTING, "arch", "length"], PROPORTION, prediction_interval)
    return points[points["seeds"] >= LEAST_SEEDS]


def interval_of(point: pd.Series) -> MeanInterval:
    """A row of `over_seeds` as a MeanInterval."""
    return MeanInterval(point["mean"], point["low"], point["high"], int(point["seeds"]))


def length_name(task: str) -> str:
    """What the length of a task is, with its unit."""
    return f"{'distance' if task in TASKS_IN_WORDS else 'length'} ({length_unit(task)})"


def length_unit(task: str) -> str:
    """What the length of a task is counted in."""
    return "words" if task in TASKS_IN_WORDS else "tokens"


def task_name(task: object, vocabulary: object) -> str:
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


def ended_badly(failures: pd.DataFrame, arch: str, setting: TaskSetting, length: int) -> str:
    """`1 diverged, 2 failed` of the class of an architecture at one length of a setting; empty where none did.

    Means are over the trials that completed; beside their number stands this one.
    """
    lost = failures[failures["arch"] == class_of(arch)]
    lost = lost[(lost["task"] == setting.task) & (lost["train_length"] == (setting.limit or length))]
    return ", ".join(f"{count} {status}" for status, count in lost["status"].value_counts().sort_index().items())
