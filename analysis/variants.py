"""Two configurations of one architecture are two lines in a figure, never one average."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.frames import Column, Frame
from analysis.load_runs import Runs

CELL = ["arch", "task", "vocabulary", "train_length", "source_language", "target_language", "test_name"]


def tell_variants_apart(runs: Runs) -> Runs:
    """Rename architectures that were run with different options at the same task and length.

    `GRU` becomes `GRU [hidden_size=64]` and `GRU [hidden_size=128]`: the options named are those that differ.
    Architectures with one configuration keep their name.

    Raises:
        ReportError: two trials of one seed that no model option tells apart; they would count as two seeds.
    """
    trials = runs.trials.copy()
    trials["arch"] = _labels(trials)
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


def _labels(trials: Frame) -> Column:
    """The name of each trial's architecture, with the options that differ."""
    differing: dict[str, set[str]] = {}
    for cell, group in trials.groupby(CELL, dropna=False):
        differing.setdefault(str(cell[0]), set()).update(_differing(_options(group)))
    options = _options(trials)
    labels = [
        _label(arch, {key: own.get(key) for key in sorted(differing[arch])})
        for arch, own in zip(trials["arch"], options, strict=True)
    ]
    return pd.Series(labels, index=trials.index)


def _options(trials: Frame) -> list[dict[str, Any]]:
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


def _label(arch: str, options: Mapping[str, Any]) -> str:
    if not options:
        return arch
    return f"{arch} [{', '.join(f'{key}={value}' for key, value in options.items())}]"
