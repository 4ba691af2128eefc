"""Attention against fixed contexts at the greatest length of a task, every pair, corrected for their number."""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from analysis.claims.length import Pair
from analysis.figures.style import styles
from analysis.statistics.intervals import MeanInterval, holm
from analysis.statistics.summaries import SETTING, at_train_length
from analysis.tables.kinds import attending, fixed_context


def accuracy_pairs(results: pd.DataFrame, task: str, vocabulary: int) -> list[Pair]:
    """Greedy token accuracy with attention less that with a fixed context, at the greatest train length.

    Welch's t test for two independent sets of seeds, two-sided, with its 95% interval; p-values of all pairs of a task
    are corrected by Holm's method. Architectures with fewer than two seeds there have no pair.
    """
    rows = at_train_length(results, "greedy_token_accuracy")
    rows = rows[(rows[SETTING] == [task, vocabulary]).all(axis=1)]
    rows = rows[rows["train_length"] == rows["train_length"].max()]
    values = {arch: rows[rows["arch"] == arch]["value"].to_numpy(float) for arch in styles(rows["arch"])}
    values = {arch: own for arch, own in values.items() if len(own) > 1}
    found = [
        Pair(with_attention, without, *_welch(values[with_attention], values[without]), math.nan)
        for with_attention in filter(attending, values)
        for without in filter(fixed_context, values)
    ]
    corrected = holm([pair.p_value for pair in found])
    return [pair._replace(corrected=value) for pair, value in zip(found, corrected, strict=True)]


def _welch(first: np.ndarray, second: np.ndarray) -> tuple[MeanInterval, float]:
    """Difference of means with its interval, cut at -1 and 1, and the p-value; its count is that of the fewer seeds."""
    count = min(len(first), len(second))
    difference = float(first.mean() - second.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # seeds that all agree have no variance
        test: Any = ttest_ind(first, second, equal_var=False)
        low, high = test.confidence_interval(0.95)
    if np.ptp(first) == 0 and np.ptp(second) == 0:  # no variance, so no estimate of what another seed would do
        return MeanInterval(difference, math.nan, math.nan, count), 1.0
    return MeanInterval(difference, float(low), float(high), count).clipped(-1, 1), float(test.pvalue)
