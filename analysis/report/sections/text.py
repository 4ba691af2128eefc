"""Trials on text: BLEU by source length, and the scores of whole test sets."""

from collections.abc import Iterator

import pandas as pd

from analysis.claims.text_length import BLEU_RULE, LengthClaim, length_claim
from analysis.claims.verdicts import with_reason
from analysis.report.blocks import Block, Heading, Listing, Paragraph, Table, notes
from analysis.report.context import Report, Section
from analysis.statistics.comparisons import (
    BLEU_BOUNDS,
    NO_BLEU,
    Comparison,
    comparisons,
    left_out_phrase,
    scored,
    setting_title,
    text_trials,
)
from analysis.statistics.intervals import corpus_bleu
from analysis.statistics.pairs import bleu_pairs
from analysis.statistics.words import interval, percent
from analysis.tables.architectures import Architectures
from analysis.tables.schema import ALL, BLEU_STATISTICS
from analysis.tables.trial_folders import Runs

LITERATURE = """\
**The claim.** Attention keeps BLEU on long sentences; a fixed context loses it: Cho et al. (2014b, arXiv:1409.1259,
Figure 4) for the fixed context, Bahdanau et al. (2015, arXiv:1409.0473, Figure 2) and Luong et al. (2015,
arXiv:1508.04025, Figure 6) for both."""
INTERVALS = (
    "Intervals: 95% percentiles of a bootstrap over test sentences, the same for every model, and seeds; with one seed "
    "over sentences alone, so that they speak of these very models."
)
SAME_BLEU = 0.01  # scores of one test set that differ by more were not computed in the same way


def text(report: Report) -> Iterator[Block]:
    """BLEU by source length, its figures, and the scores of whole test sets."""
    yield from bleu_by_length(report.runs)
    yield from report.figures("text")
    yield from translations(report.runs)


def bleu_by_length(runs: Runs) -> Iterator[Block]:
    """What the literature claims about BLEU and sentence length, and what the trials on text measured."""
    if compared := comparisons(runs):
        yield Heading("BLEU by source length")
        yield Paragraph(LITERATURE)
        for comparison in compared:
            yield from _bleu(comparison, compared, runs.architectures)
        yield Paragraph(BLEU_RULE)
        yield Paragraph(INTERVALS)
        if phrase := left_out_phrase(compared):
            yield Paragraph(phrase)


def translations(runs: Runs) -> Iterator[Block]:
    """Scores of the whole test sets, how text was decoded, and how the scores were computed."""
    if compared := comparisons(runs):
        yield Heading("Whole test sets")
        yield _whole_test_sets(runs, compared)
        yield Paragraph("BLEU with its bootstrap interval; chrF and TER are means over the same seeds, without one.")
        yield Listing(list(_decoding_and_signatures(text_trials(runs))))
        yield from notes(_cautions(runs, compared))


def _bleu(comparison: Comparison, compared: list[Comparison], architectures: Architectures) -> Iterator[Block]:
    """Verdict, table and pairs of trials that can be compared."""
    names = architectures.names(comparison.archs)
    title = f"{', '.join(setting_title(comparison.setting, compared))}, trained up to {comparison.train_length}"
    if not comparison.has_bleu:
        yield Paragraph(f"**Measured here: {title}.** {NO_BLEU}. chrF and exact match stand under Whole test sets.")
        return
    if not comparison.buckets:
        yield Paragraph(f"**Measured here: {title}.** Nothing: no range of lengths has enough sentences.")
        return
    claim = length_claim(comparison)
    first, last = comparison.buckets[0].name, comparison.buckets[-1].name
    yield Paragraph(
        f"**Measured here: {title}.** That attention keeps BLEU on long sentences and a fixed context loses it "
        f"{with_reason(claim.answer, claim.reason)}.{_shares(claim, first, last)}"
    )
    header = ["Architecture", *(f"{bucket.name} (n = {bucket.sentences})" for bucket in comparison.buckets), "Seeds"]
    rows = []
    for arch, name in names.items():
        intervals = [scored(comparison, arch, bucket).interval().clipped(*BLEU_BOUNDS) for bucket in comparison.buckets]
        rows.append((name, *(interval(bleu, 1) for bleu in intervals), intervals[0].count))
    yield Table(header, rows)
    against = [
        (names[pair.attention], names[pair.fixed], interval(pair.difference, 1), f"{pair.p_value:.3f}",
         f"{pair.corrected:.3f}", pair.difference.count)
        for pair in bleu_pairs(comparison)
    ]  # fmt: skip
    if against:
        difference = f"Difference of BLEU at {last}"
        yield Table(("Attention", "Fixed context", difference, "p", "p, corrected (Holm)", "Seeds"), against)


