"""Reading the folders of trials, local ones or mirrored from W&B, into one tidy table and the tables beside it.

The contract of a trial folder, its files and metrics is docs/results.md; the columns are analysis.tables.schema.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.tables import schema
from analysis.tables.architectures import Architectures, stated_by
from analysis.tables.readers import COMPRESSED, check_keys, corrupt, joined, read_csv, read_json
from analysis.tables.schema import Table
from analysis.tables.wandb_mirror import local_folder

# What makes two trials the same configuration, as far as a summary tells.
IDENTITY = ["arch", "task", "vocabulary", "train_length", "min_train_length", "seed", "model", *schema.TEXT.names]
TRIAL_FILES = {"config.yaml", schema.SUMMARY.file, schema.FAILURE.file}
NOT_SEARCHED = {"checkpoints", "figures", "latex", "report_tables", "wandb"}
CURVES = ("greedy_token_accuracy", "bleu", "chrf", "loss")  # of all metrics in a history, those that figures show


@dataclass(frozen=True, eq=False)
class Runs:
    """Everything that was found below the given folders.

    Attributes:
        results: the tidy table: a row per (trial, split, eval_length, bucket, position, metric), columns `TIDY`;
            `bucket` is empty for synthetic tasks.
        trials: a row per complete trial, columns `TRIALS`; `model` is the object of all model options,
            `hidden_size` one of them, missing where a model has no such option. `context_size` is missing where the
            context grows with the source, and in older trials. The columns of `TEXT` are
            missing for synthetic tasks; `signatures` is an object: the sacreBLEU signature of each metric.
        sentences: a row per (trial, test sentence) of trials on text, columns `KEPT_SENTENCES`; `reference` is the
            `digest` of its reference.
        failures: a row per trial that failed or diverged, columns `FAILURES`.
        unfinished: folders of trials that still run or were interrupted.
        curves: validation scores while training, of every trial, columns `LEARNING_CURVES`. `step` counts optimiser
            steps, `seconds` the time spent since training began.
        environments: a row per trial that says what it ran on, columns `ENVIRONMENTS`. `packages` is an object: the
            version of each package. What is not known is missing.
        architectures: what the architectures of the trials say of themselves.
    """

    results: pd.DataFrame
    trials: pd.DataFrame
    sentences: pd.DataFrame
    failures: pd.DataFrame
    unfinished: list[Path]
    curves: pd.DataFrame
    environments: pd.DataFrame
    architectures: Architectures = field(default_factory=Architectures)


def join_runs(parts: Sequence[Runs]) -> Runs:
    """The trials of all parts together."""
    return Runs(
        results=joined(schema.TIDY.names, [part.results for part in parts]),
        trials=joined(schema.TRIALS.names, [part.trials for part in parts]),
        sentences=joined(schema.KEPT_SENTENCES.names, [part.sentences for part in parts]),
        failures=joined(schema.FAILURES.names, [part.failures for part in parts]),
        unfinished=[folder for part in parts for folder in part.unfinished],
        curves=joined(schema.LEARNING_CURVES.names, [part.curves for part in parts]),
        environments=joined(schema.ENVIRONMENTS.names, [part.environments for part in parts]),
        architectures=Architectures(stated for part in parts for stated in part.architectures.values()),
    )


def load_runs(paths: Sequence[str | Path]) -> Runs:
    """Read every trial at or below the given folders: trials, sweeps, or folders of sweeps. `wandb:ENTITY/PROJECT`
    stands for the finished and failed runs of a project, see analysis.tables.wandb_mirror.

    The tables are empty where no trial is complete. The same trial reached twice counts once. As the name of a trial's
    folder is derived from its configuration, folders of the same name are the same trial.

    Raises:
        ReportError: a path that is no folder, a file that cannot be understood, or two different trials of one name.
    """
    summaries: dict[str, dict[str, Any]] = {}
    folders: dict[str, Path] = {}
    failures: dict[str, dict[str, Any]] = {}
    unfinished: dict[str, Path] = {}
    found = list(find_trials(paths))
    for folder in found:
        name = folder.name
        summary = _read_summary(folder / schema.SUMMARY.file)
        if summary is not None:
            if name in summaries:
                _check_same(summaries[name], summary, folders[name], folder)
            else:
                summaries[name], folders[name] = summary, folder
        elif (folder / schema.FAILURE.file).is_file():
            failures.setdefault(name, _read_failure(folder / schema.FAILURE.file))
        else:
            unfinished.setdefault(name, folder)
    rows = [_trial_row(name, summary) for name, summary in summaries.items()]
    texts = [name for name, summary in summaries.items() if is_text(summary)]
    results = joined(schema.TIDY.names, [_read_results(folders[name], summary) for name, summary in summaries.items()])
    return Runs(
        results=results.astype({"position": "Int64"}),
        trials=pd.DataFrame(rows, columns=schema.TRIALS.names),
        sentences=joined(schema.KEPT_SENTENCES.names, [_read_sentences(folders[name]) for name in texts]),
        failures=pd.DataFrame(
            [failures[name] for name in failures if name not in summaries], columns=schema.FAILURES.names
        ),
        unfinished=[folder for name, folder in unfinished.items() if name not in summaries | failures],
        curves=_read_histories(found),
        environments=_environments(found),
        architectures=Architectures(stated for summary in summaries.values() for stated in stated_by(summary)),
    )


def read_probe_environments(paths: Sequence[str | Path]) -> pd.DataFrame:
    """What gradients and training steps were measured on, columns `ENVIRONMENTS`; `trial` is the name of the folder.

    Raises:
        ReportError: a file that cannot be understood.
    """
    probes = {schema.GRADIENTS.file, *(table.file for table in schema.PROBES)}
    return _environments(folder for folder, _, files in walk(paths) if not probes.isdisjoint(files))


def find_trials(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Yield the folder of every trial at or below the paths, each once, in the order of the paths and by name.

    Raises:
        ReportError: a path that does not exist or is no folder.
    """
    for folder, subfolders, files in walk(paths):
        if is_trial(files):
            subfolders.clear()
            yield folder


