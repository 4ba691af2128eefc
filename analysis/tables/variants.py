"""Two configurations of one architecture are two lines in a figure, never one average."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.trial_folders import Runs

CELL = ["arch", "task", "vocabulary", "train_length", "source_language", "target_language", "test_name"]


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
    for (arch, own, *_), group in trials.groupby(["arch", "known", *CELL[1:]], dropna=False):
        differing.setdefault((arch, str(own)), set()).update(_differing(_options(group)))
    options = _options(trials)
    labels = [
        _label(arch, own, {key: each.get(key) for key in sorted(differing[arch, str(own)])})
        for arch, own, each in zip(trials["arch"], trials["known"], options, strict=True)
    ]
    return pd.Series(labels, index=trials.index)


def _options(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """What a model was built from, the shortest source it was trained on, and how text was decoded."""
    return [
        {**model, "min_train_length": shortest, "decoding": decoding}
        for model, shortest, decoding in zip(
            trials["model"], trials["min_train_length"], trials["decoding"], strict=True
        )
    ]


def _differing(options: list[dict[str, Any]]) -> set[str]:
    keys = set().union(*options)
    return {key for key in keys if len({json.dumps(own.get(key), sort_keys=True) for own in options}) > 1}


def _label(arch: str, known: Any, options: Mapping[str, Any]) -> str:
    parts = [known] if isinstance(known, str) and known else []
    parts += [f"{key}={value}" for key, value in options.items()]
    return f"{arch} [{', '.join(parts)}]" if parts else arch
