"""Reading parallelism.csv, the table of counts and timings that `lengthwise parallelism` writes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.tables.readers import joined, read_csv
from analysis.tables.schema import PARALLELISM
from analysis.tables.trial_folders import walk

MACHINE = ["device", "processor", "threads", "precision"]


def load(folders: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of all folders, each once.

    Raises:
        ReportError: a folder without the table, or a table that cannot be understood.
    """
    tables = [read_csv(Path(folder) / PARALLELISM.file, PARALLELISM) for folder in folders]
    return joined(PARALLELISM.names, tables).drop_duplicates(ignore_index=True)


def read_parallelism(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Every parallelism.csv at or below the folders as one table; none at all gives an empty one.

    Raises:
        ReportError: as `load` raises it, or a path that is no folder.
    """
    found = walk(paths, f"a folder that holds {PARALLELISM.file}, or a folder of such")
    return load([folder for folder, _, files in found if PARALLELISM.file in files])
