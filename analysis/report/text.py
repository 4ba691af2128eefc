"""The text of report.md: verdicts first, then each claim with its tables and figures, then what it all rests on."""

import shlex
from collections.abc import Sequence

import pandas as pd

from analysis.claims.bottleneck import BOTTLENECK_RULE, bottleneck_verdict
from analysis.claims.gradients import GRADIENT_RULE, gradient_verdict
from analysis.claims.parallelism import PARALLELISM_RULE, parallelism_verdict
from analysis.claims.verdicts import PARTS_RULE, SETTINGS_RULE, Answer, Part, Verdict
from analysis.figures.chart import Chart
from analysis.report import markdown
from analysis.report.another_seed import another_seed
from analysis.report.environment import environment_section
from analysis.report.failures import cut_short, not_in_means
from analysis.report.figures import Gallery, what_to_see
from analysis.report.gradients import gradient_sections
from analysis.report.models import models
from analysis.report.parallelism import tables
from analysis.report.sections import (
    GRADIENT_LITERATURE,
    alignments,
    bleu_by_length,
    bottleneck_claim,
    capacities,
    left_out,
    translations,
    what_was_run,
)
from analysis.statistics.comparisons import comparisons
from analysis.statistics.gradient_fits import fits
from analysis.statistics.length_fits import LengthFit, length_fits
from analysis.statistics.pairs import accuracy_pairs
from analysis.statistics.summaries import at_train_length, setting_name, settings_of, synthetic
from analysis.statistics.words import interval
from analysis.tables.architectures import Architectures
from analysis.tables.evidence import Evidence

TITLES = {
    "bottleneck": "Fixed-context bottleneck",
    "gradients": "Vanishing gradients",
    "parallelism": "Training-time parallelism",
}
RULES = (SETTINGS_RULE, BOTTLENECK_RULE, GRADIENT_RULE, PARALLELISM_RULE, PARTS_RULE)
BOTH = ("accuracy_by_lag", "remedies")  # figures of gradients that show accuracies of trials too
HOW_TO_MEASURE = {
    "bottleneck": "No trial of a task that tests it was found (recall of one symbol does not); `lengthwise sweep "
    "sweep.yaml` runs some.",
    "gradients": "No gradient flow was found; `lengthwise gradients --output DIR` measures it.",
    "parallelism": "No counts or timings were found; `lengthwise parallelism --output DIR` makes them.",
}


def verdicts(evidence: Evidence) -> list[Verdict]:
    """The verdicts on the three claims, in their order."""
    runs = evidence.runs
    return [
        bottleneck_verdict(runs.results, runs.failures, comparisons(runs), runs.architectures),
        gradient_verdict(fits(evidence.gradients, runs.architectures), runs.architectures),
        parallelism_verdict(evidence.parallelism, runs.architectures),
    ]


