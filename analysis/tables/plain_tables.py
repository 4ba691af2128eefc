"""Plain tables in place of trial folders: what a report is made from, small enough to be kept and committed.

`write_tables` writes them, `read_tables` reads them back. A folder of tables holds results.csv, the tidy table, and
what else is known: trials.csv, failures.csv, sentences.csv, curves.csv, environment.csv, gradients.csv,
parallelism.csv and architectures.csv, all of them in analysis.tables.schema; and origin.json, which says where exported
tables came from.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables import schema
from analysis.tables.architectures import Architecture, options_of
from analysis.tables.readers import compressed, is_there, read_csv
from analysis.tables.schema import Table
from analysis.tables.trial_folders import Runs, files_named, join_runs, walk

REPORT = "report.md"
TABLES = "report_tables"  # the folder below a report that keeps all it was made from; no walk enters it
ORIGIN = "origin.json"
LARGE = 1_000_000  # bytes of a table, above which an export compresses it


class Tables(NamedTuple):
    """What the plain tables in some folders say of trials.

    Attributes:
        folders: those with tables.
        runs: their trials.
        variants: what sets a trial apart, as its label says, by the name of the trial.
        notes: sentences on what is missing.
    """

    folders: list[Path]
    runs: Runs
    variants: dict[str, str]
    notes: list[str]


def read_tables(paths: Sequence[str | Path]) -> Tables:
    """Every folder of tables at or below the paths, put together; without any, all tables are empty.

    Raises:
        ReportError: a path that is no folder, a table that cannot be understood, or a trial that two tables have.
    """
    folders = []
    for folder, subfolders, files in walk(paths):
        if REPORT in files:
            subfolders.clear()  # figures, and copies of the tables it was made from
            if folder not in map(Path, paths):
                continue
        kept = folder / TABLES
        if schema.TIDY.file in files or (kept / schema.TIDY.file).is_file():
            folders.append(kept if kept.is_dir() else folder)
    parts = [_read_folder(folder) for folder in folders]
    runs = join_runs([part.runs for part in parts])
    repeated = runs.trials[runs.trials.duplicated("trial")]
    if len(repeated):
        raise ReportError(f"{', '.join(map(str, folders))}: two tables have {repeated['trial'].iloc[0]}; give only one")
    return Tables(
        folders=folders,
        runs=runs,
        variants={trial: variant for part in parts for trial, variant in part.variants.items()},
        notes=[note for part in parts for note in part.notes],
    )


def read_architectures(paths: Sequence[str | Path]) -> list[Architecture]:
    """What every architectures.csv at or below the folders says.

    Raises:
        ReportError: a path that is no folder, or a table that cannot be understood.
    """
    tables = (read_csv(path, schema.ARCHITECTURES) for path in files_named(schema.ARCHITECTURES.file, paths))
    return [Architecture(*row) for table in tables for row in table.itertuples(index=False, name=None)]


def write_tables(folder: Path, tables: Mapping[Table, pd.DataFrame], compress: bool = False) -> None:
    """Write all tables that have rows, each under the name that its schema gives it; the same rows give the same bytes.

    Args:
        folder: where to; what an earlier report or export left of these tables goes.
        tables: what to write.
        compress: whether tables of more than a megabyte are compressed, a tenth as large.

    Raises:
        OSError: the folder cannot be written.
    """
    for kind, table in tables.items():
        path = folder / kind.file
        if table.empty:
            path.unlink(missing_ok=True)
            compressed(path).unlink(missing_ok=True)
            continue
        in_json = {
            column.name: [json.dumps(value) if isinstance(value, dict) else "" for value in table[column.name]]
            for column in kind.columns
            if column.kind is dict
        }
        content = table.assign(**in_json).to_csv(index=False, lineterminator="\n").encode()
        written, other = path, compressed(path)
        if compress and len(content) > LARGE:
            content = gzip.compress(content, mtime=0)
            written, other = other, written
        with replacing(written) as temporary:
            temporary.write_bytes(content)
        other.unlink(missing_ok=True)


def _read_folder(folder: Path) -> Tables:
    results = read_csv(folder / schema.TIDY.file, schema.TIDY).astype({"position": "Int64"})
    trials = _optional(folder, schema.KEPT_TRIALS)
    variants = {trial: options_of(label) for trial, label in zip(trials["trial"], trials["label"], strict=True)}
    trials = trials[schema.TRIALS.names] if len(trials) else _trials_of(results)
    sentences = _optional(folder, schema.KEPT_SENTENCES)
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
        raise ReportError(f"{folder / schema.TRIALS.file} lacks {min(stray)} of results.csv; write both anew")
    shortest = results["trial"].map(trials.set_index("trial")["min_train_length"])  # tables of earlier versions
    shortest = results["min_train_length"].fillna(shortest).fillna(results["train_length"])
    results = results.assign(min_train_length=shortest.astype(int))
    failures, curves, environments = (
        _optional(folder, table) for table in (schema.FAILURES, schema.LEARNING_CURVES, schema.ENVIRONMENTS)
    )
    runs = Runs(results, trials, sentences, failures, [], curves, environments)
    return Tables([folder], runs, variants, notes)


def _optional(folder: Path, table: Table) -> pd.DataFrame:
    path = folder / table.file
    return read_csv(path, table) if is_there(path) else pd.DataFrame(columns=table.names)


def _trials_of(results: pd.DataFrame) -> pd.DataFrame:
    """What the tidy table alone knows of its trials; the rest is missing."""
    trials = (
        results[["trial", *(column.name for column in schema.LABELS)]].drop_duplicates("trial").reset_index(drop=True)
    )
    no_options = pd.Series([{} for _ in range(len(trials))], dtype=object)
    trials = trials.assign(model=no_options)
    numbers = {column.name: np.nan if column.kind in (int, float) else None for column in schema.TRIALS.columns}
    return trials.assign(**{name: value for name, value in numbers.items() if name not in trials})[schema.TRIALS.names]


@dataclass(frozen=True)
class Origin:
    """What is known of how tables came about; what is not known is empty.

    Attributes:
        made_by: the commands that measured, as the user says them.
        exported_by: the command that wrote the tables.
        date: the day of that, such as 2026-11-21.
        commit: of the code that measured, as trials recorded it.
        device: the devices, as trials and timings recorded them.
        processor: the same of processors.
    """

    made_by: str
    exported_by: str
    date: str
    commit: tuple[str, ...]
    device: tuple[str, ...]
    processor: tuple[str, ...]

    def __str__(self) -> str:
        """One sentence, for a report."""
        machine = ", ".join([*self.processor, *self.device])
        parts = [
            f"measured by `{self.made_by}`" if self.made_by else "",
            f"on {machine}" if machine else "",
            f"at commit {', '.join(self.commit)}" if self.commit else "",
            f"written on {self.date} by `{self.exported_by}`",
        ]
        return ", ".join(part for part in parts if part)


def write_origin(folder: Path, origin: Origin) -> None:
    """Write origin.json.

    Raises:
        OSError: the folder cannot be written.
    """
    with replacing(folder / ORIGIN) as temporary:
        temporary.write_text(json.dumps(asdict(origin), indent=2) + "\n", encoding="utf-8")


def read_origins(paths: Sequence[str | Path]) -> dict[Path, Origin]:
    """Every origin.json at or below the folders, by its folder.

    Raises:
        ReportError: a path that is no folder, or a file that does not say what it should.
    """
    return {path.parent: _read_origin(path) for path in files_named(ORIGIN, paths)}


def _read_origin(path: Path) -> Origin:
    known = ", ".join(field.name for field in fields(Origin))
    remedy = f"is no JSON object with the keys {known}; export the tables again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        several = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
        return Origin(**content | several)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(f"{path} {remedy}") from error
