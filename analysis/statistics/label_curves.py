"""Accuracy against the number of labelled examples, of models that begin from nothing and from pre-training."""

from typing import NamedTuple

import pandas as pd

from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import TASK, within_training, without_stopped
from analysis.tables.architectures import class_of, options_of

SCRATCH = "from scratch"
CELL = [*TASK, "train_length", "line"]  # what a curve with and one without pre-training have in common
VARYING = ("init_from=", "train_examples=")


class Gain(NamedTuple):
    """What pre-training adds to the accuracy at one number of labelled examples: over seeds that ended by themselves,
    each against the same seed from scratch, which reads the same examples."""

    examples: int
    gain: MeanInterval


def label_curves(results: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row a trial: columns `CELL`, init_from, train_examples, seed, ended, value.

    `value` is its greedy token accuracy, the mean over the lengths tested of those in training. Only cells are kept
    in which models begin from scratch and from pre-training, at several numbers of examples.
    """
    rows = within_training(results, "greedy_token_accuracy")
    accuracy = rows.groupby("trial")["value"].mean()
    curves = trials[trials["trial"].isin(accuracy.index) & trials["train_examples"].notna()].copy()
    curves["value"] = curves["trial"].map(accuracy)
    curves["init_from"] = curves["init_from"].fillna(SCRATCH)
    curves["line"] = [_line(arch) for arch in curves["arch"]]
    curves = curves[[*CELL, "init_from", "train_examples", "seed", "ended", "value"]]
    cells = curves.groupby(CELL)
    several = (cells["init_from"].transform("nunique") > 1) & (cells["train_examples"].transform("nunique") > 1)
    begun = cells["init_from"].transform(lambda names: SCRATCH in set(names)).astype(bool)
    return curves[several & begun].astype({"train_examples": int}).reset_index(drop=True)


def gains(curves: pd.DataFrame) -> list[Gain]:
    """The gain at each number of examples, from the rows of one cell and one kind of pre-training beside scratch."""
    converged = without_stopped(curves)
    table = converged.pivot_table(index=["train_examples", "seed"], columns="init_from", values="value").dropna()
    if table.shape[1] < 2:
        return []
    [name] = [name for name in table.columns if name != SCRATCH]
    table = table.assign(gain=table[name] - table[SCRATCH]).reset_index()
    numbers = sorted({int(number) for number in table["train_examples"]})
    return [
        Gain(number, mean_interval(table.loc[table["train_examples"] == number, "gain"].to_numpy()))
        for number in numbers
    ]


def _line(arch: str) -> str:
    """The name of a line without what varies along it: `GRU [hidden_size=64]`."""
    kept = [option for option in options_of(arch).split(", ") if option and not option.startswith(VARYING)]
    return f"{class_of(arch)} [{', '.join(kept)}]" if kept else class_of(arch)
