"""The report of finished runs: `lengthwise report RUNS... [--output DIR]`.

Writes results.csv, figures/ and, last of all, report.md. Nothing is written before everything has been read.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import markdown
from analysis.alignments import alignment_charts, common_sentences, find_attention, save_chart
from analysis.arguments import OneLineParser
from analysis.bottleneck import Chart, bottleneck_charts
from analysis.by_length import by_length_charts, comparisons, line_name, scored, setting_title
from analysis.errors import ReportError
from analysis.files import replacing
from analysis.frames import Frame
from analysis.gradient_text import gradient_sections
from analysis.gradient_trials import with_gradients
from analysis.gradients import gradient_charts
from analysis.load_runs import Runs, is_trial, load_runs
from analysis.losses import not_in_means
from analysis.sections import (
    GRADIENT_LITERATURE,
    alignments,
    bleu_by_length,
    bottleneck_claim,
    capacities,
    left_out,
    models,
    translations,
    what_was_run,
)
from analysis.style import save_figure, styles
from analysis.summaries import SETTING, at_train_length, setting_name, synthetic

MOST_MAPS = 2  # sentences whose attention a report shows


def main(argv: list[str] | None = None) -> int:
    """Write the report of the runs named in `argv`; returns the exit status, 2 for bad input."""
    try:
        options = _parser().parse_args(argv)
        folder = _output_folder(options.runs[0], options.output)
        loaded = load_runs(options.runs)
        runs, gradients = with_gradients(options.runs, loaded)
        output = ["--output", options.output] if options.output else []
        command = shlex.join(["lengthwise", "report", *options.runs, *output])
        maps, note = attention_maps(options.runs)
        path = write_report(runs, loaded.results, gradients, folder, command, maps, note)
    except (ReportError, OSError) as error:
        print(f"lengthwise report: error: {error}", file=sys.stderr)
        return 2
    print(overview(runs))
    print(f"\nreport: {path}")
    return 0


def attention_maps(paths: Sequence[str]) -> tuple[list[Chart], str]:
    """Attention maps of a few test sentences where trials kept some, and a note where they cannot be drawn together."""
    try:
        files = find_attention(paths)
    except ReportError:  # none of these trials is one of text with attention
        return [], ""
    try:
        return list(alignment_charts(files, common_sentences(files, MOST_MAPS))), ""
    except ReportError as error:
        return [], f"Attention maps are left out: {error}"


def write_report(
    runs: Runs,
    table: Frame,
    gradients: Frame,
    folder: Path,
    command: str,
    maps: list[Chart] | None = None,
    note: str = "",
) -> Path:
    """Write results.csv (the tidy table), figures/ and report.md into a folder; returns the path of report.md.

    Args:
        runs: what was found, variants told apart.
        table: the tidy table as it was loaded.
        gradients: the table of gradient flow, empty where none was measured.
        folder: where to.
        command: what the user called.
        maps: attention maps.
        note: why there are none.

    Raises:
        OSError: the folder cannot be written.
    """
    charts, text_charts = bottleneck_charts(runs.results), by_length_charts(runs)
    flow = gradient_charts(gradients, runs.results) if len(gradients) else []
    sections = gradient_sections(gradients, runs.results, flow, "###") if len(gradients) else []
    text = compose(runs, charts, text_charts, sections, command, maps or [], note)
    for chart in [*charts, *text_charts, *flow]:
        save_figure(chart.figure, chart.points, folder / "figures", chart.name)
    for chart in maps or []:
        save_chart(chart, folder / "figures")
    with replacing(folder / "results.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / "report.md"


def compose(
    runs: Runs,
    charts: list[Chart],
    text_charts: list[Chart],
    gradients: list[str],
    command: str,
    maps: list[Chart],
    note: str,
) -> str:
    """The text of report.md.

    `charts` are those of synthetic tasks, `text_charts` and `maps` those of text; `gradients` are sections.
    """
    buckets = runs.results["bucket"]
    measures = [name for name, found in (("accuracy", (buckets == "").any()), ("BLEU", (buckets != "").any())) if found]
    flow, lost = ["gradients"] if gradients else [], not_in_means(runs.failures)
    sections = [
        f"# Lengthwise: what length did to {' and '.join(measures)}",
        what_was_run(runs),
        bottleneck_claim(runs),
        *(_figure(chart, lost) for chart in charts),
        capacities(runs),
        alignments(runs),
        GRADIENT_LITERATURE if gradients else "",
        *gradients,
        bleu_by_length(runs),
        *(_figure(chart, lost) for chart in text_charts),
        translations(runs),
        "## Where attention looks" if maps or note else "",
        note,
        *(_figure(chart, "") for chart in maps),
        models(runs),
        left_out(runs),
        f"## How this report was made\n\n```\n{command}\n```\n\n{' '.join(_sources([*measures, *flow]))}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _sources(measures: list[str]) -> list[str]:
    """Where the numbers of each measure come from."""
    table = "[results.csv](results.csv), a row per trial, test length, position and metric"
    said = {
        "accuracy": f"Every number and figure above is computed from {table}. Intervals are 95% Student t intervals "
        "over seeds.",
        "BLEU": "BLEU and length ratios by source length and all their intervals are computed from sentences.csv of "
        f"each trial, its test sentences; the other scores of translations stand in {table}.",
        "gradients": "The section on gradient flow is computed from gradients.csv of each trial as well.",
    }
    return [said[measure] for measure in measures]


def overview(runs: Runs) -> str:
    """The main scores of synthetic tasks and of text, and what is in none of them, as plain text for a terminal."""
    parts = [] if synthetic(runs.results).empty else [accuracy_overview(runs.results)]
    lost = not_in_means(runs.failures)
    return "\n\n".join([*parts, *bleu_overviews(runs), *([lost] if lost else [])])


def bleu_overviews(runs: Runs) -> list[str]:
    """Mean BLEU of each trained model by range of source lengths, a plain table for each comparison."""
    compared = comparisons(runs)
    parts = []
    for comparison in compared:
        buckets = [*comparison.buckets, comparison.whole]
        lines = [
            [
                line_name(look, comparison.train_length),
                *(f"{scored(comparison, arch, bucket).mean:.1f}" for bucket in buckets),
            ]
            for arch, look in styles(comparison.archs).items()
        ]
        header = ["source length", *(bucket.name for bucket in buckets)]
        title = f"mean BLEU: {', '.join(setting_title(comparison.setting, compared))}"
        parts.append(f"{title}\n{markdown.plain_table(header, lines)}")
    return parts


def accuracy_overview(results: Frame) -> str:
    """Mean greedy token accuracy, architectures by train length, as plain text for a terminal."""
    rows = at_train_length(results, "greedy_token_accuracy")
    if rows.empty:
        return "no model was tested with greedy decoding at its train length"
    parts = []
    for key, group in rows.groupby(SETTING):
        means = group.pivot_table(index="arch", columns="train_length", values="value")
        lines = [
            [look.name, *("-" if pd.isna(mean) else f"{mean:.3f}" for mean in means.loc[arch])]
            for arch, look in styles(group["arch"]).items()
        ]
        header = ["length", *map(str, means.columns)]
        title = f"mean greedy token accuracy: {setting_name(*key)}"
        parts.append(f"{title}\n{markdown.plain_table(header, lines)}")
    return "\n\n".join(parts)


def _figure(chart: Chart, lost: str) -> str:
    """A chart with its caption, which says what is in none of its means."""
    link = f"figures/{chart.name}"
    title = chart.name.replace("_", " ")
    caption = f"{chart.caption} {lost}".rstrip()
    return f"![{title}]({link}.png)\n\n*{caption}* [PDF]({link}.pdf), [points]({link}.csv)"


def _output_folder(first: str, chosen: str | None) -> Path:
    """Where the report goes; never into the folder of a trial, which has a results.csv of its own.

    Raises:
        ReportError: the chosen folder is that of a trial.
    """
    folder = Path(chosen or first)
    if not (folder.is_dir() and is_trial([entry.name for entry in folder.iterdir()])):
        return folder
    if chosen:
        raise ReportError(f"{chosen} is a trial, whose results.csv the report would replace; choose another --output")
    return folder / "report"


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise report",
        description="Turn finished runs into a report: report.md with tables and verdicts, figures as PNG, PDF and "
        "CSV, and results.csv, the table every number comes from. Failed and unfinished trials are listed.",
        epilog="Example: lengthwise report runs/bottleneck",
    )
    parser.add_argument("runs", nargs="+", metavar="RUNS", help="a trial, a sweep, or a folder of sweeps")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder of the report (default: the first RUNS; for a single trial its subfolder report/)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
