"""Plain tables in place of trial folders: what a report is made from, small enough to be kept and committed.

`write_tables` writes them, `read_tables` reads them back. A folder of tables holds results.csv, the tidy table, and
whatever else is known:

    trials.csv        a row a trial, columns `TRIAL_COLUMNS` and `label`, its line in figures; `model` and `signatures`
                      are JSON
    failures.csv      a row a trial that failed or diverged
    sentences.csv     what BLEU is computed from, a digest in place of each reference
    curves.csv        see analysis.tables.histories
    environment.csv   see analysis.tables.environments
    gradients.csv     see analysis.tables.gradient_tables
    parallelism.csv   see analysis.tables.parallelism_tables
"""

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables.architectures import options_of
from analysis.tables.environments import ENVIRONMENT_COLUMNS
from analysis.tables.histories import CURVE_COLUMNS
from analysis.tables.trial_folders import (
    BUCKET,
    COLUMNS,
    FAILURE_COLUMNS,
    SENTENCE_COLUMNS,
    TEXT_COLUMNS,
    TRIAL_COLUMNS,
    Runs,
    walk,
)

RESULTS, REPORT = "results.csv", "report.md"
TABLES = "report_tables"  # the folder below a report that keeps all it was made from; no walk enters it
JSON_COLUMNS = ("model", "signatures", "packages")
TEXTS = {
    "trial", "arch", "label", "task", "device", "split", "bucket", "metric", "precision", "version", "reference",
    "status", "reason", "decoding", "source_language", "target_language", "test_name", "python", "platform",
    "processor", "commit",
}  # fmt: skip
WHOLE = {"vocabulary", "train_length", "seed", "num_params", "eval_length", "line", "source_length"}  # never missing


class Tables(NamedTuple):
    """What the plain tables in some folders say of trials.

    Attributes:
        folders: those with tables.
        runs: their trials.
        variants: what sets a trial apart, as its label says, by the name of the trial.
        curves: see analysis.tables.histories.
        environments: see analysis.tables.environments.
        notes: sentences on what is missing.
    """

    folders: list[Path]
    runs: Runs
    variants: dict[str, str]
    curves: pd.DataFrame
    environments: pd.DataFrame
    notes: list[str]


def read_tables(paths: Sequence[str | Path]) -> Tables:
    """Every folder of tables at or below the paths, put together; without any, all tables are empty.

    Raises:
        ReportError: a path that is no folder, a table that cannot be understood, or a trial that two tables have.
    """
    folders = []
    for folder, subfolders, files in walk(paths, "a folder of trials or of tables"):
        if REPORT in files:
            subfolders.clear()  # figures, and copies of the tables it was made from
            if folder not in map(Path, paths):
                continue
        kept = folder / TABLES
        if RESULTS in files or (kept / RESULTS).is_file():
            folders.append(kept if kept.is_dir() else folder)
    each = [_read_folder(folder) for folder in folders]
    runs = Runs(
        results=_joined([one.runs.results for one in each], COLUMNS),
        trials=_joined([one.runs.trials for one in each], TRIAL_COLUMNS),
        sentences=_joined([one.runs.sentences for one in each], SENTENCE_COLUMNS),
        failures=_joined([one.runs.failures for one in each], FAILURE_COLUMNS),
        unfinished=[],
    )
    repeated = runs.trials[runs.trials.duplicated("trial")]
    if len(repeated):
        raise ReportError(f"{', '.join(map(str, folders))}: two tables have {repeated['trial'].iloc[0]}; give only one")
    curves = _joined([one.curves for one in each], CURVE_COLUMNS)
    environments = _joined([one.environments for one in each], ENVIRONMENT_COLUMNS)
    variants = {trial: variant for one in each for trial, variant in one.variants.items()}
    return Tables(folders, runs, variants, curves, environments, [note for one in each for note in one.notes])


def write_tables(
    folder: Path,
    runs: Runs,
    labels: pd.Series,
    curves: pd.DataFrame,
    environments: pd.DataFrame,
    gradients: pd.DataFrame,
    parallelism: pd.DataFrame,
) -> None:
    """Write all tables that have rows; the same rows give the same bytes. `labels` are those of the trials in figures.

    Raises:
        OSError: the folder cannot be written.
    """
    tables = {
        RESULTS: runs.results, "trials.csv": runs.trials.assign(label=labels), "failures.csv": runs.failures,
        "sentences.csv": runs.sentences, "curves.csv": curves, "environment.csv": environments,
        "gradients.csv": gradients, "parallelism.csv": parallelism,
    }  # fmt: skip
    for name, table in tables.items():
        if table.empty:
            (folder / name).unlink(missing_ok=True)  # of an earlier report; it would be read back
            continue
        in_json = {
            column: [json.dumps(value) if isinstance(value, dict) else "" for value in table[column]]
            for column in JSON_COLUMNS
            if column in table
        }
        with replacing(folder / name) as temporary:
            table.assign(**in_json).to_csv(temporary, index=False, lineterminator="\n")


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table with these columns, each of the type that its name stands for.

    Raises:
        ReportError: a file that cannot be read, a column that is missing, or a cell that is not what it should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ReportError(f"{path} ends in the middle of a line; take it from where it came once more")
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or no table
        raise ReportError(
            f"{path} is no table: {str(error).splitlines()[0]}; write it with lengthwise report"
        ) from error
    if missing := [column for column in columns if column not in table]:
        raise ReportError(f"{path} has no column '{missing[0]}'; lengthwise report writes it into tables/")
    return pd.DataFrame({column: _typed(path, table[column]) for column in columns})


