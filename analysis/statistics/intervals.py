"""What a handful of seeds says about the mean over all seeds, and a test set about other sentences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

LEVEL = 0.95  # of all intervals
BLEU_ORDER = 4  # the longest n-grams that count
LARGEST_LOG = 700.0  # of a float that does not overflow


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

    def exponentiated(self) -> "MeanInterval":
        """The geometric mean and its interval from those of logarithms."""
        mean, low, high = np.exp(np.minimum(self[:3], LARGEST_LOG))
        return MeanInterval(float(mean), float(low), float(high), self.count)


def lies_above(first: MeanInterval | None, second: MeanInterval | None) -> bool | None:
    """Whether one interval lies above another; None where they overlap, or where one is missing or has no bounds."""
    if first is None or second is None or math.isnan(first.low) or math.isnan(second.low):
        return None
    if first.low > second.high:
        return True
    return False if first.high < second.low else None


def mean_interval(values: Sequence[float] | np.ndarray) -> MeanInterval:
    """Mean of independent values, one a seed, with Student's 95% t interval: mean ± t(n-1) · s / √n.

    It takes the values as normally distributed over seeds and knows no bounds; the caller clips where the
    quantity has some. One value gives no interval: its bounds are NaN.

    Raises:
        ValueError: no value at all.
    """
    sample = np.asarray(values, dtype=float)
    count = sample.size
    if count == 0:
        raise ValueError("no values to take a mean of")
    mean = float(sample.mean())
    if count == 1:
        return MeanInterval(mean, math.nan, math.nan, 1)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2) * sample.std(ddof=1) / math.sqrt(count))
    return MeanInterval(mean, mean - half, mean + half, count)


def proportion_interval(successes: int, count: int) -> MeanInterval:
    """The share of successes among independent trials with Wilson's 95% score interval (Wilson 1927), which also at 0
    and 1 has a width.

    Raises:
        ValueError: no trial at all.
    """
    if count < 1:
        raise ValueError("no trials to take a share of")
    share, z = successes / count, float(ndtri((1 + LEVEL) / 2))
    weight = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    # At the ends rounding must not part the share from its bound.
    return MeanInterval(share, min(share, middle - half), max(share, middle + half), count).clipped(0.0, 1.0)


def prediction_interval(values: Sequence[float] | np.ndarray) -> MeanInterval:
    """Where one more value falls in 95% of cases: mean ± t(n-1) · s · √(1 + 1/n), for values normal over seeds.

    √(n + 1) times as wide as the interval of the mean, because the next value has a spread of its own. One value
    gives no interval.

    Raises:
        ValueError: no value at all.
    """
    mean, low, high, count = mean_interval(values)
    half = (high - low) / 2 * math.sqrt(count + 1)
    return MeanInterval(mean, mean - half, mean + half, count)


def capacity(bits_recovered_by_length: Mapping[Any, Sequence[float]]) -> tuple[int, MeanInterval]:
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


def corpus_bleu(statistics: np.ndarray) -> np.ndarray:
    """Corpus BLEU, 0…100, from sufficient statistics summed over sentences (Papineni et al. 2002).

    The geometric mean of the n-gram precisions for n up to 4, times the brevity penalty exp(1 − r/c) where the
    output has c words and the reference r > c. As in sacreBLEU (Post 2018) with its defaults, the k-th order
    without any match counts 1/2ᵏ of a match, and BLEU is 0 without any match or without n-grams of some order.

    Args:
        statistics: (..., 10), of the output: n-grams that are correct, n = 1…4; n-grams in all, n = 1…4; words;
            and the words of the reference.

    Returns:
        Scores (...).
    """
    counts = np.asarray(statistics, dtype=float)
    correct, total = counts[..., :BLEU_ORDER], counts[..., BLEU_ORDER : 2 * BLEU_ORDER]  # (..., 4)
    output, reference = counts[..., -2], counts[..., -1]
    defined = np.asarray(correct.any(axis=-1) & total.all(axis=-1))
    missed = np.equal(correct, 0)
    correct = np.where(missed, 0.5 ** missed.cumsum(axis=-1), correct)
    log_precisions = np.log(correct / np.where(defined[..., None], total, 1.0))
    log_penalty = np.minimum(0.0, 1.0 - reference / np.where(defined, output, 1.0))
    return np.where(defined, 100.0 * np.exp(log_precisions.mean(axis=-1) + log_penalty), 0.0)


def bootstrap_sums(statistics: np.ndarray, samples: int = 1000, seed: int = 0) -> np.ndarray:
    """Sums of the statistics of sentences over test sets drawn with replacement (Koehn 2004).

    Every system is summed over the same drawn sentences, so that differences between systems are paired.

    Args:
        statistics: (systems, sentences, statistics), counts.
        samples: how many test sets are drawn, each of as many sentences as there are.
        seed: of the draws.

    Returns:
        Sums (systems, samples, statistics).

    Raises:
        ValueError: no sentence, or statistics of another shape.
    """
    counts = np.asarray(statistics, dtype=float)
    if counts.ndim != 3 or not counts.shape[1]:
        raise ValueError(f"statistics have the shape {counts.shape}, not (systems, sentences, statistics)")
    sentences = counts.shape[1]
    drawn = np.random.default_rng(seed).multinomial(sentences, np.full(sentences, 1 / sentences), samples)
    return np.einsum("bs,msk->mbk", drawn.astype(float), counts, optimize=True)


def resample_seeds(values: np.ndarray, resampled: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A bootstrap distribution of the mean over seeds, for other test sentences and other seeds alike.

    With R seeds, each sample is the mean of the R models' scores on its drawn sentences, plus s/√R · t, where s is
    the standard deviation of the scores over seeds on the whole test set and t a draw from Student's t with R − 1
    degrees of freedom. Where sentences do not matter, its percentiles are those of `mean_interval`. Drawing R seeds
    with replacement instead would give intervals far too narrow for the two to five seeds that one has: of 3 draws
    the extremes bound the median with probability 3/4 only. With one seed the distribution is that over
    sentences alone.

    Args:
        values: (seeds,), the score of each seed's model on the whole test set.
        resampled: (seeds, samples), the same on drawn test sets.
        random: draws t; independent for systems whose seeds have nothing to do with each other.

    Returns:
        Samples of the mean (samples,).
    """
    seeds, samples = resampled.shape
    mean = resampled.mean(axis=0)
    if seeds == 1:
        return mean
    return mean + np.std(values, ddof=1) / math.sqrt(seeds) * random.standard_t(seeds - 1, samples)


def percentile_interval(mean: float, samples: np.ndarray, count: int) -> MeanInterval:
    """The 95% percentile interval of bootstrap samples (samples,) of a mean over `count` seeds."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return MeanInterval(float(mean), float(low), float(high), count)


def bootstrap_p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that a difference is zero, from its bootstrap samples (samples,).

    Twice the share of samples on the rarer side of zero, zero itself counting for both sides, at most 1. One is
    added to both counts, so that p is never 0 (Davison & Hinkley 1997, section 4.2).
    """
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return min(1.0, 2 * (rarer + 1) / (differences.size + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for the number of comparisons (Holm 1979), in the order given.

    The smallest of m is multiplied by m, the next by m − 1, …; none falls below one before it or exceeds 1.
    """
    order = np.argsort(p_values, kind="stable")
    corrected = np.asarray(p_values, dtype=float)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(corrected[order] * factors))
    return corrected.tolist()
