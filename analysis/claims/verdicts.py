"""The verdicts on the three claims, and every rule that turns numbers into one.

This is the one place where it is decided whether a claim holds. Each rule stands in words, as the report prints it
(`RULES`), directly above the function that follows it. The intervals and tests underneath are those of
analysis.claims.length, analysis.report.parallelism and analysis.statistics.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import pandas as pd

from analysis.claims.gradient_statements import AGREES, DISAGREES, PARTLY, by_setting, exponential_vanilla, statements
from analysis.claims.length import BLEU_RULE, RULE, Change, changes, length_claim
from analysis.figures.style import styles
from analysis.report.parallelism import MACHINE, THEORY, law, law_text
from analysis.report.parallelism import setting_name as machine_setting
from analysis.statistics.accuracy_pairs import accuracy_pairs
from analysis.statistics.comparisons import Comparison, setting_title
from analysis.statistics.gradient_fits import LEAST_R_SQUARED, Fit
from analysis.statistics.summaries import SETTING, at_train_length, ended_badly, setting_name
from analysis.statistics.words import interval, listing
from analysis.tables.kinds import NO_BOTTLENECK, attending, fixed_context

LEVEL = 0.05  # of p-values, after Holm's correction
LEAST_REPEATS = 3  # of a timed step; fewer have no quartiles worth the name


class Answer(StrEnum):
    """What the runs say of a claim, a setting or a part."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    FAILS = "does not hold"
    UNTOLD = "cannot be told from these runs"


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


class Verdict(NamedTuple):
    """A claim, who made it, and what these runs say of it."""

    key: str
    claim: str
    by_whom: str
    answer: Answer
    findings: tuple[Finding, ...]


CLAIMS = {
    "bottleneck": (
        "An encoder that hands over one fixed-size vector loses information as the source grows; attention removes "
        "the limit.",
        "Cho et al. (2014b, arXiv:1409.1259), Bahdanau et al. (2015, arXiv:1409.0473)",
    ),
    "gradients": (
        "The learning signal that reaches a source token shrinks with its distance from the loss: exponentially in a "
        "vanilla RNN, slower in LSTM and GRU, hardly at all along an attention path.",
        "Hochreiter (1991), Bengio et al. (1994), Pascanu et al. (2013, arXiv:1211.5063)",
    ),
    "parallelism": (
        "In training, a recurrent model needs O(n) operations one after the other, a transformer O(1), which makes its "
        "step the faster one.",
        "Vaswani et al. (2017, arXiv:1706.03762, Table 1)",
    ),
}

SETTINGS_RULE = (
    "A claim is judged in each setting (a task, a test set, a phase of training, a machine) and then as a whole, by "
    "the settings that could be told: *holds* or *does not hold* where all of them say so, otherwise *holds in "
    "part*. It *cannot be told* where no setting could."
)


def across(findings: Iterable[Finding]) -> Answer:
    """The answer of all settings together, by `SETTINGS_RULE`."""
    told = {finding.answer for finding in findings} - {Answer.UNTOLD}
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


