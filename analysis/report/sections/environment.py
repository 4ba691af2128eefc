"""What trials and timings ran on: machines, versions, commits."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from analysis.report.blocks import Block, Heading, Paragraph, Table
from analysis.report.context import Report, Section
from analysis.tables.probe_tables import MACHINE

SHOWN = ["device", "processor", "threads", "platform", "python", "commit", "packages"]


def environment(report: Report) -> Iterator[Block]:
    """Every environment that trials or timings ran in, with how many of them."""
    trials = report.runs.environments[SHOWN].to_numpy().tolist()
    timings = report.evidence.parallelism
    machines = timings[timings["metric"] == "step_seconds"][MACHINE].drop_duplicates().to_numpy().tolist()
    yield Heading("Environment")
    if counts := Counter(tuple(map(_text, environment)) for environment in trials):
        header = ("Trials", *(column.capitalize() for column in SHOWN))
        yield Table(header, [(count, *cells) for cells, count in counts.items()])
    if machines:
        yield Table(("Timed on", "Processor", "Threads", "Precision"), [list(map(_text, row)) for row in machines])
    if not counts and not machines:
        yield Paragraph("Not known: no trial and no timing is here that says what it ran on.")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if value is None or value != value:
        return "-"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


SECTIONS = (Section(95, environment),)
