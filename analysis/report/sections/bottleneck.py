"""The fixed-context bottleneck on synthetic tasks: what length does to accuracy and to the bits that arrive."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from analysis.claims.bottleneck import DEGRADES, NO_BOTTLENECK, RULE, Change, changes
from analysis.claims.verdicts import Answer, with_reason
from analysis.figures.length.bits import bits_points
from analysis.report.blocks import Block, Cell, Heading, Paragraph, Table, titled
from analysis.report.context import Report, Section
from analysis.report.failures import not_in_means
from analysis.statistics.intervals import capacity
from analysis.statistics.pairs import accuracy_pairs
from analysis.statistics.summaries import (
    SETTING,
    TaskSetting,
    ended_badly,
    of_setting,
    settings_of,
    synthetic,
    within_training,
)
from analysis.statistics.words import interval

LITERATURE = """\
**The claim.** An encoder that hands over one fixed-size vector loses information as the source grows; attention
removes the limit. Cho et al. (2014b, arXiv:1409.1259, Figure 4) saw translation quality fall with sentence length;
Bahdanau et al. (2015, arXiv:1409.0473, Figure 2) saw it fall for the fixed context and stay flat with attention;
Britz et al. (2017, arXiv:1707.00110) saw the same on a copy task. Sutskever et al. (2014, arXiv:1409.3215), with
deep LSTMs and reversed sources, saw no degradation up to 35 words."""
NO_TEST = (
    "What has to pass here hardly grows with the source: this tests memory and computation over a distance, not the "
    "bottleneck."
)
NOTHING_YET = (
    "**Measured here.** Nothing yet: no model was tested with greedy decoding at the length it was trained on."
)


def bottleneck(report: Report) -> Iterator[Block]:
    """Accuracy at the greatest length, pairs of architectures, figures, and bits recovered."""
    if not synthetic(report.runs.results).empty:
        yield from _accuracy(report)
        yield from titled(_pairs(report), 3)
        yield from report.figures("bottleneck")
        yield from _capacities(report)


def _accuracy(report: Report) -> Iterator[Block]:
    """What the literature claims about length, and what these runs measured."""
    accuracy = within_training(report.runs.results, "greedy_token_accuracy")
    if accuracy.empty or not accuracy["task"].isin(NO_BOTTLENECK).all():
        yield Heading("The fixed-context bottleneck")
        yield Paragraph(LITERATURE)
    else:
        yield Heading("Accuracy and length")
    if accuracy.empty:
        yield Paragraph(NOTHING_YET)
        return
    for setting in settings_of(accuracy):
        yield from _setting(report, setting)
    yield Paragraph(f"Mean [95% t interval over seeds], cut at 0 and 1. Verdicts by the token accuracy: {RULE}")


def _setting(report: Report, setting: TaskSetting) -> Iterator[Block]:
    failures, names = report.runs.failures, report.architectures.names(report.runs.results["arch"])
    shortest, longest, changed = changes(report.runs.results, setting, report.architectures)
    summary = _in_words(changed, shortest, longest, names)
    caution = f" {NO_TEST}" if setting.task in NO_BOTTLENECK else ""
    yield Paragraph(f"**Measured here: {setting}.** {summary}{caution}")
    header = (
        "Architecture", f"Greedy token accuracy at {longest}", f"Greedy exact match at {longest}", "Seeds",
        f"Drop of token accuracy from {shortest} to {longest}" if shortest < longest else "Drop", "Verdict",
    )  # fmt: skip
    rows = [
        (names[change.arch], change.token_accuracy, change.exact_match, _seeds(change, failures, setting, longest),
         change.drop, with_reason(DEGRADES[change.degrades], change.reason))
        for change in changed
    ]  # fmt: skip
    yield Table(header, rows)
    if lost := not_in_means(failures[failures["task"] == setting.task], report.architectures):
        yield Paragraph(f"**{lost}** What completed may look better than what was tried.")


def _in_words(changed: Sequence[Change], shortest: int, longest: int, names: Mapping[str, str]) -> str:
    """One sentence a verdict: `Between lengths 10 and 80, degrades: LSTM, GRU.`"""
    if shortest == longest:
        return f"One length only ({longest}), so nothing can be said about what length does."
    by_answer: dict[Answer, list[str]] = {answer: [] for answer in DEGRADES}
    for change in changed:
        by_answer[change.degrades].append(names[change.arch])
    parts = [f"{DEGRADES[answer]}: {', '.join(archs)}" for answer, archs in by_answer.items() if archs]
    return f"Between lengths {shortest} and {longest}: " + "; ".join(parts) + "."


def _seeds(change: Change, failures: pd.DataFrame, setting: TaskSetting, length: int) -> str:
    """How many seeds stand behind a mean, and how many of the same class and length have none."""
    count = change.token_accuracy.count if change.token_accuracy else 0
    lost = ended_badly(failures, change.arch, setting, length)
    return f"{count} ({lost})" if lost else str(count)


def _pairs(report: Report) -> Table:
    """Every architecture with attention against every one with a fixed context, on each task."""
    results = report.runs.results
    names = report.architectures.names(results["arch"])
    header = (
        "Attention", "Fixed context", "Task", "Difference of accuracy", "n (fewer seeds)", "p", "p, corrected (Holm)",
    )  # fmt: skip
    rows = [
        (names[pair.attention], names[pair.fixed], str(setting), pair.difference, pair.difference.count,
         f"{pair.p_value:.3g}", f"{pair.corrected:.3g}")
        for setting in settings_of(within_training(results, "greedy_token_accuracy"))
        for pair in accuracy_pairs(results, setting, report.architectures)
    ]  # fmt: skip
    return Table(
        header,
        rows,
        "Attention against fixed contexts",
        "Greedy token accuracy at the greatest length of each task: difference of means [95% interval], and Welch's t "
        "test, corrected for the number of pairs on a task.",
    )


def _capacities(report: Report) -> Iterator[Block]:
    """The most bits that each architecture recovered, where the task's information is known."""
    points = bits_points(report.runs.results)
    if points.empty:
        yield Paragraph("*No bits recovered: these tasks or runs do not report the information in their targets.*")
    recovered = within_training(report.runs.results, "bits_recovered")
    presented = points.set_index([*SETTING, "arch", "length"])["bits_presented"]
    names = report.architectures.names(report.runs.results["arch"])
    rows: list[Sequence[Cell]] = []
    for setting in settings_of(points):
        of_task = of_setting(recovered, setting)
        for arch in report.architectures.names(of_task["arch"]):
            by_length = of_task[of_task["arch"] == arch].groupby("length")["value"].apply(list).to_dict()
            length, most = capacity(by_length)
            bits = presented.get((*setting, arch, length), float("nan"))
            rows.append((names[arch], str(setting), interval(most, 1), length, f"{bits:.1f}", most.count))
    yield from titled(Table(
        ("Architecture", "Task", "Most bits recovered a sequence", "at length", "Bits presented there", "Seeds"),
        rows,
        "Bits that arrive",
        "The largest mean over lengths, a lower bound on capacity: longer training may recover more, and so may a "
        "longer source where the largest value stands at the greatest length.",
    ))  # fmt: skip


SECTIONS = (
    Section(
        30, bottleneck, "accuracy",
        "Every number and figure above is computed from [results.csv](results.csv), a row per trial, test length, "
        "position and metric. Intervals are 95% Student t intervals over seeds.",
    ),
)  # fmt: skip
