"""Attention against fixed contexts at the greatest length, every pair, corrected for the number of pairs."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from analysis.statistics.comparisons import Comparison, scored
from analysis.statistics.intervals import MeanInterval, bootstrap_p_value, holm
from analysis.statistics.summaries import TaskSetting, of_setting, within_training, without_stopped
from analysis.tables.architectures import Architectures


class Pair(NamedTuple):
    """The score of an architecture with attention less that of one with a fixed context.

    Attributes:
        attention: name of the one.
        fixed: name of the other.
        difference: with its 95% interval; its count is the number of seeds of that which has fewer.
        p_value: two-sided, of no difference.
        corrected: for the number of pairs, by Holm's method.
    """

    attention: str
    fixed: str
    difference: MeanInterval
    p_value: float
    corrected: float = math.nan


def accuracy_pairs(results: pd.DataFrame, setting: TaskSetting, architectures: Architectures) -> list[Pair]:
    """Greedy token accuracy at the greatest length of a setting, by Welch's t test for two sets of seeds.

    Architectures with fewer than two seeds there have no pair. Trials that had not converged do not count.
    """
    rows = without_stopped(of_setting(within_training(results, "greedy_token_accuracy"), setting))
    rows = rows[rows["length"] == rows["length"].max()]
    values = {arch: rows[rows["arch"] == arch]["value"].to_numpy(float) for arch in architectures.names(rows["arch"])}
    several = [arch for arch, of_seeds in values.items() if len(of_seeds) > 1]
    return _corrected([
        Pair(attention, fixed, *_welch(values[attention], values[fixed]))
        for attention in several if architectures[attention].attends is True
        for fixed in several if architectures[fixed].attends is False
    ])  # fmt: skip


def bleu_pairs(comparison: Comparison) -> list[Pair]:
    """BLEU on the longest sentences, by the bootstrap: both of a pair are scored on the same drawn sentences."""
    if not comparison.buckets:
        return []
    longest = comparison.buckets[-1]
    scores = {arch: scored(comparison, arch, longest) for arch in comparison.archs}
    pairs = []
    for attention in comparison.of_kind(attends=True):
        for fixed in comparison.of_kind(attends=False):
            p_value = bootstrap_p_value(scores[attention].samples - scores[fixed].samples)
            pairs.append(Pair(attention, fixed, scores[attention].less(scores[fixed]), p_value))
    return _corrected(pairs)


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    corrected = holm([pair.p_value for pair in pairs])
    return [pair._replace(corrected=p_value) for pair, p_value in zip(pairs, corrected, strict=True)]


def _welch(first: np.ndarray, second: np.ndarray) -> tuple[MeanInterval, float]:
    """Difference of means with its interval, cut at -1 and 1, and the p-value; its count is that of the fewer seeds."""
    count = min(len(first), len(second))
    difference = float(first.mean() - second.mean())
    if np.ptp(first) == 0 and np.ptp(second) == 0:  # no variance, so no estimate of what another seed would do
        return MeanInterval(difference, math.nan, math.nan, count), 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one side may have no variance
        test: Any = ttest_ind(first, second, equal_var=False)
        low, high = test.confidence_interval(0.95)
    return MeanInterval(difference, float(low), float(high), count).clipped(-1, 1), float(test.pvalue)
