"""What the runs allow to say about length and accuracy, and what they do not."""

import math
from typing import NamedTuple

from analysis.frames import Frame
from analysis.statistics import MeanInterval, mean_interval
from analysis.style import styles
from analysis.summaries import PROPORTION, SETTING, at_train_length

STILL_SOLVED = 0.95
RULE = (
    f"*does not degrade*: the interval at the greatest length lies at or above {STILL_SOLVED}; *degrades*: it lies "
    "below the interval at the shortest length; *cannot be told from these runs*: anything else."
)
UNTOLD = "cannot be told from these runs"


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


def changes(results: Frame, task: str, vocabulary: int) -> tuple[int, int, list[Change]]:
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


def _of_setting(rows: Frame, task: str, vocabulary: int) -> Frame:
    return rows[(rows[SETTING[0]] == task) & (rows[SETTING[1]] == vocabulary)]


def _interval(rows: Frame, arch: str, length: int) -> MeanInterval | None:
    values = rows[(rows["arch"] == arch) & (rows["train_length"] == length)]["value"]
    return mean_interval(values.to_numpy()).clipped(*PROPORTION) if len(values) else None


def _drop(rows: Frame, arch: str, shortest: int, longest: int) -> MeanInterval | None:
    """Accuracy lost from the shortest to the greatest length, paired by seed."""
    by_seed = rows[rows["arch"] == arch].pivot_table(index="seed", columns="train_length", values="value")
    if shortest not in by_seed or longest not in by_seed:
        return None
    lost = (by_seed[shortest] - by_seed[longest]).dropna()
    return mean_interval(lost.to_numpy()).clipped(-1, 1) if len(lost) else None
