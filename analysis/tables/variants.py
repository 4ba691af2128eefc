"""Names of lines in figures: two configurations of one architecture are two lines, never one average.

The gradient flow and the results of a trial carry the same name, so that one can be drawn beside the other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.tables import schema
from analysis.tables.architectures import options_of
from analysis.tables.gradient_tables import line_names, measured_once, read_rows
from analysis.tables.trial_folders import Runs

CELL = ["arch", "task", "vocabulary", "train_length", "source_language", "target_language", "test_name"]


def with_gradients(
    paths: Sequence[str | Path], runs: Runs, known: Mapping[str, str] | None = None
) -> tuple[Runs, pd.DataFrame]:
    """Every gradients.csv below the folders, and the runs with their variants told apart.

    What gradients.csv calls the variant of a trial names the line of its results too; where that does not tell
    trials apart, options do, and the table of gradients takes on their names.

    Args:
        paths: folders.
        runs: the trials in them.
        known: what sets a trial apart, by its name, where that is known from elsewhere.

    Returns:
        The runs, and the table of gradients with a further column `ended`: how the training of that trial ended, empty
        at initialisation and where that is not known.

    Raises:
        ReportError: as `read_gradients` and `tell_variants_apart` raise it.
    """
    rows = read_rows(paths)
    of_trials = rows[rows["trial"] != ""].drop_duplicates("trial")
    in_gradients = dict(zip(of_trials["trial"], of_trials["variant"], strict=True))
    runs = tell_variants_apart(runs, {**(known or {}), **in_gradients})
    return runs, _with_ended(measured_once(_renamed(rows, runs.trials)), runs.trials)


def tell_variants_apart(runs: Runs, known: Mapping[str, str] | None = None) -> Runs:
    """Rename architectures that were run with different options at the same task and length.

    `GRU` becomes `GRU [hidden_size=64]` and `GRU [hidden_size=128]`: the options named are those that differ.
    Architectures with one configuration keep their name.

    Args:
        runs: what was found.
        known: what sets a trial apart, by the trial's name, where that is known already, such as
            `recurrent_init=identity`; empty for defaults. Trials of one such text are compared only with each other.

    Raises:
        ReportError: two trials of one seed that no model option tells apart; they would count as two seeds.
    """
    trials = runs.trials.copy()
    trials["arch"] = _labels(trials, known or {})
    same = trials[trials.duplicated([*CELL, "seed"], keep=False)]
    if len(same):
        first, second = same.sort_values([*CELL, "seed"])["trial"].iloc[:2]
        raise ReportError(
            f"{first} and {second} are the same architecture, task, length and seed with the same model options; "
            f"report them apart or move one away"
        )
    results = runs.results.copy()
    results["arch"] = results["trial"].map(dict(zip(trials["trial"], trials["arch"], strict=True)))
    return replace(runs, trials=trials, results=results)


def _labels(trials: pd.DataFrame, known: Mapping[str, str]) -> pd.Series:
    """The name of each trial's architecture, with the options that differ."""
    trials = trials.assign(known=trials["trial"].map(known))
    differing: dict[tuple[Any, str], set[str]] = {}
    for (arch, variant, *_), group in trials.groupby(["arch", "known", *CELL[1:]], dropna=False):
        differing.setdefault((arch, str(variant)), set()).update(_differing(_options(group)))
    labels = [
        _label(arch, variant, {key: options.get(key) for key in sorted(differing[arch, str(variant)])})
        for arch, variant, options in zip(trials["arch"], trials["known"], _options(trials), strict=True)
    ]
    return pd.Series(labels, index=trials.index)


def _options(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """What a model was built from, what it was trained on, and how text was decoded."""
    columns = ["min_train_length", "decoding", *(column.name for column in schema.TRAINED)]
    trained = trials[columns].astype(object).where(trials[columns].notna(), None).to_dict("records")
    return [
        {**model, **{str(name): value for name, value in further.items()}}
        for model, further in zip(trials["model"], trained, strict=True)
    ]


def _differing(options: list[dict[str, Any]]) -> set[str]:
    keys = set().union(*options)
    return {key for key in keys if len({json.dumps(model.get(key), sort_keys=True) for model in options}) > 1}


def _label(arch: str, known: Any, options: Mapping[str, Any]) -> str:
    parts = [known] if isinstance(known, str) and known else []
    parts += [f"{key}={value}" for key, value in options.items()]
    return f"{arch} [{', '.join(parts)}]" if parts else arch


def _renamed(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Rows of complete trials with the variant that the name of the trial's architecture states."""
    variants = {
        trial: options_of(label) for trial, label in trials[["trial", "arch"]].itertuples(index=False, name=None)
    }
    named = rows["trial"].map(variants)
    return rows.assign(variant=named.where(named.notna(), rows["variant"]))


def _with_ended(gradients: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `ended`, by the line, task, length and seed of each trial: no table names the trial."""
    of_trials = (trials[column] for column in ("arch", "task", "train_length", "seed"))
    ended = dict(zip(zip(*of_trials, strict=True), trials["ended"], strict=True))
    of_rows = (line_names(gradients), *(gradients[column] for column in ("task", "length", "seed")))
    known = [ended.get(trial, "") for trial in zip(*of_rows, strict=True)]
    return gradients.assign(ended=np.where(gradients["phase"] == "initial", "", np.array(known, dtype=object)))
