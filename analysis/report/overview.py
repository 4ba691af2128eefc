"""What `lengthwise report` prints: the main scores, the verdicts, and what is in no mean."""

from collections.abc import Iterator

from analysis.report.blocks import Cell, Paragraph, Table
from analysis.report.context import Report
from analysis.report.failures import not_in_means
from analysis.statistics.comparisons import NO_BLEU, comparisons, line_name, scored, setting_title
from analysis.statistics.summaries import by_setting, over_seeds, seeds_phrase, synthetic, within_training
from analysis.tables.schema import ALL
from analysis.tables.trial_folders import Runs


def overview(report: Report) -> Iterator[Table | Paragraph]:
    """The main scores of synthetic tasks and of text, and the verdicts."""
    runs = report.runs
    yield from _accuracy(runs)
    yield from _bleu(runs)
    judged = [verdict for verdict in report.verdicts if verdict.findings]
    if judged:
        yield Paragraph("\n".join(f"{verdict.claim.title}: {verdict.answer}" for verdict in judged))
    if lost := not_in_means(runs.failures, runs.architectures):
        yield Paragraph(lost)


def _accuracy(runs: Runs) -> Iterator[Table | Paragraph]:
    """Mean greedy token accuracy, architectures by length, a table for each task."""
    rows = within_training(runs.results, "greedy_token_accuracy")
    if rows.empty and not synthetic(runs.results).empty:
        yield Paragraph("no model was tested with greedy decoding at a length that it was trained on")
    for setting, group in by_setting(rows):
        points = over_seeds(group, ["arch", "length"])
        means = points.pivot_table(index="arch", columns="length", values="mean")
        lines = [
            [name, *(None if mean != mean else f"{mean:.3f}" for mean in means.loc[arch])]
            for arch, name in runs.architectures.names(group["arch"]).items()
        ]
        title = f"mean greedy token accuracy, {seeds_phrase(points)}: {setting}"
        yield Table(["length", *map(str, means.columns)], lines, title)


def _bleu(runs: Runs) -> Iterator[Table]:
    """Mean BLEU of each trained model by range of source lengths, a table for each comparison.

    Where BLEU is undefined, chrF and exact match stand for it.
    """
    compared = comparisons(runs)
    for comparison in compared:
        title = ", ".join(setting_title(comparison.setting, compared))
        if not comparison.has_bleu:
            whole = runs.results[runs.results["trial"].isin(comparison.trials) & (runs.results["bucket"] == ALL)]
            means = whole.pivot_table(index="arch", columns="metric", values="value")
            names = runs.architectures.names(comparison.archs).items()
            lines = [
                [line_name(name, comparison.train_length), f"{means['chrf'][arch]:.1f}",
                 f"{means['exact_match_text'][arch]:.3f}"]
                for arch, name in names
            ]  # fmt: skip
            yield Table(["", "chrF", "exact match"], lines, f"{title}; {NO_BLEU}")
            continue
        buckets = [*comparison.buckets, comparison.whole]
        lines: list[list[Cell]] = []
        for arch, name in runs.architectures.names(comparison.archs).items():
            scores = [scored(comparison, arch, bucket) for bucket in buckets]
            means = [f"{score.mean:.1f}" for score in scores]
            lines.append([line_name(name, comparison.train_length), *means, scores[-1].seeds])
        header = ["source length", *(bucket.name for bucket in buckets), "seeds"]
        yield Table(header, lines, f"mean BLEU: {title}")
