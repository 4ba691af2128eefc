"""The fixed-context bottleneck: whether fixed contexts lose accuracy as sources grow, and attention does not."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis.claims.text_length import BLEU_RULE, text_finding
from analysis.claims.verdicts import Answer, Claim, Finding, Part, Verdict, across, negated, verdict, with_reason
from analysis.statistics.comparisons import Comparison
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.pairs import accuracy_pairs
from analysis.statistics.summaries import (
    PROPORTION,
    TASKS_IN_WORDS,
    TaskSetting,
    ended_badly,
    of_setting,
    settings_of,
    within_training,
    without_stopped,
)
from analysis.statistics.words import interval
from analysis.tables.architectures import Architectures

CLAIM = Claim(
    "Fixed-context bottleneck",
    "An encoder that hands over one fixed-size vector loses information as the source grows; attention removes the "
    "limit.",
    "Cho et al. (2014b, arXiv:1409.1259), Bahdanau et al. (2015, arXiv:1409.0473)",
    "No trial of a task that tests it was found (a task whose answer hardly grows does not); `lengthwise sweep "
    "sweep.yaml` runs some.",
    ("accuracy", "bleu_by_length"),
)
# However long the source is, a symbol has to pass, or two (unroll), or the numbers of five symbols (bucket-sort). Of
# tasks in words one word alone is scored.
NO_BOTTLENECK = (
    "first-token-recall", "parity", "even-pairs", "cycle-navigation", "modular-arithmetic", "missing-duplicate",
    "unroll", "bucket-sort", *TASKS_IN_WORDS,
)  # fmt: skip
LEVEL = 0.05  # of p-values, after Holm's correction
STILL_SOLVED = 0.95
NOT_CONVERGED = "not converged"

RULE = (
    f"*does not degrade*: the interval at the greatest length lies at or above {STILL_SOLVED}; *degrades*: it lies "
    "below the interval at the shortest length; *cannot be told from these runs*: anything else."
)
DEGRADES = {Answer.HOLDS: "degrades", Answer.FAILS: "does not degrade", Answer.UNTOLD: str(Answer.UNTOLD)}


def degrades(shortest: MeanInterval | None, longest: MeanInterval | None) -> tuple[Answer, str]:
    """Whether accuracy degrades between two lengths, by `RULE`, and why it cannot be told.

    Intervals that overlap do not show equality.

    Args:
        shortest: accuracy at the shortest length, with its 95% interval over seeds; None without a complete trial.
        longest: the same at the greatest length.
    """
    if longest is None or shortest is None:
        return Answer.UNTOLD, f"no complete trial at the {'greatest' if longest is None else 'shortest'} length"
    if math.isnan(longest.low):
        return Answer.UNTOLD, "one seed"
    if longest.low >= STILL_SOLVED:
        return Answer.FAILS, ""
    if math.isnan(shortest.low):
        return Answer.UNTOLD, "one seed"
    if longest.high < shortest.low:
        return Answer.HOLDS, ""
    return Answer.UNTOLD, "the intervals overlap"


class Change(NamedTuple):
    """What became of one architecture between the shortest and the greatest length of a task.

    Attributes:
        arch: its name, with options where they tell it apart.
        token_accuracy: at the greatest length.
        exact_match: at the greatest length.
        drop: of token accuracy, over the seeds that have both lengths.
        degrades: whether it degrades.
        reason: why that cannot be told.
        converged: whether any trial had converged before its budget was used up. Only those that had count; where none
            had, the numbers are those of all and the architecture is not judged.
    """

    arch: str
    token_accuracy: MeanInterval | None
    exact_match: MeanInterval | None
    drop: MeanInterval | None
    degrades: Answer
    reason: str
    converged: bool = True


def changes(results: pd.DataFrame, setting: TaskSetting, architectures: Architectures) -> tuple[int, int, list[Change]]:
    """The shortest and the greatest length of a setting, and what became of each architecture between them.

    Raises:
        ValueError: no greedy token accuracy at a length in training.
    """
    accuracy = of_setting(within_training(results, "greedy_token_accuracy"), setting)
    exact = of_setting(within_training(results, "greedy_exact_match"), setting)
    if accuracy.empty:
        raise ValueError(f"no greedy token accuracy for {setting}")
    shortest, longest = int(accuracy["length"].min()), int(accuracy["length"].max())
    changed = []
    judged = without_stopped(accuracy)
    for arch in architectures.names(accuracy["arch"]):
        converged = bool((judged["arch"] == arch).any())
        counted, matched = (judged, without_stopped(exact)) if converged else (accuracy, exact)
        at_longest = _interval(counted, arch, longest)
        drop = None if shortest == longest else _drop(counted, arch, shortest, longest)
        if not converged:
            answer, reason = Answer.UNTOLD, NOT_CONVERGED
        elif shortest == longest:
            answer, reason = Answer.UNTOLD, "one length"
        else:
            answer, reason = degrades(_interval(counted, arch, shortest), at_longest)
        changed.append(Change(arch, at_longest, _interval(matched, arch, longest), drop, answer, reason, converged))
    return shortest, longest, changed


BOTTLENECK_RULE = (
    f"Fixed-context bottleneck, on a synthetic task: each architecture *degrades*, *does not degrade*, or neither can "
    f"be told, between the shortest and the greatest length. {RULE} The claim *holds* where every architecture that "
    "could be told of the fixed contexts degrades and every one of those with attention does not, at least one of "
    "each kind; it *does not hold* where fixed contexts do not degrade, or where attention degrades as well without "
    "being ahead in any pair; it *holds in part* where the architectures of a kind differ, where attention degrades "
    "too but is ahead, where some architecture could not be told and attention is not ahead in every pair, or where "
    f"all that is sure is that it is ahead in every pair. Ahead: p < {LEVEL} in a pair of an architecture with "
    "attention and one with a fixed context at the greatest length (Welch's t, corrected by Holm's method for the "
    "number of pairs). One length tells nothing, and tasks whose answer hardly grows with the source are no test of "
    f"this claim and not judged: {', '.join(NO_BOTTLENECK)}. Trials that used up their budget before they had "
    "converged do not count. "
    f"On text: {BLEU_RULE}"
)


def bottleneck_answer(fixed: Answer, attention: Answer, ahead: Answer, complete: bool = True) -> Answer:
    """The answer of `BOTTLENECK_RULE` for a synthetic task.

    Args:
        fixed: whether fixed contexts degrade; IN_PART where some do and some do not.
        attention: whether attention does not degrade.
        ahead: whether attention is ahead at the greatest length; IN_PART where it is in some pairs.
        complete: every architecture of both kinds could be told.
    """
    if fixed == Answer.FAILS:
        return Answer.FAILS
    if (fixed, attention) == (Answer.HOLDS, Answer.FAILS) and ahead not in (Answer.HOLDS, Answer.IN_PART):
        return Answer.FAILS
    if (fixed, attention) == (Answer.HOLDS, Answer.HOLDS) and (complete or ahead == Answer.HOLDS):
        return Answer.HOLDS
    if Answer.UNTOLD not in (fixed, attention) or ahead == Answer.HOLDS:
        return Answer.IN_PART
    return Answer.UNTOLD


def bottleneck_verdict(
    results: pd.DataFrame, failures: pd.DataFrame, compared: Sequence[Comparison], architectures: Architectures
) -> Verdict:
    """What synthetic tasks and translations say of the bottleneck.

    Args:
        results: the tidy table.
        failures: trials that ended badly; they are in no mean, and each mean says how many there are.
        compared: trials on text.
        architectures: what the architectures say of themselves.
    """
    settings = settings_of(within_training(results, "greedy_token_accuracy"))
    findings = [
        _of_setting(results, failures, setting, architectures)
        for setting in settings
        if setting.task not in NO_BOTTLENECK
    ]
    return verdict(CLAIM, [*findings, *(text_finding(comparison, compared) for comparison in compared)])


def _of_setting(
    results: pd.DataFrame, failures: pd.DataFrame, setting: TaskSetting, architectures: Architectures
) -> Finding:
    shortest, longest, changed = changes(results, setting, architectures)
    names = architectures.names(results["arch"])

    def in_words(change: Change) -> str:
        accuracy, lost = change.token_accuracy, ended_badly(failures, change.arch, setting, longest)
        numbers = [interval(accuracy), f"n = {accuracy.count}"] if accuracy else []
        judged = "cannot be told" if change.degrades == Answer.UNTOLD else DEGRADES[change.degrades]
        listed = ", ".join([*numbers, *([lost] if lost else [])])
        return f"{names[change.arch]} {listed}: {with_reason(judged, change.reason)}"

    def part(statement: str, of_kind: Sequence[Change], keeps: bool = False) -> Part:
        nothing = "none was run" if len(judged) == len(changed) else "none that was run had converged"
        answer = across(negated(change.degrades) if keeps else change.degrades for change in of_kind)
        return Part(statement, answer, "; ".join(map(in_words, of_kind)) or nothing)

    if shortest == longest:
        one_length = Part(
            "Fixed contexts lose accuracy with length, models with attention keep it",
            Answer.UNTOLD,
            f"one length only, {longest} tokens; train at several",
        )
        return Finding(str(setting), Answer.UNTOLD, (one_length,))
    where = f"{shortest} to {longest} tokens"
    judged = [change for change in changed if change.converged]
    fixed, attention = (
        [change for change in judged if architectures[change.arch].attends is attends] for attends in (False, True)
    )
    parts = (
        part(f"Fixed contexts lose accuracy from {where}", fixed),
        part(f"Models with attention keep it from {where}", attention, keeps=True),
        _ahead(results, setting, longest, architectures),
    )
    complete = all(change.degrades != Answer.UNTOLD for change in [*fixed, *attention])
    answer = bottleneck_answer(*(part.answer for part in parts), complete=complete)
    return Finding(str(setting), answer, parts)


def _ahead(results: pd.DataFrame, setting: TaskSetting, longest: int, architectures: Architectures) -> Part:
    pairs = accuracy_pairs(results, setting, architectures)
    significant = [pair for pair in pairs if pair.corrected < LEVEL]
    better = [pair for pair in significant if pair.difference.mean > 0]
    answer = Answer.UNTOLD
    if pairs and len(better) == len(pairs):
        answer = Answer.HOLDS
    elif significant:
        answer = Answer.IN_PART if better else Answer.FAILS
    measured = f"{len(better)} of {len(pairs)} pairs, p < {LEVEL} after Holm's correction"
    statement = f"At {longest} tokens attention is ahead of every fixed context"
    return Part(statement, answer, measured if pairs else "no pair with two seeds each")


def _interval(rows: pd.DataFrame, arch: str, length: int) -> MeanInterval | None:
    values = rows[(rows["arch"] == arch) & (rows["length"] == length)]["value"]
    return mean_interval(values.to_numpy()).clipped(*PROPORTION) if len(values) else None


def _drop(rows: pd.DataFrame, arch: str, shortest: int, longest: int) -> MeanInterval | None:
    """Accuracy lost from the shortest to the greatest length, paired by seed."""
    by_seed = rows[rows["arch"] == arch].pivot_table(index="seed", columns="length", values="value")
    if shortest not in by_seed or longest not in by_seed:
        return None
    lost = (by_seed[shortest] - by_seed[longest]).dropna()
    return mean_interval(lost.to_numpy()).clipped(-1, 1) if len(lost) else None
