"""The section on machines: what trials and timings ran on."""

from typing import Any

import pandas as pd

from analysis.report import markdown

SHOWN = ["device", "processor", "threads", "platform", "python", "commit", "packages"]


def environment_section(environments: pd.DataFrame, parallelism: pd.DataFrame) -> str:
    """Every environment that trials or timings ran in, with how many of them; empty where nothing is known."""
    lines: dict[tuple[str, ...], int] = {}
    for _, row in environments.iterrows():
        cells = tuple(_text(row[column]) for column in SHOWN)
        lines[cells] = lines.get(cells, 0) + 1
    parts = ["## Environment"]
    if lines:
        header = ["Trials", *(column.capitalize() for column in SHOWN)]
        parts.append(markdown.table(header, [[count, *cells] for cells, count in lines.items()]))
    timed = parallelism[parallelism["metric"] == "step_seconds"]
    machines = timed[["device", "processor", "threads", "precision"]].drop_duplicates().to_numpy().tolist()
    if machines:
        header = ["Timed on", "Processor", "Threads", "Precision"]
        parts.append(markdown.table(header, [list(map(_text, machine)) for machine in machines]))
    if len(parts) == 1:
        parts.append("Not known: no environment.json or environment.csv was found.")
    return "\n\n".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if value is None or value != value:
        return "-"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
