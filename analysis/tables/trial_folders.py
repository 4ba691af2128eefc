"""From folders of finished trials, or W&B, to one tidy table. The only file that knows what a run folder looks like.

The contract of a trial folder, its files and metrics is docs/results.md.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.architectures import Architectures, stated_by
from analysis.tables.json_files import read_json
from analysis.tables.wandb_mirror import local_folder

COLUMNS = [
    "trial", "arch", "task", "vocabulary", "train_length", "seed", "num_params", "device",
    "split", "eval_length", "bucket", "position", "metric", "value",
]  # fmt: skip
TEXT_COLUMNS = ["decoding", "signatures", "source_language", "target_language", "test_name", "attention"]
TRIAL_COLUMNS = [
    "trial", "arch", "task", "vocabulary", "train_length", "min_train_length", "seed", "num_params", "device",
    "threads", "precision", "steps", "train_seconds", "version", "hidden_size", "model", *TEXT_COLUMNS,
]  # fmt: skip
FAILURE_COLUMNS = ["trial", "status", "reason", "step", "arch", "task", "train_length", "seed"]

MEASURED = ["split", "eval_length", "position", "metric", "value"]
# BLEU's sufficient statistics of a sentence, in the order analysis.statistics.intervals expects.
BLEU_STATISTICS = [
    *(f"bleu_correct_{n}" for n in range(1, 5)), *(f"bleu_total_{n}" for n in range(1, 5)),
    "output_words", "reference_words",
]  # fmt: skip
SENTENCE_COLUMNS = ["trial", "line", "source_length", "reference", *BLEU_STATISTICS]
WHOLE_NUMBERS = [
    "vocabulary", "train_length", "min_train_length", "seed", "num_params", "threads", "steps",
]  # fmt: skip
# What makes two trials the same configuration, as far as a summary tells.
IDENTITY = ["arch", "task", "vocabulary", "train_length", "min_train_length", "seed", "model", *TEXT_COLUMNS]

BUCKET = re.compile(r"|all|(\d+)-(\d+)|(\d+)\+")
ALL = "all"  # the bucket that is the whole test set
# For a corrupt file; with its summary in place, a trial may count as complete and would not run again.
REMEDY = "remove the trial's summary.json and run it again, or move its folder away"
TRIAL_FILES = {"config.yaml", "summary.json", "failure.json"}
NOT_SEARCHED = {"checkpoints", "figures", "latex", "report_tables", "wandb"}


@dataclass(frozen=True, eq=False)
class Runs:
    """Everything that was found below the given folders.

    Attributes:
        results: the tidy table: a row per (trial, split, eval_length, bucket, position, metric), columns `COLUMNS`;
            `bucket` is empty for synthetic tasks.
        trials: a row per complete trial, columns `TRIAL_COLUMNS`; `model` is the object of all model options,
            `hidden_size` one of them, missing where a model has no such option. `TEXT_COLUMNS` are
            missing for synthetic tasks; `signatures` is an object: the sacreBLEU signature of each metric.
        sentences: a row per (trial, test sentence) of trials on text, columns `SENTENCE_COLUMNS`; `reference` is the
            `digest` of its reference.
        failures: a row per trial that failed or diverged, columns `FAILURE_COLUMNS`.
        unfinished: folders of trials that still run or were interrupted.
        architectures: what the architectures of the trials say of themselves.
    """

    results: pd.DataFrame
    trials: pd.DataFrame
    sentences: pd.DataFrame
    failures: pd.DataFrame
    unfinished: list[Path]
    architectures: Architectures = field(default_factory=Architectures)


def load_runs(paths: Sequence[str | Path]) -> Runs:
    """Read every trial at or below the given folders: trials, sweeps, or folders of sweeps. `wandb:ENTITY/PROJECT`
    stands for the finished and failed runs of a project, see analysis.tables.wandb_mirror.

    Raises:
        ReportError: as `collect_runs` raises it, or no complete trial at all.
    """
    runs = collect_runs(paths)
    if runs.trials.empty:
        raise ReportError(nothing_complete(paths, runs))
    return runs


def collect_runs(paths: Sequence[str | Path]) -> Runs:
    """What `load_runs` reads, with empty tables where no trial is complete.

    The same trial reached twice counts once. As the name of a trial's folder is derived from its configuration,
    folders of the same name are the same trial.

    Raises:
        ReportError: a path that is no folder, a file that cannot be understood, or two different trials of one name.
    """
    summaries: dict[str, dict[str, Any]] = {}
    folders: dict[str, Path] = {}
    failures: dict[str, dict[str, Any]] = {}
    unfinished: dict[str, Path] = {}
    for folder in find_trials(paths):
        name = folder.name
        summary = _read_summary(folder)
        if summary is not None:
            if name in summaries:
                _check_same(summaries[name], summary, folders[name], folder)
            else:
                summaries[name], folders[name] = summary, folder
        elif (failure := _read_failure(folder)) is not None:
            failures.setdefault(name, failure)
        else:
            unfinished.setdefault(name, folder)
    rows = [_trial_row(name, summary) for name, summary in summaries.items()]
    return Runs(
        results=_tidy(summaries, folders),
        trials=pd.DataFrame(rows)[TRIAL_COLUMNS] if rows else pd.DataFrame(columns=TRIAL_COLUMNS),
        sentences=_sentences(summaries, folders),
        failures=pd.DataFrame([failures[name] for name in failures if name not in summaries], columns=FAILURE_COLUMNS),
        unfinished=[folder for name, folder in unfinished.items() if name not in summaries | failures],
        architectures=Architectures(
            stated
            for summary in summaries.values()
            for stated in stated_by(summary["arch"], summary.get("architecture"))
        ),
    )


def find_trials(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Yield the folder of every trial at or below the paths, each once, in the order of the paths and by name.

    Raises:
        ReportError: a path that does not exist or is no folder.
    """
    for folder, subfolders, files in walk(paths, "the folder of a trial or of a sweep"):
        if is_trial(files):
            subfolders.clear()
            yield folder


