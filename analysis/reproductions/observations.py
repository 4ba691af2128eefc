"""What was measured of the lines of a reproduction: a number for each line, place and seed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.reproductions.published import Line, Reproduction
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import BUDGET, CONVERGED, PROPORTION, STOPPED
from analysis.tables.gradient_tables import curves, read_gradients
from analysis.tables.probe_tables import read_probe
from analysis.tables.schema import ALL, PARALLELISM
from analysis.tables.trial_folders import Runs

COLUMNS = ["line", "x", "seed", "value", "ended"]
POINTS = ["line", "x", "mean", "low", "high", "seeds", STOPPED, "best"]
COUNTED = -1  # the seed of what is counted and not drawn
LABELS = {
    "model": "arch", "data.task": "task", "data.length": "train_length", "data.min_length": "min_train_length",
    "data.vocabulary": "vocabulary",
}  # fmt: skip


def observe(reproduction: Reproduction, folder: Path, runs: Runs) -> pd.DataFrame:
    """Every value of every line found below a folder.

    Args:
        reproduction: what was to be measured.
        folder: with the table of its probe, if it has one.
        runs: the trials of the folder.

    Returns:
        Columns `COLUMNS`; `seed` is `COUNTED` where there is none; `ended` says how training ended.

    Raises:
        ReportError: a file that cannot be understood.
    """
    if reproduction.table == "trials":
        rows = _of_trials(reproduction, runs)
    else:
        rows = {"gradients": _of_gradients, "parallelism": _of_counts}[reproduction.table](reproduction, folder)
    places = reproduction.lengths
    kept = [row for row in rows if np.isfinite(row[3]) and (not places or row[1] in places)]
    return pd.DataFrame(kept, columns=COLUMNS)


def summary(values: pd.DataFrame, reproduction: Reproduction) -> MeanInterval:
    """The number that stands for the values of several seeds: their mean with its interval, or the best of them.

    A count is exact. The best of several seeds is a number without a spread, as papers report it. Gradient norms are
    averaged as logarithms.
    """
    sample = values["value"].to_numpy(dtype=float)
    if (values["seed"] == COUNTED).all():
        return MeanInterval(float(sample.mean()), float(sample.mean()), float(sample.mean()), len(sample))
    if reproduction.best and len(sample) > 1:
        return MeanInterval(float(sample.max()), float(sample.max()), float(sample.max()), len(sample))
    if reproduction.table == "gradients":
        return mean_interval(np.log(sample)).exponentiated()
    whole = mean_interval(sample)
    return whole.clipped(*PROPORTION) if ((sample >= 0) & (sample <= 1)).all() else whole


def points(observed: pd.DataFrame, reproduction: Reproduction) -> pd.DataFrame:
    """The means over seeds: columns `POINTS`, in the order of the lines."""
    rows = []
    for name in [line.name for line in reproduction.lines]:
        for x, group in observed[observed["line"] == name].groupby("x"):
            mean = summary(group, replace(reproduction, best=False))
            rows.append([name, x, *mean, int((group["ended"] == BUDGET).sum()), group["value"].max()])
    return pd.DataFrame(rows, columns=POINTS)


def _of_trials(reproduction: Reproduction, runs: Runs) -> list[list[Any]]:
    rows: list[list[Any]] = []
    tested = runs.results[(runs.results["split"] == "test") & (runs.results["bucket"] != ALL)]
    by_metric = {metric: dict(iter(table.groupby("trial"))) for metric, table in tested.groupby("metric")}
    trials = [{str(key): value for key, value in row.items()} for row in runs.trials.to_dict("records")]
    for line in reproduction.lines:
        for trial in trials:
            if all(_same(_setting(trial, name), wanted) for name, wanted in line.settings.items()):
                results = by_metric.get(line.metric, {}).get(trial["trial"], tested[:0])
                rows += _of_trial(reproduction.x, line, trial, results)
    return rows


def _of_trial(x: str, line: Line, trial: Mapping[str, Any], results: pd.DataFrame) -> list[list[Any]]:
    ended = trial["ended"] or CONVERGED
    if x == "length":
        pairs = zip(results["eval_length"], results["value"], strict=True)
    else:  # one place a trial: at the length it was trained on
        at = results[results["eval_length"] == trial["train_length"]]
        pairs = ((_setting(trial, x), value) for value in at["value"])
    return [[line.name, float(place), trial["seed"], float(value), ended] for place, value in pairs]


def _setting(trial: Mapping[str, Any], name: str) -> Any:
    """What a trial has for an option, by the option's name."""
    return trial[LABELS[name]] if name in LABELS else trial["model"].get(name.removeprefix("model."))


def _same(value: Any, wanted: Any) -> bool:
    return json.dumps(value, default=int) == json.dumps(wanted)


def _of_gradients(reproduction: Reproduction, folder: Path) -> list[list[Any]]:
    """Norms as shares of that at the least distance."""
    table = read_gradients([folder])
    rows: list[list[Any]] = []
    for line in reproduction.lines:
        of_line = curves(table[table["arch"] == line.settings["model"]], line.metric)
        of_line = of_line[of_line["phase"] == "initial"]
        for seed, curve in of_line[of_line["length"] == of_line["length"].max()].groupby("seed"):
            curve = curve.sort_values("distance")
            shares = curve["mean"] / curve["mean"].iloc[0]
            rows += [[line.name, x, seed, y, CONVERGED] for x, y in zip(curve["distance"], shares, strict=True)]
    return rows


def _of_counts(reproduction: Reproduction, folder: Path) -> list[list[Any]]:
    table = read_probe(PARALLELISM, [folder])
    return [
        [line.name, float(row.length), COUNTED, float(row.median), CONVERGED]
        for line in reproduction.lines
        for row in table[(table["arch"] == line.settings["model"]) & (table["metric"] == line.metric)].itertuples()
    ]
