"""Everything a report is made from: gathered from trial folders, from plain tables or from both, and kept as tables.

`lengthwise report RUNS --export DIR` writes plain tables into a folder small enough to commit, with where they came
from, and `lengthwise report DIR` makes the report of it alone.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables import plain_tables, schema, trial_folders
from analysis.tables.architectures import Architecture, Architectures, class_of
from analysis.tables.attention_files import AttentionFile, find_attention
from analysis.tables.plain_tables import Origin, Tables
from analysis.tables.probe_tables import read_probe
from analysis.tables.schema import Table
from analysis.tables.trial_folders import Runs
from analysis.tables.variants import with_gradients


@dataclass(frozen=True)
class Evidence:
    """What was found below the given paths; a table of what is missing is empty.

    Attributes:
        loaded: trials as they were read.
        runs: the same, variants of an architecture told apart.
        gradients: the table of gradient flow, with how the training of each trial ended, see `with_gradients`.
        probes: the tables of the other probes, by the names of their files.
        attention: attention of some test sentences, a file a model.
        notes: sentences on what had to be left out.
        plain: the paths below which no trial folder lies.
        origins: where exported tables came from, by their folder.
    """

    loaded: Runs
    runs: Runs
    gradients: pd.DataFrame
    probes: dict[str, pd.DataFrame]
    attention: list[AttentionFile]
    notes: list[str]
    plain: list[str]
    origins: dict[Path, Origin]

    @property
    def parallelism(self) -> pd.DataFrame:
        """The table of `lengthwise parallelism`."""
        return self.probes["parallelism"]

    @property
    def tables(self) -> dict[Table, pd.DataFrame]:
        """Everything but attention as plain tables; variants keep the name of their architecture."""
        measured = [self.loaded.trials, self.gradients, *self.probes.values()]
        classes = {class_of(arch) for table in measured for arch in table["arch"].dropna()}
        stated = [self.runs.architectures[arch] for arch in self.runs.architectures.names(classes)]
        return {
            schema.TIDY: self.loaded.results,
            schema.KEPT_TRIALS: self.loaded.trials.assign(label=self.runs.trials["arch"]),
            schema.FAILURES: self.loaded.failures,
            schema.KEPT_SENTENCES: self.loaded.sentences,
            schema.LEARNING_CURVES: self.loaded.curves,
            schema.ENVIRONMENTS: self.loaded.environments,
            schema.GRADIENTS: self.gradients[schema.GRADIENTS.names],
            **{table: self.probes[table.name] for table in schema.PROBES},
            schema.ARCHITECTURES: pd.DataFrame(stated, columns=schema.ARCHITECTURES.names),
        }


def gather(paths: Sequence[str]) -> Evidence:
    """Read trials, tables, gradients and timings at or below the paths.

    A path below which a trial folder lies is one of trials, and tables that a report made of them are not read; any
    other is one of plain tables, see analysis.tables.plain_tables.

    Raises:
        ReportError: a path or file that cannot be understood, a trial found twice, or nothing to report.
    """
    plain = [path for path in paths if next(trial_folders.find_trials([path]), None) is None]
    folders = [path for path in paths if path not in plain]
    tables = plain_tables.read_tables(plain)
    searched = [*paths, *map(str, tables.folders)]
    loaded = _together(trial_folders.load_runs(folders), tables, plain_tables.read_architectures(searched))
    runs, gradients = with_gradients(searched, loaded, tables.variants)
    probes = {table.name: read_probe(table, searched) for table in schema.PROBES}
    if all(table.empty for table in (runs.trials, gradients, *probes.values())):
        raise ReportError(trial_folders.nothing_complete(paths, loaded))
    return Evidence(
        loaded=loaded,
        runs=runs,
        gradients=gradients,
        probes=probes,
        attention=find_attention(searched),
        notes=tables.notes,
        plain=plain,
        origins=plain_tables.read_origins(plain),
    )


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
    if trial_folders.is_trial(names) or plain_tables.REPORT in names:
        kind = "trial" if trial_folders.is_trial(names) else "report"
        raise ReportError(f"--export: {folder} is the folder of a {kind}; give one of its own")
    write_evidence(evidence, folder, compress=True)
    plain_tables.write_origin(folder, _origin(evidence, trial_folders.read_probe_environments(paths), made_by, command))


def write_evidence(evidence: Evidence, folder: Path, compress: bool = False) -> None:
    """Everything that was found, as plain tables, large ones compressed or not, and attention as it was.

    What an earlier report or export left of these goes; it would be read back.

    Raises:
        OSError: the folder cannot be written.
    """
    plain_tables.write_tables(folder, evidence.tables, compress)
    contents = [file.path.read_bytes() for file in evidence.attention]  # first of all, as they may be earlier copies
    attention = folder / "attention"
    copies = [attention / str(number) / schema.ATTENTION.file for number in range(1, len(contents) + 1)]
    for copy, content in zip(copies, contents, strict=True):
        with replacing(copy) as temporary:
            temporary.write_bytes(content)
    for copy in {*attention.glob(f"*/{schema.ATTENTION.file}")} - {*copies}:
        copy.unlink()
    for emptied in (*attention.glob("*"), attention):
        with suppress(OSError):  # it holds something
            emptied.rmdir()


def _origin(evidence: Evidence, probes: pd.DataFrame, made_by: str, command: str) -> Origin:
    trials, timed = evidence.loaded.environments, evidence.parallelism
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


def _together(runs: Runs, tables: Tables, stated: Sequence[Architecture]) -> Runs:
    """Trials of folders and of tables, with what architectures.csv states; a trial counts once.

    Raises:
        ReportError: a trial that lies in a folder and stands in a table.
    """
    twice = set(runs.trials["trial"]) & set(tables.runs.trials["trial"])
    if twice:
        where = ", ".join(map(str, tables.folders))
        raise ReportError(f"{min(twice)} lies in a folder and stands in a table of {where}; give only one of them")
    return replace(
        trial_folders.join_runs([runs, tables.runs]),
        architectures=Architectures([*runs.architectures.values(), *stated]),
    )