def walk(paths: Sequence[str | Path], wanted: str) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder at or below the paths, each once, in the order of the paths and by name.

    Args:
        paths: folders.
        wanted: what to give instead of something else, as an error says it.

    Yields:
        The folder, its subfolders, to be cleared where they need not be searched, and its files.

    Raises:
        ReportError: a path that does not exist or is no folder.
    """
    seen: set[Path] = set()
    for path in map(local_folder, paths):
        if not path.is_dir():
            problem = "is not a folder" if path.exists() else "does not exist"
            raise ReportError(f"{path} {problem}; give {wanted}")
        for parent, subfolders, files in os.walk(path):
            subfolders[:] = sorted(s for s in subfolders if s not in NOT_SEARCHED and not s.startswith("."))
            folder = Path(parent)
            if folder.resolve() in seen:
                subfolders.clear()  # what was left out of it then is left out now
                continue
            seen.add(folder.resolve())
            yield folder, subfolders, files


def is_trial(files: Sequence[str]) -> bool:
    """Whether a folder that holds these file names is the folder of a trial."""
    return not TRIAL_FILES.isdisjoint(files)


def _read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a complete trial; None where there is none."""
    path = folder / "summary.json"
    if not path.is_file():
        return None
    summary = _read_json(path)
    if summary.get("status") != "complete":
        return None
    optional = {"trial", "hidden_size"} if is_text(summary) else {"trial", "hidden_size", *TEXT_COLUMNS}
    missing = [key for key in TRIAL_COLUMNS if key not in summary and key not in optional]
    if missing:
        raise _corrupt(path, f"has no '{missing[0]}'")
    for key in WHOLE_NUMBERS:
        if type(summary[key]) is not int:
            raise _corrupt(path, f"'{key}' is {summary[key]!r}, not a whole number")
    if not isinstance(summary["model"], dict):
        raise _corrupt(path, "'model' is not an object")
    if is_text(summary):
        _check_text(path, summary)
    return summary


def is_text(summary: Mapping[str, Any]) -> bool:
    """Whether a trial was one on text: its summary says more about text than that of a synthetic task."""
    return not set(TEXT_COLUMNS).isdisjoint(summary)


def _check_text(path: Path, summary: dict[str, Any]) -> None:
    kinds: dict[str, tuple[type, str]] = {"signatures": (dict, "an object"), "attention": (bool, "true or false")}
    for key in TEXT_COLUMNS:
        kind, name = kinds.get(key, (str, "text"))
        if not isinstance(summary[key], kind):
            raise _corrupt(path, f"'{key}' is {summary[key]!r}, not {name}")


def _read_failure(folder: Path) -> dict[str, Any] | None:
    """How a trial ended badly; None where it did not."""
    path = folder / "failure.json"
    if not path.is_file():
        return None
    failure = _read_json(path)
    for key in ("status", "reason"):
        if not isinstance(failure.get(key), str):
            raise _corrupt(path, f"'{key}' is missing or not text")
    return {"trial": folder.name, **{key: failure.get(key) for key in FAILURE_COLUMNS[1:]}}


def _read_json(path: Path) -> dict[str, Any]:
    content = read_json(path, REMEDY)
    if not isinstance(content, dict):
        raise _corrupt(path, "is not a JSON object")
    return content


def _read_results(path: Path) -> list[list[Any]]:
    """The rows of a trial's results.csv in the order of `COLUMNS`; without a column `bucket` it is empty."""
    rows = []
    for number, line in enumerate(_read_table(path, MEASURED), start=2):
        try:
            rows.append(_measurement(line))
        except ValueError as error:
            raise _corrupt(path, f"line {number}: {error}") from error
    return rows


