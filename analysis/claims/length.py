"""What the runs allow to say about length and accuracy, and what they do not."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.figures.style import styles
from analysis.statistics.comparisons import Comparison, Distribution, scored
from analysis.statistics.intervals import (
    MeanInterval,
    bootstrap_p_value,
    corpus_bleu,
    holm,
    mean_interval,
    percentile_interval,
)
from analysis.statistics.summaries import PROPORTION, SETTING, at_train_length

STILL_SOLVED = 0.95
RULE = (
    f"*does not degrade*: the interval at the greatest length lies at or above {STILL_SOLVED}; *degrades*: it lies "
    "below the interval at the shortest length; *cannot be told from these runs*: anything else."
)
UNTOLD = "cannot be told from these runs"

STILL_KEPT = 0.9  # share of the BLEU of short sentences
BLEU_RULE = (
    "The share kept is BLEU on the longest range of source lengths over BLEU on the shortest, averaged over seeds and "
    f"over the architectures of a kind. *Holds*: the interval of attention lies at or above {STILL_KEPT:.0%}, that of "
    "fixed contexts below it; *holds in part*: attention keeps more, by an interval above 0, but one of the two is "
    f"not so; *does not hold*: fixed contexts lie at or above {STILL_KEPT:.0%}, or keep more by an interval above 0; "
    "*cannot be told from these runs*: anything else, and always with one seed or one kind of architecture."
)


class Change(NamedTuple):
    """What became of one architecture between the shortest and the greatest length of a task."""

    arch: str
    token_accuracy: MeanInterval | None  # at the greatest length
    exact_match: MeanInterval | None  # at the greatest length
    drop: MeanInterval | None  # of token accuracy, over the seeds that have both lengths
    verdict: str


def verdict(shortest: MeanInterval | None, longest: MeanInterval | None) -> str:
    """Whether accuracy degrades between two lengths, judged by its 95% intervals over seeds.

    "does not degrade" if the interval at the greatest length lies at or above 0.95; else "degrades" if it lies
    below that at the shortest length; else "cannot be told from these runs", with the reason: a length without
    runs, fewer than two seeds, or intervals that overlap. Intervals that overlap do not show equality.
    """
    if longest is None or shortest is None:
        return f"{UNTOLD}: no complete trial at the {'greatest' if longest is None else 'shortest'} length"
    if math.isnan(longest.low):
        return f"{UNTOLD}: one seed"
    if longest.low >= STILL_SOLVED:
        return "does not degrade"
    if math.isnan(shortest.low):
        return f"{UNTOLD}: one seed"
    if longest.high < shortest.low:
        return "degrades"
    return f"{UNTOLD}: the intervals overlap"


def changes(results: pd.DataFrame, task: str, vocabulary: int) -> tuple[int, int, list[Change]]:
    """The shortest and the greatest train length of a task, and what became of each architecture between them.

    Raises:
        ValueError: no greedy token accuracy at a train length.
    """
    accuracy = _of_setting(at_train_length(results, "greedy_token_accuracy"), task, vocabulary)
    exact = _of_setting(at_train_length(results, "greedy_exact_match"), task, vocabulary)
    if accuracy.empty:
        raise ValueError(f"no greedy token accuracy for {task}")
    shortest, longest = int(accuracy["train_length"].min()), int(accuracy["train_length"].max())
    found = []
    for arch in styles(accuracy["arch"]):
        at_longest = _interval(accuracy, arch, longest)
        if shortest == longest:
            said = f"{UNTOLD}: one length"
        else:
            said = verdict(_interval(accuracy, arch, shortest), at_longest)
        drop = None if shortest == longest else _drop(accuracy, arch, shortest, longest)
        found.append(Change(arch, at_longest, _interval(exact, arch, longest), drop, said))
    return shortest, longest, found


def _of_setting(rows: pd.DataFrame, task: str, vocabulary: int) -> pd.DataFrame:
    return rows[(rows[SETTING[0]] == task) & (rows[SETTING[1]] == vocabulary)]


def _interval(rows: pd.DataFrame, arch: str, length: int) -> MeanInterval | None:
    values = rows[(rows["arch"] == arch) & (rows["train_length"] == length)]["value"]
    return mean_interval(values.to_numpy()).clipped(*PROPORTION) if len(values) else None


def _drop(rows: pd.DataFrame, arch: str, shortest: int, longest: int) -> MeanInterval | None:
    """Accuracy lost from the shortest to the greatest length, paired by seed."""
    by_seed = rows[rows["arch"] == arch].pivot_table(index="seed", columns="train_length", values="value")
    if shortest not in by_seed or longest not in by_seed:
        return None
    lost = (by_seed[shortest] - by_seed[longest]).dropna()
    return mean_interval(lost.to_numpy()).clipped(-1, 1) if len(lost) else None


class LengthClaim(NamedTuple):
    """What became of BLEU between the shortest and the longest sentences, with attention and without."""

    attention: MeanInterval | None  # share of BLEU kept
    fixed: MeanInterval | None
    advantage: MeanInterval | None  # share kept with attention less share kept without, on the same sentences
    verdict: str


class Pair(NamedTuple):
    """BLEU of an architecture with attention less that of one with a fixed context, on the longest sentences."""

    attention: str
    fixed: str
    difference: MeanInterval
    p_value: float
    corrected: float  # for the number of pairs, by Holm's method


def length_claim(comparison: Comparison) -> LengthClaim:
    """Whether attention keeps BLEU on long sentences and a fixed context loses it, judged by `BLEU_RULE`."""
    if len(comparison.buckets) < 2:
        return LengthClaim(None, None, None, f"{UNTOLD}: one range of lengths")
    if not corpus_bleu(comparison.buckets[0].resampled).all():  # no share of nothing can be kept
        return LengthClaim(None, None, None, f"{UNTOLD}: BLEU of 0 on the shortest sentences")
    attention, fixed = _share_kept(comparison, attending=True), _share_kept(comparison, attending=False)
    with_attention = attention.interval() if attention else None
    without = fixed.interval() if fixed else None
    if attention is None or fixed is None:
        missing = "no architecture with attention" if attention is None else "no architecture with a fixed context"
        return LengthClaim(with_attention, without, None, f"{UNTOLD}: {missing}")
    advantage = _difference(attention, fixed)
    if advantage.count == 1:
        said = f"{UNTOLD}: one seed"
    else:
        said = length_verdict(attention.interval(), fixed.interval(), advantage)
    return LengthClaim(with_attention, without, advantage, said)


def length_verdict(attention: MeanInterval, fixed: MeanInterval, advantage: MeanInterval) -> str:
    """The verdict of `BLEU_RULE` from the shares of BLEU kept and their difference."""
    if fixed.low >= STILL_KEPT or advantage.high < 0:
        return "does not hold"
    if advantage.low <= 0:
        return f"{UNTOLD}: the interval of the difference holds 0"
    if attention.low < STILL_KEPT:
        return f"holds in part: attention keeps more, but not surely {STILL_KEPT:.0%}"
    if fixed.high >= STILL_KEPT:
        return f"holds in part: attention keeps more, but fixed contexts may keep {STILL_KEPT:.0%} too"
    return "holds"


def pairs(comparison: Comparison) -> list[Pair]:
    """Every architecture with attention against every one with a fixed context, on the longest sentences.

    The differences are paired: both are scored on the same drawn sentences.
    """
    if not comparison.buckets:
        return []
    longest = comparison.buckets[-1]
    scores = {arch: scored(comparison, arch, longest) for arch in comparison.archs}
    found = []
    for attention in _of_kind(comparison, attending=True):
        for fixed in _of_kind(comparison, attending=False):
            p_value = bootstrap_p_value(scores[attention].samples - scores[fixed].samples)
            found.append(Pair(attention, fixed, _difference(scores[attention], scores[fixed]), p_value, math.nan))
    corrected = holm([pair.p_value for pair in found])
    return [pair._replace(corrected=value) for pair, value in zip(found, corrected, strict=True)]


def _of_kind(comparison: Comparison, attending: bool) -> list[str]:
    """The architectures that attend to the source, or those that do not, in the order of tables."""
    return [arch for arch in styles(comparison.archs) if (arch in comparison.attending) == attending]


def _share_kept(comparison: Comparison, attending: bool) -> Distribution | None:
    """BLEU on the longest sentences over BLEU on the shortest, the mean over the architectures of a kind."""
    archs = _of_kind(comparison, attending)
    if not archs:
        return None
    shortest, longest = comparison.buckets[0], comparison.buckets[-1]
    values = corpus_bleu(longest.totals) / corpus_bleu(shortest.totals)  # (trials,)
    resampled = corpus_bleu(longest.resampled) / corpus_bleu(shortest.resampled)  # (trials, samples)
    each = [comparison.distribution(arch, values, resampled) for arch in archs]
    return Distribution(
        float(np.mean([one.mean for one in each])),
        np.mean([one.samples for one in each], axis=0),
        min(one.seeds for one in each),
    )


def _difference(first: Distribution, second: Distribution) -> MeanInterval:
    return percentile_interval(first.mean - second.mean, first.samples - second.samples, min(first.seeds, second.seeds))