BOTTLENECK_RULE = (
    f"Fixed-context bottleneck, on a synthetic task: each architecture *degrades*, *does not degrade*, or neither can "
    f"be told, between the shortest and the greatest length. {RULE} The claim *holds* where every architecture that "
    "could be told of the fixed contexts degrades and every one of those with attention does not, at least one of "
    "each kind; it *does not hold* where fixed contexts do not degrade, or where attention degrades as well without "
    "being ahead in any pair; it *holds in part* where the architectures of a kind differ, where attention degrades "
    "too but is ahead, where some architecture could not be told and attention is not ahead in every pair, or where "
    f"all that is sure is that it is ahead in every pair. Ahead: p < {LEVEL} in a pair of an architecture with "
    "attention and one with a fixed context at the greatest length (Welch's t, corrected by Holm's method for the "
    "number of pairs). One length tells nothing, and recall of a single symbol is no test of this claim. "
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


def bottleneck_verdict(results: pd.DataFrame, failures: pd.DataFrame, compared: Sequence[Comparison]) -> Verdict:
    """What synthetic tasks and translations say of the bottleneck.

    Args:
        results: the tidy table.
        failures: trials that ended badly; they are in no mean, and each mean says how many there are.
        compared: trials on text.
    """
    accuracy = at_train_length(results, "greedy_token_accuracy")
    settings = accuracy[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None)
    findings = [_of_task(results, failures, *setting) for setting in settings if setting[0] not in NO_BOTTLENECK]
    return _verdict("bottleneck", [*findings, *(_of_text(each, compared) for each in compared)])


def _of_task(results: pd.DataFrame, failures: pd.DataFrame, task: str, vocabulary: int) -> Finding:
    shortest, longest, found = changes(results, task, vocabulary)
    names = {arch: look.name for arch, look in styles(results["arch"]).items()}

    def said(change: Change) -> str:
        lost = ended_badly(failures, change.arch, task, longest)
        numbers = []
        if change.token_accuracy:
            numbers = [interval(change.token_accuracy), f"n = {change.token_accuracy.count}"]
        judged = change.verdict.replace(Answer.UNTOLD, "cannot be told")
        return f"{names[change.arch]} {', '.join([*numbers, *([lost] if lost else [])])}: {judged}"

    def part(statement: str, own: Sequence[Change], good: str, bad: str) -> Part:
        told = {change.verdict for change in own} & {good, bad}
        answer = Answer.IN_PART if len(told) > 1 else Answer.UNTOLD
        if len(told) == 1:
            answer = Answer.HOLDS if told == {good} else Answer.FAILS
        return Part(statement, answer, "; ".join(map(said, own)) or "none was run")

    if shortest == longest:
        why = f"one length only, {longest} tokens; train at several"
        part_of_one = Part(
            "Fixed contexts lose accuracy with length, models with attention keep it", Answer.UNTOLD, why
        )
        return Finding(setting_name(task, vocabulary), Answer.UNTOLD, (part_of_one,))
    where = f"{shortest} to {longest} tokens"
    fixed, attention = ([one for one in found if kind(one.arch)] for kind in (fixed_context, attending))
    parts = (
        part(f"Fixed contexts lose accuracy from {where}", fixed, "degrades", "does not degrade"),
        part(f"Models with attention keep it from {where}", attention, "does not degrade", "degrades"),
        _ahead(results, task, vocabulary, longest),
    )
    complete = all(change.verdict in ("degrades", "does not degrade") for change in [*fixed, *attention])
    answer = bottleneck_answer(*(part.answer for part in parts), complete=complete)
    return Finding(setting_name(task, vocabulary), answer, parts)


def _ahead(results: pd.DataFrame, task: str, vocabulary: int, longest: int) -> Part:
    pairs = accuracy_pairs(results, task, vocabulary)
    surely = [pair for pair in pairs if pair.corrected < LEVEL]
    better = [pair for pair in surely if pair.difference.mean > 0]
    answer = Answer.UNTOLD
    if pairs and len(better) == len(pairs):
        answer = Answer.HOLDS
    elif better:
        answer = Answer.IN_PART
    elif surely:
        answer = Answer.FAILS
    measured = f"{len(better)} of {len(pairs)} pairs, p < {LEVEL} after Holm's correction" if pairs else (
        "no pair with two seeds each"
    )  # fmt: skip
    return Part(f"At {longest} tokens attention is ahead of every fixed context", answer, measured)


def _of_text(comparison: Comparison, compared: Sequence[Comparison]) -> Finding:
    claim = length_claim(comparison)
    answer = next(answer for answer in (Answer.IN_PART, Answer.HOLDS, Answer.FAILS, Answer.UNTOLD)
                  if claim.verdict.startswith(answer))  # fmt: skip
    shares = [
        f"{kind} {share.mean:.0%} [{share.low:.0%}, {share.high:.0%}], n = {share.count} a model"
        for kind, share in (("attention", claim.attention), ("fixed contexts", claim.fixed))
        if share
    ]
    reason = claim.verdict.partition(": ")[2]
    measured = "; ".join([*shares, *([reason] if reason else [])])
    title = ", ".join(setting_title(comparison.setting, compared))
    part = Part("Attention keeps its BLEU on long sentences, a fixed context loses it (share kept)", answer, measured)
    return Finding(f"{title}, trained up to {comparison.train_length}", answer, (part,))


GRADIENT_RULE = (
    "Vanishing gradients, for each task before and after training, at its greatest length, architectures with default "
    f"options: a decay is *exponential* where log norm falls in a straight line (R² of {LEAST_R_SQUARED} or more in "
    "every seed) and the 95% interval of the decay per step lies below 1; one decay is *slower* than another where "
    "their intervals do not overlap, and *more signal* is left of one than of another likewise. Luong's local "
    "attention, which has no path outside its window, is shown but not judged by what it leaves at the greatest "
    "distance. The parts are those printed with the verdict."
)
OF_STATEMENTS = {AGREES: Answer.HOLDS, PARTLY: Answer.IN_PART, DISAGREES: Answer.FAILS}


def gradient_verdict(found: Sequence[Fit]) -> Verdict:
    """What the measured decays say of vanishing gradients, by `GRADIENT_RULE` and `PARTS_RULE`."""
    by_where: dict[str, list[Part]] = {}
    for one in [*exponential_vanilla(found), *statements(found)]:
        part = Part(one.claim, OF_STATEMENTS.get(one.verdict, Answer.UNTOLD), one.reason)
        by_where.setdefault(one.where, []).append(part)
    seeds = {where: _seeds(fits.values()) for where, fits in by_setting(found)}
    return _verdict(
        "gradients",
        [Finding(f"{where}, {seeds[where]}", together(parts), tuple(parts)) for where, parts in by_where.items()],
    )


def _seeds(found: Iterable[Fit]) -> str:
    counts = {fit.decay.count for fit in found if fit.decay} or {0}
    return f"n = {min(counts)} seeds" if len(counts) == 1 else f"n = {min(counts)} to {max(counts)} seeds"


PARALLELISM_RULE = (
    "Training-time parallelism: operations are counted exactly, so no interval is needed. A recurrent model's count "
    "must be a straight line in the length that rises, the transformer's a constant. The clock is another setting, "
    "one for each machine: it *holds* there if at the greatest length that all were timed at a training step of the "
    "transformer takes less time than that of every recurrent model timed, by quartiles over repeated steps that do "
    "not overlap, *does not hold* if it takes more than every one, *in part* if more than some and less than others, "
    f"and *cannot be told* otherwise or from fewer than {LEAST_REPEATS} repeats."
)


def parallelism_verdict(results: pd.DataFrame) -> Verdict:
    """What counts and timings say of parallelism; `results` is the table of `lengthwise parallelism`."""
    findings = [_counted(results)] if (results["metric"] == "sequential_depth").any() else []
    timed = results[(results["metric"] == "step_seconds") & (results["sweep"] == "fixed_batch")]
    machines = timed[MACHINE].drop_duplicates().itertuples(index=False, name=None)
    findings += [_on_the_clock(timed[(timed[MACHINE] == list(machine)).all(axis=1)], machine) for machine in machines]
    return _verdict("parallelism", findings)


def _counted(results: pd.DataFrame) -> Finding:
    lengths = sorted(results[results["metric"] == "sequential_depth"]["length"].astype(int).unique())

    def part(statement: str, order: str, rises: bool) -> Part:
        said, answers = [], set()
        for arch, look in styles(results["arch"].dropna()).items():
            line = law(results, arch, "sequential_depth")
            if THEORY.get(arch, ("", "", ""))[1] != order:
                continue
            said.append(f"{look.name} {law_text(results, arch, 'sequential_depth')}")
            answers.add(line is not None and (line.slope > 0 if rises else line.slope == 0))
        answer = Answer.IN_PART if len(answers) > 1 else Answer.UNTOLD
        if len(answers) == 1:
            answer = Answer.HOLDS if answers == {True} else Answer.FAILS
        if len(lengths) < 2:  # through one point goes every line
            answer = Answer.UNTOLD
        return Part(statement, answer, "; ".join(said) or "none was counted")

    parts = (
        part("The operations of recurrent models that wait for each other grow with the length", "O(n)", True),
        part("Those of the transformer do not", "O(1)", False),
    )
    return Finding(f"operations counted at lengths {listing(lengths)}", together(parts), parts)


def _on_the_clock(timed: pd.DataFrame, machine: tuple) -> Finding:
    where = f"clock: {machine[1]}, {machine_setting(machine)}"
    parallel = [arch for arch in timed["arch"].unique() if THEORY.get(arch, ("", "", ""))[1] == "O(1)"]
    serial = timed[[THEORY.get(arch, ("", "", ""))[1] == "O(n)" for arch in timed["arch"]]]
    own = timed[timed["arch"].isin(parallel)]
    timed_at = [set(rows["length"]) for _, rows in [*own.groupby("arch"), *serial.groupby("arch")]]
    statement = "A training step of the transformer takes less time than that of every recurrent model timed"
    if own.empty or serial.empty or not (shared := set.intersection(*timed_at)):
        part = Part(statement, Answer.UNTOLD, "no length at which all of them were timed")
        return Finding(where, Answer.UNTOLD, (part,))
    length = max(shared)
    first = own[own["length"] == length].iloc[0]
    others = serial[serial["length"] == length].set_index("arch")
    faster = [arch for arch in others.index if first["upper"] < others.loc[arch, "lower"]]
    slower = [arch for arch in others.index if first["lower"] > others.loc[arch, "upper"]]
    repeats = int(min(first["repeats"], others["repeats"].min()))
    answer = Answer.UNTOLD
    if repeats >= LEAST_REPEATS:
        if faster and slower:
            answer = Answer.IN_PART
        elif len(faster) == len(others) or len(slower) == len(others):
            answer = Answer.HOLDS if faster else Answer.FAILS
    looks = styles([first["arch"], *others.index])
    times = {first["arch"]: first["median"], **others["median"].to_dict()}
    said = ", ".join(f"{look.name} {times[arch]:.3g} s" for arch, look in looks.items())
    part = Part(f"{statement}, {int(length)} tokens", answer, f"medians of n ≥ {repeats} steps: {said}")
    return Finding(where, answer, (part,))


def _verdict(key: str, findings: Sequence[Finding]) -> Verdict:
    return Verdict(key, *CLAIMS[key], across(findings), tuple(findings))


RULES = (SETTINGS_RULE, BOTTLENECK_RULE, GRADIENT_RULE, PARALLELISM_RULE, PARTS_RULE)
