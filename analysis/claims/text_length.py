"""BLEU and sentence length: whether attention keeps BLEU on long sentences and a fixed context loses it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.claims.verdicts import Answer, Finding, Part
from analysis.statistics.comparisons import Comparison, Distribution, setting_title
from analysis.statistics.intervals import MeanInterval, corpus_bleu
from analysis.statistics.words import percent

STILL_KEPT = 0.9  # share of the BLEU of short sentences
BLEU_RULE = (
    "The share kept is BLEU on the longest range of source lengths over BLEU on the shortest, averaged over seeds and "
    f"over the architectures of a kind. *Holds*: the interval of attention lies at or above {STILL_KEPT:.0%}, that of "
    "fixed contexts below it; *holds in part*: attention keeps more, by an interval above 0, but one of the two is "
    f"not so; *does not hold*: fixed contexts lie at or above {STILL_KEPT:.0%}, or keep more by an interval above 0; "
    "*cannot be told from these runs*: anything else, and always with one seed or one kind of architecture."
)


def length_answer(attention: MeanInterval, fixed: MeanInterval, advantage: MeanInterval) -> tuple[Answer, str]:
    """The answer of `BLEU_RULE` from the shares of BLEU kept and their difference, and what keeps it from holding."""
    if fixed.low >= STILL_KEPT or advantage.high < 0:
        return Answer.FAILS, ""
    if advantage.low <= 0:
        return Answer.UNTOLD, "the interval of the difference holds 0"
    if attention.low < STILL_KEPT:
        return Answer.IN_PART, f"attention keeps more, but not surely {STILL_KEPT:.0%}"
    if fixed.high >= STILL_KEPT:
        return Answer.IN_PART, f"attention keeps more, but fixed contexts may keep {STILL_KEPT:.0%} too"
    return Answer.HOLDS, ""


class LengthClaim(NamedTuple):
    """What became of BLEU between the shortest and the longest sentences, with attention and without.

    Attributes:
        answer: by `BLEU_RULE`.
        reason: what keeps it from holding.
        attention: share of BLEU kept with attention.
        fixed: share kept with a fixed context.
        advantage: share kept with attention less share kept without, on the same sentences.
    """

    answer: Answer
    reason: str
    attention: MeanInterval | None = None
    fixed: MeanInterval | None = None
    advantage: MeanInterval | None = None


def length_claim(comparison: Comparison) -> LengthClaim:
    """Whether attention keeps BLEU on long sentences and a fixed context loses it, judged by `BLEU_RULE`."""
    if not comparison.has_bleu:
        return LengthClaim(Answer.UNTOLD, "BLEU is undefined")
    if len(comparison.buckets) < 2:
        return LengthClaim(Answer.UNTOLD, "one range of lengths")
    if not corpus_bleu(comparison.buckets[0].resampled).all():  # no share of nothing can be kept
        return LengthClaim(Answer.UNTOLD, "BLEU of 0 on the shortest sentences")
    attention, fixed = (_share_kept(comparison, attends) for attends in (True, False))
    shares = (attention.interval() if attention else None, fixed.interval() if fixed else None)
    if attention is None or fixed is None:
        missing = "no architecture with attention" if attention is None else "no architecture with a fixed context"
        return LengthClaim(Answer.UNTOLD, missing, *shares)
    advantage = attention.less(fixed)
    if advantage.count == 1:
        return LengthClaim(Answer.UNTOLD, "one seed", *shares, advantage)
    return LengthClaim(*length_answer(attention.interval(), fixed.interval(), advantage), *shares, advantage)


def text_finding(comparison: Comparison, compared: Sequence[Comparison]) -> Finding:
    """What the trials of a comparison, one of those compared, say of the bottleneck."""
    claim = length_claim(comparison)
    shares = [
        f"{kind} {percent(share)}, n = {share.count} a model"
        for kind, share in (("attention", claim.attention), ("fixed contexts", claim.fixed))
        if share
    ]
    measured = "; ".join([*shares, *([claim.reason] if claim.reason else [])])
    title = ", ".join(setting_title(comparison.setting, compared))
    statement = "Attention keeps its BLEU on long sentences, a fixed context loses it (share kept)"
    part = Part(statement, claim.answer, measured)
    return Finding(f"{title}, trained up to {comparison.train_length}", claim.answer, (part,))


def _share_kept(comparison: Comparison, attends: bool) -> Distribution | None:
    """BLEU on the longest sentences over BLEU on the shortest, the mean over the architectures of a kind."""
    archs = comparison.of_kind(attends)
    if not archs:
        return None
    shortest, longest = comparison.buckets[0], comparison.buckets[-1]
    values = corpus_bleu(longest.totals) / corpus_bleu(shortest.totals)  # (trials,)
    resampled = corpus_bleu(longest.resampled) / corpus_bleu(shortest.resampled)  # (trials, samples)
    shares = [comparison.distribution(arch, values, resampled) for arch in archs]
    return Distribution(
        float(np.mean([share.mean for share in shares])),
        np.mean([share.samples for share in shares], axis=0),
        min(share.seeds for share in shares),
    )
