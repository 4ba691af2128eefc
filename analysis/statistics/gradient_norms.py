"""Gradient norms over seeds by distance, and accuracy of recall by lag: the points that figures and claims share."""

import math
from typing import Literal

import numpy as np
import pandas as pd

from analysis.statistics.gradient_fits import FLOAT_FLOOR
from analysis.statistics.intervals import LARGEST_LOG, mean_interval
from analysis.statistics.summaries import PROPORTION, STOPPED, TASK, count_stopped, measured, over_seeds
from analysis.tables.architectures import class_of
from analysis.tables.gradient_tables import LINE

RECALL = "first-token-recall"


def without_remedies(rows: pd.DataFrame, column: str = "name") -> pd.DataFrame:
    """The lines but those of variants whose baseline is there too; the figure of remedies shows these."""
    names = set(rows[column])
    kept = [name == class_of(name) or class_of(name) not in names for name in rows[column]]
    return rows[np.array(kept, dtype=bool)]


def relative(rows: pd.DataFrame, to: Literal["first", "max"] = "first") -> pd.DataFrame:
    """Norms relative to that at the least distance of their seed, or to the greatest; seeds without are left out."""
    rows = rows.sort_values("distance")
    norm = rows.groupby([*LINE, "seed", "phase"])["mean"].transform(to)
    divided = rows.assign(**{column: rows[column] / norm for column in ("mean", "low", "high")})
    return divided[norm > FLOAT_FLOOR]


def over_log_seeds(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Geometric mean over seeds with its 95% t interval: columns `by`, mean, low, high, seeds, stopped.

    With one seed low and high are those of its row: quartiles over sequences for norms by distance.
    """
    logarithms = rows.assign(mean=np.log(np.maximum(rows["mean"].astype(float), np.finfo(float).tiny)))
    points = over_row_seeds(logarithms, by)
    several = points["seeds"] > 1
    points["mean"] = np.exp(points["mean"])
    points.loc[several, ["low", "high"]] = np.exp(np.minimum(points.loc[several, ["low", "high"]], LARGEST_LOG))
    return points


def over_row_seeds(
    rows: pd.DataFrame, by: list[str], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> pd.DataFrame:
    """Mean over seeds with its 95% t interval cut at the bounds; with one seed low and high are those of its row.

    Columns `by`, mean, low, high, seeds, stopped, the last as in `over_seeds`.
    """
    points = []
    for key, group in rows.groupby(by):
        if len(group) == 1:
            interval = [*group[["mean", "low", "high"]].iloc[0], 1]
        else:
            interval = mean_interval(group["mean"].to_numpy(float)).clipped(*bounds)
        points.append([*key, *interval, count_stopped(group)])
    return pd.DataFrame(points, columns=[*by, "mean", "low", "high", "seeds", STOPPED])


def lag_points(results: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of greedy token accuracy by vocabulary, train length, arch and lag, in tokens."""
    rows = measured(results, "greedy_token_accuracy")
    rows = rows[rows["task"] == RECALL]
    several = rows.groupby(TASK)["train_length"].transform("nunique") > 1
    rows = rows[~several | (rows["eval_length"] == rows["train_length"])]
    rows = rows.assign(lag=rows["eval_length"] - 1)
    return over_seeds(rows, [*TASK, "train_length", "arch", "lag"], PROPORTION)