def walk(paths: Sequence[str | Path]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder at or below the paths, each once, in the order of the paths and by name.

    Yields:
        The folder, its subfolders, to be cleared where they need not be searched, and its files, compressed ones by
        the names that they have uncompressed.

    Raises:
        ReportError: a path that does not exist or is no folder.
    """
    seen: set[Path] = set()
    for path in map(local_folder, paths):
        if not path.is_dir():
            problem = "is not a folder" if path.exists() else "does not exist"
            raise ReportError(f"{path} {problem}; give a folder of trials or of tables")
        for parent, subfolders, files in os.walk(path):
            subfolders[:] = sorted(s for s in subfolders if s not in NOT_SEARCHED and not s.startswith("."))
            folder = Path(parent)
            if folder.resolve() in seen:
                subfolders.clear()  # what was left out of it then is left out now
                continue
            seen.add(folder.resolve())
            yield folder, subfolders, [file.removesuffix(COMPRESSED) for file in files]


def files_named(name: str, paths: Sequence[str | Path]) -> list[Path]:
    """Every file of this name at or below the folders.

    Raises:
        ReportError: a path that does not exist or is no folder.
    """
    return [folder / name for folder, _, files in walk(paths) if name in files]


def is_trial(files: Sequence[str]) -> bool:
    """Whether a folder that holds these file names is the folder of a trial."""
    return not TRIAL_FILES.isdisjoint(files)


def is_text(summary: Mapping[str, Any]) -> bool:
    """Whether a trial was one on text: its summary says more about text than that of a synthetic task."""
    return not set(schema.TEXT.names).isdisjoint(summary)


def digest(text: str) -> str:
    """Twelve digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_summary(path: Path) -> dict[str, Any] | None:
    """The summary of a complete trial; None where there is none."""
    summary = read_json(path, schema.SUMMARY) if path.is_file() else {}
    if summary.get("status") != "complete":
        return None
    check_keys(path, summary, schema.SUMMARY)
    if is_text(summary):
        check_keys(path, summary, schema.TEXT)
        # Earlier versions stated the pieces that were asked for, of which a small corpus gives fewer.
        summary["vocabulary"] = summary["model"].get("target_vocab_size", summary["vocabulary"])
    return summary


def _trial_row(name: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    widths = {
        "hidden_size": summary["model"].get("hidden_size"),
        "context_size": (summary.get("architecture") or {}).get("context_size"),
    }
    may_lack = (*schema.TEXT.names, *(column.name for column in schema.TRAINED))  # W&B keeps no null
    return {**dict.fromkeys(may_lack), **summary, "trial": name, **widths}


def _read_failure(path: Path) -> dict[str, Any]:
    """How a trial ended badly."""
    failure = read_json(path, schema.FAILURE)
    check_keys(path, failure, schema.FAILURE)
    return {"trial": path.parent.name, **{key: failure.get(key) for key in schema.FAILURE.names}}


def _read_results(folder: Path, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The results of a complete trial, joined with what its summary says, columns `TIDY`."""
    results = _read_table(folder, schema.RESULTS)
    path = folder / schema.RESULTS.file
    bucketed = (results["bucket"] != "").any()
    if bucketed and not is_text(summary):
        raise corrupt(folder / schema.SUMMARY.file, "has no 'test_name' though results.csv has buckets", schema.SUMMARY)
    if is_text(summary) and not bucketed:
        raise corrupt(path, "has no bucket though the trial is one on text", schema.RESULTS)
    repeated = results[results.duplicated(["split", "eval_length", "bucket", "position", "metric"])]
    if len(repeated):
        row = repeated.iloc[0]
        raise corrupt(path, f"states {row['metric']} at length {row['eval_length']} twice", schema.RESULTS)
    return results.assign(trial=folder.name, **{column.name: summary.get(column.name) for column in schema.LABELS})


def _read_sentences(folder: Path) -> pd.DataFrame:
    """The test sentences of a trial on text, columns `KEPT_SENTENCES`."""
    sentences = _read_table(folder, schema.SENTENCES)
    # A digest tells test sets apart as well, and tables that are kept hold no text of a corpus.
    return sentences.assign(trial=folder.name, reference=[digest(text) for text in sentences["reference"]])


def _read_table(folder: Path, table: Table) -> pd.DataFrame:
    """A table that every complete trial has."""
    path = folder / table.file
    if not path.exists():
        raise corrupt(path, "is missing though the trial is complete", table)
    rows = read_csv(path, table)
    if rows.empty:
        raise corrupt(path, "has no rows", table)
    return rows


def _read_histories(folders: Iterable[Path]) -> pd.DataFrame:
    """Validation curves of trials; the loss of one that diverges may be nan, and such a row is left out."""
    curves: dict[str, pd.DataFrame] = {}
    for folder in folders:
        if (folder / schema.HISTORY.file).is_file() and folder.name not in curves:
            history = read_csv(folder / schema.HISTORY.file, schema.HISTORY, unfinished=True)
            shown = history[(history["split"] == "validation") & history["metric"].isin(CURVES)]
            curves[folder.name] = shown.dropna(subset="value").assign(trial=folder.name)
    return joined(schema.LEARNING_CURVES.names, curves.values())


def _environments(folders: Iterable[Path]) -> pd.DataFrame:
    rows = []
    for folder in folders:
        if (path := folder / schema.ENVIRONMENT.file).is_file():
            content = read_json(path, schema.ENVIRONMENT)
            check_keys(path, content, schema.ENVIRONMENT)
            rows.append({"trial": folder.name, **{key: content.get(key) for key in schema.ENVIRONMENT.names}})
    return pd.DataFrame(rows, columns=schema.ENVIRONMENTS.names).drop_duplicates("trial", ignore_index=True)


def _check_same(first: dict[str, Any], second: dict[str, Any], folder: Path, other: Path) -> None:
    different = [key for key in IDENTITY if first.get(key) != second.get(key)]
    if different:
        raise ReportError(
            f"{folder} and {other} have one name but differ in '{different[0]}'; rename one or report them apart"
        )


def nothing_complete(paths: Sequence[str | Path], runs: Runs) -> str:
    """The line that says that no trial below these folders is complete, and why."""
    where = ", ".join(map(str, paths))
    counts = f"{len(runs.failures)} failed, {len(runs.unfinished)} unfinished"
    if len(runs.failures):
        failure = runs.failures.iloc[0]
        counts += f"; {failure['trial']} {failure['status']}: {failure['reason']}"
    return f"no complete trial in {where} ({counts}); run a sweep first"