def _shares(claim: LengthClaim, first: str, last: str) -> str:
    """` From 1-10 to 41-50 tokens, attention kept 91% [88%, 94%] of its BLEU, …`; empty where nothing is known."""
    kept = [
        f"{kind} kept {percent(share)} of their BLEU"
        for kind, share in (("models with attention", claim.attention), ("fixed contexts", claim.fixed))
        if share
    ]
    if not kept:
        return ""
    less = f", a difference of {percent(claim.advantage)}" if claim.advantage else ""
    return f" From {first} to {last} source tokens, {', '.join(kept)}{less}."


def _whole_test_sets(runs: Runs, compared: list[Comparison]) -> Table:
    whole = runs.results[runs.results["bucket"] == ALL]
    columns = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
    if not all(comparison.has_bleu for comparison in compared):
        columns = {"chrf": "chrF", "exact_match_text": "Exact match", "ter": "TER", "bleu": "BLEU"}
    rows = []
    for comparison in compared:
        title = ", ".join(setting_title(comparison.setting, compared))
        scores = whole[whole["trial"].isin(comparison.trials)]
        for arch, name in runs.architectures.names(comparison.archs).items():
            means = scores[scores["arch"] == arch].groupby("metric")["value"].mean()
            bleu = scored(comparison, arch, comparison.whole).interval().clipped(*BLEU_BOUNDS)
            shown = {
                metric: f"{mean:.3f}" if metric == "exact_match_text" else f"{mean:.1f}"
                for metric, mean in means.items()
            } | {"bleu": interval(bleu, 1) if comparison.has_bleu else None}
            rows.append((name, title, comparison.train_length, *map(shown.get, columns), bleu.count))
    return Table(("Architecture", "Test set", "Trained up to", *columns.values(), "Seeds"), rows)


def _decoding_and_signatures(trials: pd.DataFrame) -> Iterator[str]:
    yield f"Decoding: {'; '.join(sorted(trials['decoding'].unique()))}"
    for metric, name in (("bleu", "BLEU"), ("chrf", "chrF"), ("ter", "TER")):
        signatures = sorted({stated[metric] for stated in trials["signatures"] if metric in stated})
        yield f"{name}: {'; '.join(f'`{signature}`' for signature in signatures) or 'no signature'}"


def _cautions(runs: Runs, compared: list[Comparison]) -> Iterator[str]:
    """What makes a comparison of translations weaker than it looks."""
    trials = text_trials(runs)
    settings = {comparison.setting for comparison in compared}
    if len(settings) > len({setting[:-1] for setting in settings}):
        yield "BLEU of one test set was computed in different ways (see the signatures): shown apart."
    by = ["task", "vocabulary", "source_language", "target_language", "test_name", "train_length"]
    if trials.groupby(by)["decoding"].nunique().max() > 1:
        yield "Trials that are compared with each other were decoded in different ways."
    whole = runs.results[(runs.results["bucket"] == ALL) & (runs.results["metric"] == "bleu")]
    stated = dict(zip(whole["trial"], whole["value"], strict=True))
    for name, sentences in runs.sentences.groupby("trial"):
        computed = float(corpus_bleu(sentences[BLEU_STATISTICS].sum().to_numpy()))
        if name in stated and abs(stated[name] - computed) > SAME_BLEU:
            yield (
                f"{name} states BLEU {stated[name]:.2f}, but its sentences give {computed:.2f}; "
                "figures and tables here show the latter."
            )


SECTIONS = (
    Section(
        40, text, "BLEU",
        "BLEU and length ratios by source length and all their intervals are computed from sentences.csv of "
        "each trial, its test sentences; the other scores of translations stand in [results.csv](results.csv), a "
        "row per trial, test length, position and metric.",
    ),
)  # fmt: skip
