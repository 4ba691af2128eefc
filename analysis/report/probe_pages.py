"""The pages that probes leave beside their tables: gradients.md and parallelism.md, with the figures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import ReportError
from analysis.figures.chart import Chart, save_chart
from analysis.figures.registry import section_charts
from analysis.files import replacing
from analysis.report.blocks import Block, Figure, Heading, Paragraph, cell_text, titled
from analysis.report.render import markdown, terminal
from analysis.report.sections.probes.gradients import decay_table, gradient_tables
from analysis.report.sections.probes.parallelism import parallelism_tables, skipped_table
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import load
from analysis.tables.schema import PARALLELISM


def write_gradients(
    table: pd.DataFrame, folder: Path, architectures: Architectures, results: pd.DataFrame | None = None
) -> str:
    """Write gradients.md and figures/ into a folder.

    Args:
        table: as `read_gradients` returns it.
        folder: where to.
        architectures: what the architectures say of themselves.
        results: the tidy table of finished trials, for accuracy against lag.

    Returns:
        Decay per step and effective horizon, for a terminal.

    Raises:
        OSError: the folder cannot be written.
    """
    title = "Gradient flow: what reaches a source token, by its distance from the loss"
    tables = gradient_tables(table, results, architectures)
    trials = {} if results is None else {"results": results}
    charts = section_charts("gradients", architectures, gradients=table, **trials)
    _write(folder / "gradients.md", title, tables, charts)
    return terminal.plain_text([decay_table(table, architectures)])


def write_parallelism(folders: Sequence[str | Path], output: Path, architectures: Architectures) -> str:
    """Write parallelism.md and figures/, with the tables as CSV, into a folder; returns the tables for a terminal.

    Raises:
        ReportError: a table that cannot be read, or has nothing to show.
        OSError: the folder cannot be written.
    """
    results = load(PARALLELISM, folders)
    charts = section_charts("parallelism", architectures, parallelism=results)
    if not charts:
        raise ReportError(f"no measurement in {', '.join(map(str, folders))}")
    tables = [table for table in parallelism_tables(results, architectures) if table.rows]
    for table in tables:
        rows = [list(map(cell_text, row)) for row in table.rows]
        with replacing(output / "figures" / f"{table.name}.csv") as temporary:
            pd.DataFrame(rows, columns=list(table.header)).to_csv(temporary, index=False, lineterminator="\n")
    blocks = [block for table in [*tables, skipped_table(results)] for block in titled(table)]
    _write(output / "parallelism.md", "Training-time parallelism, measured", blocks, charts)
    return f"{terminal.plain_text(tables)}\n\nreport: {output / 'parallelism.md'}"


def _write(path: Path, title: str, blocks: Iterable[Block], charts: Sequence[Chart]) -> None:
    """A page of tables and figures; the figures go to figures/ beside it."""
    for chart in charts:
        save_chart(chart, path.parent / "figures")
    shown = [*blocks, Heading("Figures"), *map(linked, charts)] if charts else list(blocks)
    with replacing(path) as temporary:
        temporary.write_text(markdown.document([Heading(title, 1), *shown]), encoding="utf-8")


def linked(chart: Chart) -> Figure:
    """A figure with its caption, and links to its files in figures/."""
    link = f"figures/{chart.name}"
    return Figure(chart, (Paragraph(f"*{chart.caption}* [PDF]({link}.pdf), [points]({link}.csv)"),))
