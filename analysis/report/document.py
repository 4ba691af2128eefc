"""The whole report: its title, every section found in sections/, and how it was made."""

import pkgutil
import shlex
from collections.abc import Sequence
from importlib import import_module

from analysis.report import sections
from analysis.report.blocks import Block, Code, Figure, Heading, Paragraph
from analysis.report.context import Report, Section

ALL_TABLES = (
    "All of these tables lie together in report_tables/; `lengthwise report` makes the same report of them alone."
)


def compose(report: Report) -> list[Block]:
    """The blocks of the report, in their order."""
    written = [(section, list(section.blocks(report))) for section in all_sections()]
    present = [section for section, blocks in written if blocks]
    body = [block for _, blocks in written for block in blocks]
    shown = {block.chart.name for block in body if isinstance(block, Figure)}
    if further := report.further_figures(shown):
        body += [Heading("Further figures"), *further]
    return [Heading(_title(present), 1), *body, *_how_it_was_made(report, present)]


def all_sections() -> list[Section]:
    """The sections of every file in sections/, by their place in the report."""
    files = pkgutil.walk_packages(sections.__path__, f"{sections.__name__}.")
    listed = [section for file in files if not file.ispkg for section in import_module(file.name).SECTIONS]
    return sorted(listed, key=lambda section: section.place)


def _title(present: Sequence[Section]) -> str:
    *most, last = [section.subject for section in present if section.subject]
    return f"Lengthwise: what length did to {', '.join(most)}{' and ' if most else ''}{last}"


def _how_it_was_made(report: Report, present: Sequence[Section]) -> list[Block]:
    origins = [section.origin for section in present if section.origin]
    copies = [f"{folder}: {origin}." for folder, origin in report.evidence.origins.items()]
    return [
        Heading("How this report was made"),
        Code(shlex.join(report.command)),
        Paragraph(" ".join([*origins, ALL_TABLES, *copies])),
    ]
