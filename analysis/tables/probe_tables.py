"""Reading the tables that probes such as `lengthwise parallelism` leave."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.tables.readers import joined, read_csv
from analysis.tables.schema import Table
from analysis.tables.trial_folders import files_named

MACHINE = ["device", "processor", "threads", "precision"]


def load(table: Table, folders: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of a table in all folders, each once.

    Raises:
        ReportError: a folder without the table, or a table that cannot be understood.
    """
    tables = [read_csv(Path(folder) / table.file, table) for folder in folders]
    return joined(table.names, tables).drop_duplicates(ignore_index=True)


def read_probe(table: Table, paths: Sequence[str | Path]) -> pd.DataFrame:
    """Every file of a probe at or below the folders as one table; none at all gives an empty one.

    Raises:
        ReportError: as `load` raises it, or a path that is no folder.
    """
    return load(table, [path.parent for path in files_named(table.file, paths)])