def compose(evidence: Evidence, gallery: Gallery, command: Sequence[str]) -> str:
    """The report as Markdown.

    Args:
        evidence: what was found.
        gallery: its figures.
        command: the words of the command line that makes the report.
    """
    runs = evidence.runs
    said = verdicts(evidence)
    lost = _lost(not_in_means(runs.failures))
    ended = _lost(cut_short(runs.failures, evidence.gradients))

    def shown(charts: Sequence[Chart], missing: str = lost) -> list[str]:
        return [_figure(chart, command, lost if chart.name in BOTH else missing) for chart in charts]

    on_text = bool(gallery.text or comparisons(runs))
    sections = [
        f"# {title(evidence)}",
        *claims(said),
        *(f"**Note.** {note}" for note in evidence.notes),
        "" if runs.trials.empty else what_was_run(runs),
        bottleneck_claim(runs),
        pairs_section(runs.results, runs.architectures),
        *shown(gallery.bottleneck),
        capacities(runs),
        length_section(length_fits(runs.results, runs.architectures), runs.architectures),
        another_seed(runs.results, runs.architectures),
        alignments(runs),
        bleu_by_length(runs) if on_text else "",
        *shown(gallery.text),
        translations(runs) if on_text else "",
        *_gradients(evidence, shown(gallery.gradients, ended)),
        *_parallelism(evidence, shown(gallery.parallelism, "")),
        "## Where attention looks" if gallery.attention or gallery.note else "",
        gallery.note,
        *shown(gallery.attention),
        "## Learning curves" if gallery.learning else "",
        *shown(gallery.learning),
        "" if runs.trials.empty else models(runs),
        environment_section(evidence.environments, evidence.parallelism),
        left_out(runs),
        "## How verdicts are reached\n\n" + "\n".join(f"- {rule}" for rule in RULES),
        _origin(command, evidence),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def title(evidence: Evidence) -> str:
    """What the report is about, by what was found."""
    buckets = evidence.runs.results["bucket"]
    found = {
        "accuracy": (buckets == "").any(),
        "BLEU": (buckets != "").any(),
        "gradients": len(evidence.gradients) > 0,
        "the cost of training": len(evidence.parallelism) > 0,
    }
    *most, last = [name for name, there in found.items() if there]
    return f"Lengthwise: what length did to {', '.join(most)}{' and ' if most else ''}{last}"


def claims(said: Sequence[Verdict]) -> list[str]:
    """A table of the verdicts, and below it what each rests on, part by part."""
    rows = []
    for number, verdict in enumerate(said, start=1):
        told = f"**{verdict.answer}**" if verdict.findings else "not measured"
        settings = [finding.answer != Answer.UNTOLD for finding in verdict.findings]
        by = f"{sum(settings)} of {len(settings)} settings" if settings else "-"
        rows.append([f"{number}. {TITLES[verdict.key]}", told, by, verdict.claim, verdict.by_whom])
    parts = ["## The three claims", markdown.table(["Claim", "Verdict", "Told by", "What is claimed", "By whom"], rows)]
    for number, verdict in enumerate(said, start=1):
        parts += [f"### {number}. {TITLES[verdict.key]}", verdict.claim]
        if not verdict.findings:
            parts.append(HOW_TO_MEASURE[verdict.key])
            continue
        for finding in verdict.findings:
            lines = [[part.statement, _short(part), part.measured] for part in finding.parts]
            table = markdown.table(["What it says", "So here", "Measured"], lines)
            parts += [f"{finding.where[0].upper()}{finding.where[1:]}: **{finding.answer}**", table]
    parts.append(
        "Means with 95% intervals over seeds where nothing else is said; n counts the trials behind a mean. The rules "
        "stand under *How verdicts are reached*."
    )
    return parts


def pairs_section(results: pd.DataFrame, architectures: Architectures) -> str:
    """Every architecture with attention against every one with a fixed context, on each synthetic task."""
    accuracy = at_train_length(results, "greedy_token_accuracy")
    names = architectures.names(results["arch"])
    rows = [
        [
            names[pair.attention],
            names[pair.fixed],
            setting_name(task, vocabulary),
            interval(pair.difference),
            pair.difference.count,
            f"{pair.p_value:.3g}",
            f"{pair.corrected:.3g}",
        ]
        for task, vocabulary in settings_of(accuracy)
        for pair in accuracy_pairs(results, task, vocabulary, architectures)
    ]
    if not rows:
        return ""
    header = [
        "Attention",
        "Fixed context",
        "Task",
        "Difference of accuracy",
        "n (fewer seeds)",
        "p",
        "p, corrected (Holm)",
    ]
    return (
        f"### Attention against fixed contexts\n\n{markdown.table(header, rows)}\n\n"
        "Greedy token accuracy at the greatest length of each task: difference of means [95% interval], and Welch's t "
        "test, corrected for the number of pairs on a task."
    )


def length_section(found: Sequence[LengthFit], architectures: Architectures) -> str:
    """The length that halves the accuracy of each architecture, and the capacity fitted to its bits."""
    if not found:
        return ""
    names = architectures.names(fit.arch for fit in found)
    rows = [
        [names[fit.arch], setting_name(fit.task, fit.vocabulary), _half(fit), _capacity(fit), fit.seeds]
        for fit in found
    ]
    header = ["Architecture", "Task", "Accuracy halves at (tokens)", "Fitted plateau (bits)", "n (seeds)"]
    return (
        f"## Length that halves accuracy, and where bits level off\n\n{markdown.table(header, rows)}\n\n"
        "Both are fitted to each seed; means [95% t interval over seeds], the first of logarithms. Accuracy halves at "
        "the length where it has fallen to half of that at the shortest length, interpolated between lengths in "
        "their logarithm; `> n`: it has not within n tokens; *not learnt*: it is below one half at the shortest "
        "length, so that there is nothing to halve. The plateau is the C for which min(bits presented, C) comes "
        "closest to the bits recovered, by least squares over all lengths; `> n`: nothing was lost of n bits. Where "
        "training fails on long sources it lies below the most bits recovered, which bound the capacity from below."
    )


def _half(fit: LengthFit) -> str:
    if fit.unlearnt:
        return "not learnt" + (f" in {fit.unlearnt} of {fit.seeds} seeds" if fit.unlearnt < fit.seeds else "")
    return _reached(interval(fit.half_length, 1), fit.unhalved, fit.seeds, str(fit.longest))


def _capacity(fit: LengthFit) -> str:
    if fit.unfilled is None:
        return "-"
    return _reached(interval(fit.capacity, 1), fit.unfilled, fit.seeds, f"{fit.most_bits:.0f}")


def _reached(value: str, beyond: int, seeds: int, furthest: str) -> str:
    if not beyond:
        return value
    return f"> {furthest}" + (f" in {beyond} of {seeds} seeds" if beyond < seeds else "")


def _short(part: Part) -> str:
    return {Answer.HOLDS: "yes", Answer.FAILS: "no", Answer.IN_PART: "in part"}.get(part.answer, "cannot be told")


def _gradients(evidence: Evidence, figures: list[str]) -> list[str]:
    if evidence.gradients.empty:
        return []
    runs = evidence.runs
    sections = gradient_sections(evidence.gradients, runs.results, [], runs.architectures, "###")
    return [GRADIENT_LITERATURE, *sections, *figures]


def _parallelism(evidence: Evidence, figures: list[str]) -> list[str]:
    results = evidence.parallelism
    if results.empty:
        return []
    parts = ["## Training-time parallelism"]
    for each in tables(results, evidence.runs.architectures):
        parts += [f"### {each.title}", markdown.table(each.header, each.rows), each.caption]
    parts += figures
    skipped = results[results["metric"] == "skipped"]
    if len(skipped):
        columns = ["arch", "sweep", "length", "batch_size", "threads", "note"]
        rows = skipped[columns].astype(object).to_numpy().tolist()
        parts += ["### Not timed", markdown.table([column.replace("_", " ").capitalize() for column in columns], rows)]
    return parts


def _lost(sentence: str) -> str:
    """What a figure of trials has to say about those that are not in it."""
    return f"{sentence} See *Trials left out*." if sentence else ""


def _figure(chart: Chart, command: Sequence[str], lost: str) -> str:
    """An image and two paragraphs: what it shows, and where its points and its making are."""
    name = chart.name
    seen = f"**What to see.** {see} " if (see := what_to_see(name)) else ""
    made = shlex.join([*command, "--figures", name])
    return (
        f"![{name.replace('_', ' ').capitalize()}](figures/{name}.png)\n\n"
        f"{seen}**How it was measured.** {chart.caption}{f' {lost}' if lost else ''}\n\n"
        f"[PDF](figures/{name}.pdf), [points (CSV)](figures/{name}.csv), [LaTeX](latex/{name}.tex). "
        f"Made by `{made}`"
    )


def _origin(command: Sequence[str], evidence: Evidence) -> str:
    said = []
    if not synthetic(evidence.runs.results).empty:
        said.append(
            "Every number and figure above is computed from [results.csv](results.csv), a row per trial, test length, "
            "position and metric. Intervals are 95% Student t intervals over seeds."
        )
    if (evidence.runs.results["bucket"] != "").any():
        said.append(
            "BLEU and length ratios by source length and all their intervals are computed from sentences.csv of "
            "each trial, its test sentences; the other scores of translations stand in [results.csv](results.csv), a "
            "row per trial, test length, position and metric."
        )
    if len(evidence.gradients):
        said.append("The section on gradient flow is computed from gradients.csv as well.")
    if len(evidence.parallelism):
        said.append("The section on parallelism is computed from parallelism.csv.")
    said.append(
        "All of these tables lie together in report_tables/; `lengthwise report` makes the same report of them alone."
    )
    said += [f"{folder}: {origin}." for folder, origin in evidence.origins.items()]
    return f"## How this report was made\n\n```\n{shlex.join(command)}\n```\n\n{' '.join(said)}"
