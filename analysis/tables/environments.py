"""What trials and probes ran on, as each left it in environment.json: machine, versions, commit."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.json_files import read_json
from analysis.tables.trial_folders import find_trials, walk

ENVIRONMENT_COLUMNS = ["trial", "commit", "device", "processor", "threads", "platform", "python", "packages"]
FILE = "environment.json"
PROBES = {"gradients.csv", "parallelism.csv"}


def read_environments(paths: Sequence[str | Path]) -> pd.DataFrame:
    """A row for each trial at or below the folders that has an environment.json, columns `ENVIRONMENT_COLUMNS`.

    `packages` is an object: the version of each package. What a file does not say is missing.

    Raises:
        ReportError: a file that is no JSON object.
    """
    return _table(find_trials(paths))


def read_probe_environments(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The same of `lengthwise gradients` and `lengthwise parallelism`; `trial` is the name of the folder.

    Raises:
        ReportError: a file that is no JSON object.
    """
    return _table(folder for folder, _, files in walk(paths, "a folder of results") if not PROBES.isdisjoint(files))


def _table(folders: Iterable[Path]) -> pd.DataFrame:
    rows = [_read(folder) for folder in folders if (folder / FILE).is_file()]
    return pd.DataFrame(rows, columns=ENVIRONMENT_COLUMNS).drop_duplicates("trial", ignore_index=True)


def _read(folder: Path) -> dict[str, Any]:
    remedy = "run this again or move its folder away"
    content = read_json(folder / FILE, remedy)
    if not isinstance(content, dict):
        raise ReportError(f"{folder / FILE} is not a JSON object; {remedy}")
    return {"trial": folder.name, **{column: content.get(column) for column in ENVIRONMENT_COLUMNS[1:]}}
