"""Keeping what was measured: plain tables in a folder small enough to commit, with where they came from.

`lengthwise report RUNS --export DIR` writes such a folder, and `lengthwise report DIR` makes the report of it alone.
"""

import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables.environments import read_probe_environments
from analysis.tables.evidence import Evidence
from analysis.tables.origin import Origin, write_origin
from analysis.tables.plain_tables import REPORT, write_tables
from analysis.tables.trial_folders import is_trial


def export(evidence: Evidence, paths: Sequence[str], folder: Path, made_by: str, command: str) -> None:
    """Write all tables and origin.json into a folder.

    Args:
        evidence: what was found.
        paths: where it was found.
        folder: where to; one of an earlier export is brought up to date.
        made_by: the commands that measured; empty where not known.
        command: the command line that exports.

    Raises:
        ReportError: a folder in which the tables would replace something else, or be found beside what they are from.
        OSError: the folder cannot be written.
    """
    for path in paths:
        if folder.resolve().is_relative_to(Path(path).resolve()):
            raise ReportError(f"--export: {folder} lies in {path}, from which it is made; choose a folder elsewhere")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    if is_trial(names) or REPORT in names:
        kind = "trial" if is_trial(names) else "report"
        raise ReportError(f"--export: {folder} is the folder of a {kind}; give one of its own")
    shutil.rmtree(folder / "attention", ignore_errors=True)  # of an earlier export; it would be read back
    write_evidence(evidence, folder)
    write_origin(folder, _origin(evidence, read_probe_environments(paths), made_by, command))


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """Everything that was found, as plain tables, and the attention of test sentences as it was.

    Raises:
        OSError: the folder cannot be written.
    """
    write_tables(
        folder, evidence.loaded, evidence.runs.trials["arch"], evidence.curves, evidence.environments,
        evidence.gradients, evidence.parallelism,
    )  # fmt: skip
    for number, file in enumerate(evidence.attention, start=1):
        copy = folder / "attention" / str(number) / file.path.name
        if copy.resolve() != file.path.resolve():
            with replacing(copy) as temporary:
                shutil.copyfile(file.path, temporary)


def _origin(evidence: Evidence, probes: pd.DataFrame, made_by: str, command: str) -> Origin:
    trials, timed = evidence.environments, evidence.parallelism
    timed = timed[timed["metric"] == "step_seconds"]  # counts belong to no device
    return Origin(
        made_by=made_by,
        exported_by=command,
        date=datetime.now(UTC).date().isoformat(),
        commit=_distinct([*trials["commit"], *probes["commit"]]),
        device=_distinct([*evidence.loaded.trials["device"], *timed["device"], *probes["device"]]),
        processor=_distinct([*trials["processor"], *timed["processor"], *probes["processor"]]),
    )


def _distinct(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if isinstance(value, str) and value}))
