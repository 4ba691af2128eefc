"""Pre-training: up to how many labelled examples it pays."""

from collections.abc import Sequence

import pandas as pd

from analysis.claims.verdicts import Answer, Claim, Finding, Part, Verdict, verdict
from analysis.statistics.label_curves import CELL, SCRATCH, Gain, gains, label_curves
from analysis.statistics.summaries import LEAST_SEEDS, task_name
from analysis.tables.architectures import Architectures

CLAIM = Claim(
    "Pre-training",
    "Pre-training on sentences without labels pays, the more so the fewer examples have labels.",
    "Radford et al. (2018), Devlin et al. (2019, arXiv:1810.04805)",
    "`lengthwise sweep experiments/sweeps/pretraining.yaml` measures it.",
    ("pretraining",),
)
WORTH = 0.05  # of accuracy, below which a gain is none

PRETRAINING_RULE = (
    "Pre-training, on one task with one architecture: its gain is the greedy token accuracy of a model that begins "
    "from pre-training less that of the same seed from scratch, which reads the same labelled examples. At a number "
    f"of examples with {LEAST_SEEDS} seeds or more it *pays* where the 95% t interval of the gain lies above 0, and "
    f"*does not pay* where it lies below {WORTH:g}; anything else *cannot be told*. It *pays up to N labelled "
    "examples*, where N is the greatest number at which it pays. The claim *holds* where there is such a number, and "
    "*in part* where at a smaller one it does not pay; it *does not hold* where it does not pay at any number. Trials "
    "that used up their budget of steps are left out."
)


def pays(gain: Gain) -> Answer:
    """Whether pre-training pays at a number of examples, by `PRETRAINING_RULE`."""
    if gain.gain.count < LEAST_SEEDS:
        return Answer.UNTOLD
    if gain.gain.low > 0:
        return Answer.HOLDS
    return Answer.FAILS if gain.gain.high < WORTH else Answer.UNTOLD


def pays_up_to(measured: Sequence[Gain]) -> tuple[Answer, int | None]:
    """The answer by `PRETRAINING_RULE`, and up to how many examples it pays, where it does."""
    answers = {gain.examples: pays(gain) for gain in measured}
    paying = [examples for examples, answer in answers.items() if answer == Answer.HOLDS]
    if not paying:
        return (Answer.FAILS if set(answers.values()) == {Answer.FAILS} else Answer.UNTOLD), None
    smaller = [answer for examples, answer in answers.items() if examples < max(paying)]
    return (Answer.IN_PART if Answer.FAILS in smaller else Answer.HOLDS), max(paying)


def pretraining_verdict(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Verdict:
    """What trials on few and on many labelled examples say of the claim."""
    findings = []
    for (task, vocabulary, length, line), cell in label_curves(results, trials).groupby(CELL):
        for name in sorted(set(cell["init_from"]) - {SCRATCH}):
            measured = gains(cell[cell["init_from"].isin([SCRATCH, name])])
            answer, most = pays_up_to(measured)
            [shown] = architectures.names([str(line)]).values()
            where = (
                f"{task_name(task, vocabulary)}, up to {length}, {shown}, {name}: {in_words(answer, most, measured)}"
            )
            parts = tuple(
                Part(f"It pays with {one.examples:,} labelled examples", pays(one), _gain(one)) for one in measured
            )
            findings.append(Finding(where, answer, parts))
    return verdict(CLAIM, findings)


def in_words(answer: Answer, most: int | None, measured: Sequence[Gain]) -> str:
    """`pre-training pays up to 300 labelled examples`."""
    if most is None:
        return "pre-training does not pay" if answer == Answer.FAILS else "whether pre-training pays cannot be told"
    greatest = "at least " if most == max(gain.examples for gain in measured) else ""
    part = ", not at all smaller numbers" if answer == Answer.IN_PART else ""
    return f"pre-training pays up to {greatest}{most:,} labelled examples{part}"


def _gain(one: Gain) -> str:
    mean, low, high, count = one.gain
    between = f" [{low:+.3f}, {high:+.3f}]" if count > 1 else ""
    return f"{mean:+.3f}{between}, n = {count}"
