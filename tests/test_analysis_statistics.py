"""Means and intervals over seeds, and the verdicts drawn from them."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.claims import verdict
from analysis.statistics import MeanInterval, capacity, mean_interval


def test_interval_worked_by_hand():
    # mean 2, s = 1, t(0.975; 2 degrees of freedom) = 4.302653, half width 4.302653 / sqrt(3) = 2.484138
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert interval.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert interval.count == 3


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_interval_equals_scipys(count, level):
    values = np.random.default_rng(count).normal(3.0, 2.0, count)
    low, high = stats.t.interval(level, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values, level)[1:3] == pytest.approx((low, high))


def test_interval_covers_the_true_mean_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(0.0, 1.0, (2000, 3))
    covered = [interval.low <= 0 <= interval.high for interval in map(mean_interval, samples)]
    assert 0.93 < np.mean(covered) < 0.97


def test_one_seed_gives_no_interval():
    interval = mean_interval([0.7])
    assert interval.mean == 0.7
    assert math.isnan(interval.low) and math.isnan(interval.high)
    assert math.isnan(interval.clipped(0, 1).low)


def test_clipping_keeps_the_mean():
    assert MeanInterval(0.9, 0.7, 1.1, 3).clipped(0, 1) == (0.9, 0.7, 1.0, 3)


@pytest.mark.parametrize(("values", "level"), [([], 0.95), ([1.0], 1.0), ([1.0], 0.0)])
def test_no_values_or_no_level_is_an_error(values, level):
    with pytest.raises(ValueError):
        mean_interval(values, level)


def test_capacity_is_the_largest_mean_over_lengths():
    length, bits = capacity({10: [50.0, 50.0], 20: [80.0, 90.0], 40: [60.0, 100.0]})
    assert length == 20
    assert bits.mean == 85.0
    assert bits.low < 85.0 < bits.high


HIGH, LOW = MeanInterval(0.99, 0.98, 1.0, 3), MeanInterval(0.3, 0.2, 0.4, 3)


@pytest.mark.parametrize(
    ("shortest", "longest", "said"),
    [
        (HIGH, LOW, "degrades"),
        (HIGH, HIGH, "does not degrade"),
        (HIGH, MeanInterval(0.96, 0.951, 0.97, 3), "does not degrade"),
        (HIGH, MeanInterval(0.96, 0.949, 0.971, 3), "degrades"),
        (LOW, MeanInterval(0.25, 0.15, 0.35, 3), "cannot be told from these runs: the intervals overlap"),
        (HIGH, MeanInterval(0.3, 0.0, 1.0, 2), "cannot be told from these runs: the intervals overlap"),
        (HIGH, MeanInterval(0.3, math.nan, math.nan, 1), "cannot be told from these runs: one seed"),
        (MeanInterval(1.0, math.nan, math.nan, 1), LOW, "cannot be told from these runs: one seed"),
        (HIGH, None, "cannot be told from these runs: no complete trial at the greatest length"),
        (None, HIGH, "cannot be told from these runs: no complete trial at the shortest length"),
    ],
)
def test_verdict_follows_the_intervals(shortest, longest, said):
    assert verdict(shortest, longest) == said
