"""Learning curves: what each trial measured on its validation examples while it trained, from history.csv."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.trial_folders import REMEDY, find_trials

HISTORY_COLUMNS = ["step", "seconds", "split", "metric", "value"]
CURVE_COLUMNS = ["trial", "step", "seconds", "metric", "value"]
CURVES = ("greedy_token_accuracy", "bleu", "loss")  # of all that is recorded, what figures show


def read_histories(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Validation curves of every trial at or below the folders, columns `CURVE_COLUMNS`.

    `step` counts optimiser steps, `seconds` the time spent since training began.

    Raises:
        ReportError: a file that cannot be understood.
    """
    tables = {}
    for folder in find_trials(paths):
        if (folder / "history.csv").is_file() and folder.name not in tables:
            tables[folder.name] = _read(folder / "history.csv").assign(trial=folder.name)[CURVE_COLUMNS]
    found = [table for table in tables.values() if len(table)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=CURVE_COLUMNS)


def _read(path: Path) -> pd.DataFrame:
    try:
        # A trial that still runs, or was killed, may have written half of its last line.
        text = path.read_text(encoding="utf-8").rpartition("\n")[0]
        table = pd.read_csv(io.StringIO(text)) if text else pd.DataFrame(columns=HISTORY_COLUMNS)
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} is no table; {REMEDY}") from error
    if missing := [column for column in HISTORY_COLUMNS if column not in table]:
        raise ReportError(f"{path} has no column '{missing[0]}'; {REMEDY}")
    shown: pd.DataFrame = table[(table["split"] == "validation") & table["metric"].isin(CURVES)]
    measured = ["step", "seconds", "value"]
    numbers = shown[measured].apply(pd.to_numeric, errors="coerce")
    # The loss of a trial that diverges is nan, which is a number here; a step is not.
    broken = numbers.isna() & (shown[measured].notna() | [True, True, False])
    if broken.to_numpy().any():
        raise ReportError(f"{path}: step, seconds or value is not a number; {REMEDY}")
    return shown.assign(**{column: numbers[column] for column in measured}).dropna(subset="value")
