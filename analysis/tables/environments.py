"""What trials and probes ran on, as each left it in environment.json: machine, versions, commit."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.report import markdown
from analysis.tables.frames import Frame
from analysis.tables.json_files import read_json
from analysis.tables.trial_folders import find_trials, walk

ENVIRONMENT_COLUMNS = ["trial", "commit", "device", "processor", "threads", "platform", "python", "packages"]
FILE = "environment.json"
PROBES = {"gradients.csv", "parallelism.csv"}
SHOWN = ["device", "processor", "threads", "platform", "python", "commit", "packages"]


def read_environments(paths: Sequence[str | Path]) -> Frame:
    """A row for each trial at or below the folders that has an environment.json, columns `ENVIRONMENT_COLUMNS`.

    `packages` is an object: the version of each package. What a file does not say is missing.

    Raises:
        ReportError: a file that is no JSON object.
    """
    return _table(find_trials(paths))


def read_probe_environments(paths: Sequence[str | Path]) -> Frame:
    """The same of `lengthwise gradients` and `lengthwise parallelism`; `trial` is the name of the folder.

    Raises:
        ReportError: a file that is no JSON object.
    """
    return _table(folder for folder, _, files in walk(paths, "a folder of results") if not PROBES.isdisjoint(files))


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


def _table(folders: Iterable[Path]) -> Frame:
    rows = [_read(folder) for folder in folders if (folder / FILE).is_file()]
    return pd.DataFrame(rows, columns=ENVIRONMENT_COLUMNS).drop_duplicates("trial", ignore_index=True)


def _read(folder: Path) -> dict[str, Any]:
    remedy = "run this again or move its folder away"
    content = read_json(folder / FILE, remedy)
    if not isinstance(content, dict):
        raise ReportError(f"{folder / FILE} is not a JSON object; {remedy}")
    return {"trial": folder.name, **{column: content.get(column) for column in ENVIRONMENT_COLUMNS[1:]}}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if value is None or value != value:
        return "-"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
