"""Everything a report is made from, gathered from trial folders, from plain tables, or from both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import AttentionFile, find_attention
from analysis.tables.environments import read_environments
from analysis.tables.histories import read_histories
from analysis.tables.line_names import with_gradients
from analysis.tables.origin import Origin, read_origins
from analysis.tables.parallelism_tables import read_parallelism
from analysis.tables.plain_tables import Tables, read_tables
from analysis.tables.trial_folders import Runs, collect_runs, find_trials, nothing_complete


@dataclass(frozen=True)
class Evidence:
    """What was found below the given paths; a table of what is missing is empty.

    Attributes:
        loaded: trials as they were read.
        runs: the same, variants of an architecture told apart.
        gradients: the table of gradient flow.
        parallelism: the table of `lengthwise parallelism`.
        curves: validation scores while training.
        environments: what each trial ran on.
        attention: attention of some test sentences, a file a model.
        notes: sentences on what had to be left out.
        plain: the paths below which no trial folder lies.
        origins: where exported tables came from, by their folder.
    """

    loaded: Runs
    runs: Runs
    gradients: pd.DataFrame
    parallelism: pd.DataFrame
    curves: pd.DataFrame
    environments: pd.DataFrame
    attention: list[AttentionFile]
    notes: list[str]
    plain: list[str]
    origins: dict[Path, Origin]


def gather(paths: Sequence[str]) -> Evidence:
    """Read trials, tables, gradients and timings at or below the paths.

    A path below which a trial folder lies is one of trials, and tables that a report made of them are not read; any
    other is one of plain tables, see analysis.tables.plain_tables.

    Raises:
        ReportError: a path or file that cannot be understood, a trial found twice, or nothing to report.
    """
    plain = [path for path in paths if next(find_trials([path]), None) is None]
    folders = [path for path in paths if path not in plain]
    tables = read_tables(plain)
    loaded = _together(collect_runs(folders), tables)
    searched = [*paths, *map(str, tables.folders)]
    runs, gradients = with_gradients(searched, loaded, tables.variants)
    parallelism = read_parallelism(searched)
    if runs.trials.empty and gradients.empty and parallelism.empty:
        raise ReportError(nothing_complete(paths, loaded))
    return Evidence(
        loaded=loaded,
        runs=runs,
        gradients=gradients,
        parallelism=parallelism,
        curves=_stacked(read_histories(folders), tables.curves),
        environments=_stacked(read_environments(folders), tables.environments),
        attention=find_attention(searched),
        notes=tables.notes,
        plain=plain,
        origins=read_origins(plain),
    )


def _together(runs: Runs, tables: Tables) -> Runs:
    """Trials of folders and of tables; a trial counts once.

    Raises:
        ReportError: a trial that lies in a folder and stands in a table.
    """
    twice = set(runs.trials["trial"]) & set(tables.runs.trials["trial"])
    if twice:
        where = ", ".join(map(str, tables.folders))
        raise ReportError(f"{min(twice)} lies in a folder and stands in a table of {where}; give only one of them")
    return Runs(
        results=_stacked(runs.results, tables.runs.results),
        trials=_stacked(runs.trials, tables.runs.trials),
        sentences=_stacked(runs.sentences, tables.runs.sentences),
        failures=_stacked(runs.failures, tables.runs.failures),
        unfinished=runs.unfinished,
        architectures=Architectures([*tables.runs.architectures.values(), *runs.architectures.values()]),
    )


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    if second.empty:
        return first
    return pd.concat([first, second], ignore_index=True) if len(first) else second