def _measurement(line: dict[str, str]) -> list[Any]:
    """One row of results.csv.

    Raises:
        ValueError: a length, position, bucket or value that is none.
    """
    position, bucket, value = line["position"], line.get("bucket", ""), float(line["value"])
    if value != value:
        raise ValueError("the value is not a number")
    if not BUCKET.fullmatch(bucket):
        raise ValueError(f"the bucket '{bucket}' is neither empty nor all nor one such as 1-10 or 61+")
    where = [line["split"], _whole(line["eval_length"]), bucket, _whole(position) if position else None]
    return [*where, line["metric"], value]


def _sentences(summaries: dict[str, dict[str, Any]], folders: dict[str, Path]) -> pd.DataFrame:
    """The test sentences of every trial on text."""
    rows = []
    for name, summary in summaries.items():
        if is_text(summary):
            rows.extend([name, *row] for row in _read_sentences(folders[name] / "sentences.csv"))
    return pd.DataFrame(rows, columns=SENTENCE_COLUMNS)


def _read_sentences(path: Path) -> list[list[Any]]:
    """The rows of a trial's sentences.csv in the order of `SENTENCE_COLUMNS`."""
    counted = ["line", "source_length", *BLEU_STATISTICS]
    rows = []
    for number, line in enumerate(_read_table(path, SENTENCE_COLUMNS[1:]), start=1):
        try:
            counts = {column: _whole(line[column]) for column in counted}
        except ValueError as error:
            raise _corrupt(path, f"sentence {number}: {error}") from error
        if min(counts.values()) < 0:
            raise _corrupt(path, f"sentence {number}: a count is negative")
        # A digest tells test sets apart as well, and tables that are kept hold no text of a corpus.
        row = {**counts, "reference": digest(line["reference"])}
        rows.append([row[column] for column in SENTENCE_COLUMNS[1:]])
    return rows


def digest(text: str) -> str:
    """Twelve digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file of a complete trial, which must have these columns."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _corrupt(path, "is missing though the trial is complete") from error
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _corrupt(path, "is not a text file") from error
    if not text.endswith("\n"):
        # A number cut short is still a number; the missing end of line is what gives it away.
        raise _corrupt(path, "ends in the middle of a line")
    # Not splitlines: a translation may hold characters that it takes for the end of a line.
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    missing = [column for column in columns if column not in header]
    if missing:
        raise _corrupt(path, f"has no column '{missing[0]}'")
    if not lines:
        raise _corrupt(path, "has no rows")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise _corrupt(path, f"line {number} has {len(line)} fields instead of {len(header)}")
    return [dict(zip(header, line, strict=True)) for line in lines]


def _whole(text: str) -> int:
    """A whole number; `3.0` is one too, as tables with gaps write it so."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is not a whole number")
    return int(number)


def _tidy(summaries: dict[str, dict[str, Any]], folders: dict[str, Path]) -> pd.DataFrame:
    """Join summaries and measurements into the table with the columns `COLUMNS`."""
    rows = []
    for name, summary in summaries.items():
        trial = [name, *(summary[key] for key in COLUMNS[1:8])]
        rows.extend(trial + row for row in _read_results(folders[name] / "results.csv"))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["position"] = table["position"].astype("Int64")
    _check_buckets(table, summaries, folders)
    repeated = table.duplicated(["trial", "split", "eval_length", "bucket", "position", "metric"])
    if repeated.any():
        row = table[repeated].iloc[0]
        path = folders[row["trial"]] / "results.csv"
        raise _corrupt(path, f"states {row['metric']} at length {row['eval_length']} twice")
    return table


def _check_buckets(table: pd.DataFrame, summaries: dict[str, dict[str, Any]], folders: dict[str, Path]) -> None:
    """Trials on text have buckets, those on synthetic tasks have none."""
    bucketed = set(table[table["bucket"] != ""]["trial"])
    for name, summary in summaries.items():
        if name in bucketed and not is_text(summary):
            raise _corrupt(folders[name] / "summary.json", "has no 'test_name' though results.csv has buckets")
        if name not in bucketed and is_text(summary):
            raise _corrupt(folders[name] / "results.csv", "has no bucket though the trial is one on text")


def _trial_row(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(TEXT_COLUMNS), **summary, "trial": name, "hidden_size": summary["model"].get("hidden_size")}


def _check_same(first: dict[str, Any], second: dict[str, Any], folder: Path, other: Path) -> None:
    different = [key for key in IDENTITY if first.get(key) != second.get(key)]
    if different:
        raise ReportError(
            f"{folder} and {other} have one name but differ in '{different[0]}'; rename one or report them apart"
        )


def _corrupt(path: Path, problem: str) -> ReportError:
    return ReportError(f"{path}: {problem}; {REMEDY}")


def nothing_complete(paths: Sequence[str | Path], runs: Runs) -> str:
    """The line that says that no trial below these folders is complete, and why."""
    where = ", ".join(map(str, paths))
    found = f"{len(runs.failures)} failed, {len(runs.unfinished)} unfinished"
    if len(runs.failures):
        failure = runs.failures.iloc[0]
        found += f"; {failure['trial']} {failure['status']}: {failure['reason']}"
    return f"no complete trial in {where} ({found}); run a sweep first"
