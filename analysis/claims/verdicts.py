"""What runs can say of a claim, and the rules across its settings and parts.

Each rule stands in words, as the report prints it, directly above the function that follows it. The rules of each claim
stand in analysis.claims.bottleneck, text_length, gradients and parallelism.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple


class Answer(StrEnum):
    """What the runs say of a claim, a setting or a part."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    FAILS = "does not hold"
    UNTOLD = "cannot be told from these runs"


class Agreement(StrEnum):
    """What the runs say of a published result."""

    AGREES = "agrees"
    DIRECTION = "agrees in direction"
    DISAGREES = "does not agree"
    UNTOLD = "cannot be told"


class Part(NamedTuple):
    """One thing that a claim says, and what was measured of it; `measured` gives each number its n."""

    statement: str
    answer: Answer
    measured: str


class Finding(NamedTuple):
    """What one setting, a task or a machine, says of a claim."""

    where: str
    answer: Answer
    parts: tuple[Part, ...]


class Claim(NamedTuple):
    """What courses and papers repeat: its title, what it says, who said it, how to measure it with the suite, and the
    figures that show it best."""

    title: str
    statement: str
    by_whom: str
    how_to_measure: str
    figures: tuple[str, ...]


class Verdict(NamedTuple):
    """A claim and what these runs say of it."""

    claim: Claim
    answer: Answer
    findings: tuple[Finding, ...]


SETTINGS_RULE = (
    "A claim is judged in each setting (a task, a test set, a phase of training, a machine) and then as a whole, by "
    "the settings that could be told: *holds* or *does not hold* where all of them say so, otherwise *holds in "
    "part*. It *cannot be told* where no setting could."
)


def across(answers: Iterable[Answer]) -> Answer:
    """The answer of all settings together, by `SETTINGS_RULE`."""
    told = set(answers) - {Answer.UNTOLD}
    if len(told) > 1:
        return Answer.IN_PART
    return told.pop() if told else Answer.UNTOLD


PARTS_RULE = (
    "Where a claim says several things (gradient flow, counted operations), it *holds* if all of them do, *does not "
    "hold* if none does, *holds in part* if some do and others do not, and *cannot be told* otherwise: what is missing "
    "could turn it either way."
)


def together(parts: Iterable[Part]) -> Answer:
    """The answer of parts that a claim says all of, by `PARTS_RULE`."""
    answers = {part.answer for part in parts}
    if Answer.IN_PART in answers or {Answer.HOLDS, Answer.FAILS} <= answers:
        return Answer.IN_PART
    return answers.pop() if len(answers) == 1 else Answer.UNTOLD


def answer_to(truth: bool | None) -> Answer:
    """The answer where a statement is true, false or unknown."""
    return {True: Answer.HOLDS, False: Answer.FAILS, None: Answer.UNTOLD}[truth]


def negated(answer: Answer) -> Answer:
    """The answer to the opposite statement; of one that holds in part, or cannot be told, the same."""
    return {Answer.HOLDS: Answer.FAILS, Answer.FAILS: Answer.HOLDS}.get(answer, answer)


def with_reason(words: str, reason: str) -> str:
    """`cannot be told: one seed`."""
    return f"{words}: {reason}" if reason else words


def verdict(claim: Claim, findings: Sequence[Finding]) -> Verdict:
    """The verdict on a claim from what its settings say."""
    return Verdict(claim, across(finding.answer for finding in findings), tuple(findings))
