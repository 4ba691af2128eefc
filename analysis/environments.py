"""What trials ran on, as each left it in environment.json: machine, versions, commit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import markdown
from analysis.errors import ReportError
from analysis.frames import Frame
from analysis.load_runs import find_trials

ENVIRONMENT_COLUMNS = ["trial", "commit", "device", "processor", "threads", "platform", "python", "packages"]
SHOWN = ["device", "processor", "threads", "platform", "python", "commit", "packages"]


def read_environments(paths: Sequence[str | Path]) -> Frame:
    """A row for each trial at or below the folders that has an environment.json, columns `ENVIRONMENT_COLUMNS`.

    `packages` is an object: the version of each package. What a file does not say is missing.

    Raises:
        ReportError: a file that is no JSON object.
    """
    rows = [_read(folder) for folder in find_trials(paths) if (folder / "environment.json").is_file()]
    return pd.DataFrame(rows, columns=ENVIRONMENT_COLUMNS).drop_duplicates("trial", ignore_index=True)


def environment_section(environments: Frame, parallelism: Frame) -> str:
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


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "environment.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} is no valid JSON; run this trial again or move its folder away") from error
    if not isinstance(content, dict):
        raise ReportError(f"{path} is not a JSON object; run this trial again or move its folder away")
    return {"trial": folder.name, **{column: content.get(column) for column in ENVIRONMENT_COLUMNS[1:]}}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if value is None or value != value:
        return "-"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
