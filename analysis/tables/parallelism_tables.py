"""Reading parallelism.csv, the table of counts and timings that `lengthwise parallelism` writes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.trial_folders import walk

RESULTS = "parallelism.csv"
COLUMNS = [
    "device", "processor", "threads", "precision", "sweep", "arch", "hidden_size", "num_params", "length",
    "batch_size", "metric", "median", "lower", "upper", "repeats", "note",
]  # fmt: skip
NUMBERS = ["threads", "length", "batch_size", "median", "lower", "upper", "repeats"]
MACHINE = ["device", "processor", "threads", "precision"]


def load(folders: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of all folders.

    Raises:
        ReportError: a folder without the table, or a table with other columns.
    """
    tables = []
    for folder in map(Path, folders):
        path = folder / RESULTS
        try:
            tables.append(pd.read_csv(path))
        except (OSError, ValueError):
            raise ReportError(f"{path} cannot be read; `lengthwise parallelism --output {folder}` writes it") from None
        if missing := [column for column in COLUMNS if column not in tables[-1]]:
            raise ReportError(f"{path} has no column '{missing[0]}'; `lengthwise parallelism` writes it anew")
        for column in NUMBERS:
            if not pd.api.types.is_numeric_dtype(tables[-1][column]):
                raise ReportError(f"{path}: '{column}' holds something that is no number; measure again")
    return pd.concat(tables, ignore_index=True).drop_duplicates(ignore_index=True)


def read_parallelism(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Every parallelism.csv at or below the folders as one table; none at all gives an empty one.

    Raises:
        ReportError: as `load` raises it, or a path that is no folder.
    """
    found = walk(paths, f"a folder that holds {RESULTS}, or a folder of such")
    folders = [folder for folder, _, files in found if RESULTS in files]
    return load(folders) if folders else pd.DataFrame(columns=COLUMNS)
