"""The report of finished runs: `lengthwise report RUNS... [--output DIR]`.

Writes results.csv, report_tables/, figures/ and latex/, and last of all report.md and report.html. Nothing is written
before everything has been read and drawn.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.arguments import OneLineParser
from analysis.errors import ReportError
from analysis.figures.chart import Chart, save_chart
from analysis.figures.registry import draw
from analysis.files import replacing, require_writable
from analysis.report.context import Report
from analysis.report.document import compose
from analysis.report.overview import overview
from analysis.report.render import markdown, terminal
from analysis.report.render.html import page
from analysis.report.render.latex import figure_snippet, table_snippets
from analysis.statistics.words import listing
from analysis.tables.evidence import Evidence, export, gather, write_evidence
from analysis.tables.plain_tables import TABLES
from analysis.tables.trial_folders import is_trial
from analysis.tables.wandb_mirror import local_folder


def main(argv: list[str] | None = None) -> int:
    """Write the report of the runs named in `argv`; returns the exit status, 2 for bad input."""
    try:
        options = _parser().parse_args(argv)
        _check(options)
        paths = [str(local_folder(path)) for path in options.runs]
        evidence = gather(paths)
        if options.export:
            command = shlex.join(["lengthwise", "report", *options.runs, "--export", options.export])
            export(evidence, paths, Path(options.export), options.made_by, command)
            print(options.export)
            return 0
        folder = _output_folder(paths[0], options.output, evidence.plain)
        require_writable(folder / "report.md")
        if options.figures:
            for path in write_figures(_chosen(evidence, options.figures), folder):
                print(path)
            return 0
        output = ["--output", options.output] if options.output else []
        report = Report(evidence, draw(evidence), ["lengthwise", "report", *options.runs, *output])
        path = write_report(report, folder)
    except BrokenPipeError:
        raise  # of standard output, which is the caller's
    except (ReportError, OSError) as error:
        print(f"lengthwise report: error: {error}", file=sys.stderr)
        return 2
    print(terminal.plain_text(overview(report)))
    print(f"\nreport: {path.with_suffix('.html')}, {path}")
    for title, pictures in _pictures(report, folder / "figures"):
        print(f"{title}: {', '.join(pictures)}")
    return 0


def write_report(report: Report, folder: Path) -> Path:
    """Write the tables, figures, LaTeX snippets, report.html and report.md into a folder; returns that of report.md.

    Raises:
        OSError: the folder cannot be written.
    """
    charts = list(report.gallery.charts())
    blocks = compose(report)
    text = markdown.document(blocks)
    html = page(blocks, [architecture.display_name for architecture in report.architectures.values()])
    write_figures(charts, folder)
    snippets = {chart.name: figure_snippet(chart) for chart in charts} | table_snippets(blocks)
    for name, snippet in snippets.items():
        _write(folder / "latex" / f"{name}.tex", snippet)
    _write_evidence(report.evidence, folder)
    _write(folder / "report.html", html)
    _write(folder / "report.md", text)
    return folder / "report.md"


def write_figures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Write PNG, PDF and CSV of figures into figures/; returns the paths of the PNGs.

    Raises:
        OSError: the folder cannot be written.
    """
    return [save_chart(chart, folder / "figures")["png"] for chart in charts]


def _pictures(report: Report, folder: Path) -> list[tuple[str, list[str]]]:
    """The title of each claim that was judged and drawn, and the figures in this folder that show it best."""
    drawn = {chart.name for chart in report.gallery.charts()}
    judged = [verdict.claim for verdict in report.verdicts if verdict.findings]
    figures = [(claim.title, [name for name in claim.figures if name in drawn]) for claim in judged]
    return [(title, [f"{folder / name}.png" for name in names]) for title, names in figures if names]


def _chosen(evidence: Evidence, names: Sequence[str]) -> list[Chart]:
    """The figures of these names.

    Raises:
        ReportError: a name that none of them has.
    """
    charts = {chart.name: chart for chart in draw(evidence, names).charts()}
    if unknown := [name for name in names if name not in charts]:
        drawn = [chart.name for chart in draw(evidence).charts()]
        raise ReportError(f"--figures: these runs have no figure {unknown[0]}; they have {listing(drawn)}")
    return [charts[name] for name in names]


def _write_evidence(evidence: Evidence, folder: Path) -> None:
    """The tidy table, and beside the figures everything they were made from, as plain tables."""
    with replacing(folder / "results.csv") as temporary:
        evidence.loaded.results.to_csv(temporary, index=False, lineterminator="\n")
    write_evidence(evidence, folder / TABLES)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _output_folder(first: str, chosen: str | None, plain: Sequence[str]) -> Path:
    """Where the report goes; never into a trial or among plain tables, whose results.csv it would replace.

    Raises:
        ReportError: the chosen folder is that of a trial.
    """
    folder = Path(chosen or first)
    if not (folder.is_dir() and is_trial([entry.name for entry in folder.iterdir()])):
        return folder / "report" if first in plain and not chosen else folder
    if chosen:
        raise ReportError(f"{chosen} is a trial, whose results.csv the report would replace; choose another --output")
    return folder / "report"


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored, and folders that cannot be written.

    Raises:
        ReportError: the message names them.
        OSError: of a folder.
    """
    if options.export and (options.output or options.figures):
        raise ReportError("--export writes tables alone; give --output or --figures in a command of their own")
    if options.made_by and not options.export:
        raise ReportError("--made_by is kept by --export; give that too")
    for chosen in filter(None, (options.output, options.export)):
        require_writable(Path(chosen) / "report.md")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise report",
        description="Turn finished runs into a report: report.html, one file that needs no network, and report.md, "
        "with verdicts, tables and figures; figures as PNG, PDF and CSV, LaTeX snippets, and every table it was made "
        "from. Failed, diverged and unfinished trials are listed.",
        epilog="Examples: lengthwise report runs/bottleneck; lengthwise report docs/reference/bottleneck "
        "docs/reference/gradients docs/reference/parallelism --output reference",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUNS",
        help="a trial, a sweep, a folder of sweeps, of lengthwise gradients or of lengthwise parallelism, "
        "wandb:ENTITY/PROJECT[/SWEEP], or a folder of plain tables such as report_tables/ of an earlier report",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder of the report (default: the first RUNS; its subfolder report/ where that is a trial or has none)",
    )
    parser.add_argument(
        "--figures", nargs="+", metavar="NAME", help="write only these figures, such as accuracy, and no report"
    )
    parser.add_argument(
        "--export", metavar="DIR", help="write only the plain tables, to be kept, and origin.json: where they came from"
    )
    parser.add_argument(
        "--made_by", metavar="TEXT", default="", help="for origin.json: the commands that measured, in your words"
    )
    return parser
