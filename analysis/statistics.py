"""What a handful of seeds says about the mean over all seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit


class MeanInterval(NamedTuple):
    """A mean and its confidence interval; `low` and `high` are NaN where there is no interval."""

    mean: float
    low: float
    high: float
    count: int

    def clipped(self, least: float, most: float) -> "MeanInterval":
        """The part of the interval inside the bounds that the quantity cannot leave."""
        if math.isnan(self.low):
            return self
        return self._replace(low=max(self.low, least), high=min(self.high, most))


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> MeanInterval:
    """Mean of independent values, one a seed, with Student's t interval: mean ± t(n-1) · s / √n.

    It takes the values as normally distributed over seeds and knows no bounds; the caller clips where the
    quantity has some. One value gives no interval: its bounds are NaN.

    Raises:
        ValueError: no value at all, or a level outside 0…1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it lies between 0 and 1")
    sample = np.asarray(values, dtype=float)
    count = sample.size
    if count == 0:
        raise ValueError("no values to take a mean of")
    mean = float(sample.mean())
    if count == 1:
        return MeanInterval(mean, math.nan, math.nan, 1)
    half = float(stdtrit(count - 1, (1 + level) / 2) * sample.std(ddof=1) / math.sqrt(count))
    return MeanInterval(mean, mean - half, mean + half, count)


def capacity(bits_recovered_by_length: Mapping[int, Sequence[float]]) -> tuple[int, MeanInterval]:
    """The length at which most bits arrive, and the mean bits a sequence recovered there, over seeds.

    A lower bound on what the model's path from source to target can carry: bits recovered bound from below what
    passed at one length, more training may recover more, and a longer source might too if the largest value
    stands at the greatest length.

    Raises:
        ValueError: no length at all.
    """
    if not bits_recovered_by_length:
        raise ValueError("no lengths to choose from")
    intervals = {length: mean_interval(bits) for length, bits in bits_recovered_by_length.items()}
    best = max(intervals, key=lambda length: intervals[length].mean)
    return best, intervals[best]