def _read_folder(folder: Path) -> Tables:
    results = read_table(folder / RESULTS, COLUMNS)
    results["position"] = results["position"].astype("Int64")
    if wrong := [bucket for bucket in results["bucket"].unique() if not BUCKET.fullmatch(bucket)]:
        raise ReportError(f"{folder / RESULTS}: the bucket '{wrong[0]}' is neither empty nor all nor one such as 1-10")
    trials = _optional(folder / "trials.csv", [*TRIAL_COLUMNS, "label"])
    variants = {trial: options_of(label) for trial, label in zip(trials["trial"], trials["label"], strict=True)}
    trials = trials[TRIAL_COLUMNS]
    sentences = _optional(folder / "sentences.csv", SENTENCE_COLUMNS)
    if trials.empty:
        trials = _trials_of(results)
    notes = []
    unknown = trials["test_name"].notna() & ~trials["trial"].isin(sentences["trial"])
    unknown |= trials["test_name"].isna() & trials["trial"].isin(results[results["bucket"] != ""]["trial"])
    if unknown.any():
        notes.append(
            f"{int(unknown.sum())} trials on text in {folder} are left out: BLEU by length needs trials.csv and "
            "sentences.csv beside results.csv."
        )
        trials = trials[~unknown].reset_index(drop=True)
        results = results[results["trial"].isin(trials["trial"])].reset_index(drop=True)
    stray = set(results["trial"]) - set(trials["trial"])
    if stray:
        raise ReportError(f"{folder / 'trials.csv'} lacks {min(stray)} of results.csv; write both anew")
    runs = Runs(results, trials, sentences, _optional(folder / "failures.csv", FAILURE_COLUMNS), [])
    curves = _optional(folder / "curves.csv", CURVE_COLUMNS)
    return Tables([folder], runs, variants, curves, _optional(folder / "environment.csv", ENVIRONMENT_COLUMNS), notes)


def _optional(path: Path, columns: list[str]) -> pd.DataFrame:
    return read_table(path, columns) if path.is_file() else pd.DataFrame(columns=columns)


def _trials_of(results: pd.DataFrame) -> pd.DataFrame:
    """What the tidy table alone knows of its trials; the rest is missing."""
    trials = results[COLUMNS[:8]].drop_duplicates("trial").reset_index(drop=True)
    no_options = pd.Series([{} for _ in range(len(trials))], dtype=object)
    known = trials.assign(min_train_length=trials["train_length"], model=no_options)
    absent = {column: None for column in (*TEXT_COLUMNS, "precision", "version")}
    missing = {column: np.nan for column in TRIAL_COLUMNS if column not in known and column not in absent}
    return known.assign(**absent, **missing)[TRIAL_COLUMNS]


def _typed(path: Path, cells: pd.Series) -> pd.Series:
    name = str(cells.name)
    empty = cells == ""
    if name in JSON_COLUMNS:
        return pd.Series([_object(path, name, line, cell) for line, cell in enumerate(cells, start=2)], dtype=object)
    if name == "attention":
        return pd.Series([None if cell == "" else cell == "True" for cell in cells], dtype=object)
    if name in TEXTS:
        # An empty bucket is that of a synthetic task; other empty cells are missing.
        return cells if name == "bucket" else cells.astype(object).where(~empty, None)
    numbers: pd.Series = pd.to_numeric(cells.where(~empty, "nan"), errors="coerce")
    wrong = numbers.isna() & (~empty & (cells.str.lower() != "nan") | (name in WHOLE) | (name == "value"))
    if name in WHOLE:
        wrong |= numbers % 1 != 0
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise ReportError(f"{path}: line {place + 2}: {name} is '{cells.iloc[place]}', not a number; mend the line")
    return numbers.astype(int) if name in WHOLE else numbers


def _object(path: Path, name: str, line: int, cell: str) -> dict | None:
    try:
        value = json.loads(cell) if cell else None
    except ValueError:
        value = cell
    if value is not None and not isinstance(value, dict):
        raise ReportError(f"{path}: line {line}: '{name}' is not a JSON object; mend the line")
    return value


def _joined(tables: Iterable[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
