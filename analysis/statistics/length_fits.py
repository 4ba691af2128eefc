"""Two numbers for what length does to an architecture: the length that halves its accuracy, and where bits level off.

Both are fitted to the curve of each seed, so that their spread over seeds is known.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from analysis.statistics.crossings import first_crossing
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import at_train_length, of_setting, settings_of
from analysis.tables.architectures import Architectures

LEARNT = 0.5  # least accuracy at the shortest length of what there is to halve
REACHED = 0.99  # of what was presented; a capacity that is fitted above it was not reached


class LengthFit(NamedTuple):
    """What was fitted to one architecture on one task; a number is None where some seed has none.

    Attributes:
        half_length: source length at which accuracy is half of that at the shortest length, geometric mean and 95% t
            interval over seeds.
        capacity: bits a sequence, see `fitted_capacity`.
        seeds: seeds with at least two lengths.
        unlearnt: how many of them had not learnt the task at the shortest length, so that nothing was halved.
        unhalved: how many never fell to half.
        unfilled: how many of those with bits recovered all that they were presented with; None without bits.
        longest: the greatest length of any seed.
        most_bits: the most bits presented to any seed; NaN without bits.
    """

    task: str
    vocabulary: int
    arch: str
    half_length: MeanInterval | None
    capacity: MeanInterval | None
    seeds: int
    unlearnt: int
    unhalved: int
    unfilled: int | None
    longest: int
    most_bits: float


def length_fits(results: pd.DataFrame, architectures: Architectures) -> list[LengthFit]:
    """The fits of every architecture with two lengths or more, tasks by name, architectures in the order of tables."""
    accuracy = at_train_length(results, "greedy_token_accuracy")
    bits = _with_presented(results)
    fits = []
    for task, vocabulary in settings_of(accuracy):
        rows, passed = (of_setting(table, task, vocabulary) for table in (accuracy, bits))
        for arch in architectures.names(rows["arch"]):
            key = (str(task), int(vocabulary), arch)
            fits.append(_fit(key, rows[rows["arch"] == arch], passed[passed["arch"] == arch]))
    return [fit for fit in fits if fit]


def half_length(lengths: np.ndarray, accuracy: np.ndarray) -> float:
    """The length at which accuracy has fallen to half of that at the shortest, interpolated in the log of length.

    Args:
        lengths: (L,), ascending.
        accuracy: (L,).

    Returns:
        The smallest such length; infinity where accuracy stays above half.
    """
    log_length = first_crossing(np.log(lengths), accuracy - accuracy[0] / 2)
    return math.inf if log_length is None else math.exp(log_length)


def fitted_capacity(presented: np.ndarray, recovered: np.ndarray) -> float:
    """The capacity C for which min(presented, C) comes closest to the bits recovered, by least squares.

    A path that carries at most C bits passes everything up to C and no more than C beyond. Where training fails on
    long sources they pull C down, as they should: what was not learnt did not pass.

    Args:
        presented: (L,) bits presented at each length.
        recovered: (L,) bits recovered.

    Returns:
        C in bits, infinity where it lies above 99% of the most bits presented: no limit was met.
    """
    most = float(presented.max())

    def error(limit: float) -> float:
        return float(np.sum((np.minimum(presented, limit) - recovered) ** 2))

    # Between two neighbouring points the error is a parabola; the best of these pieces is the best of all.
    ends = [0.0, *np.unique(presented)]
    pieces: list[Any] = [minimize_scalar(error, bounds=pair, method="bounded") for pair in pairwise(ends)]
    best = float(min(pieces, key=lambda piece: piece.fun).x)
    return math.inf if best > REACHED * most else best


def _fit(key: tuple[str, int, str], accuracy: pd.DataFrame, bits: pd.DataFrame) -> LengthFit | None:
    curves = _curves(accuracy)
    if not curves:
        return None
    unlearnt = sum(curve["value"].iloc[0] < LEARNT for curve in curves)
    halves = [half_length(curve["train_length"].to_numpy(float), curve["value"].to_numpy()) for curve in curves]
    capacities = [fitted_capacity(curve["presented"].to_numpy(), curve["value"].to_numpy()) for curve in _curves(bits)]
    return LengthFit(
        *key,
        half_length=None if unlearnt or math.inf in halves else mean_interval(np.log(halves)).exponentiated(),
        capacity=mean_interval(capacities).clipped(0, math.inf) if capacities and max(capacities) < math.inf else None,
        seeds=len(curves),
        unlearnt=unlearnt,
        unhalved=sum(map(math.isinf, halves)),
        unfilled=sum(map(math.isinf, capacities)) if capacities else None,
        longest=int(accuracy["train_length"].max()),
        most_bits=float(bits["presented"].max()) if len(bits) else math.nan,
    )


def _curves(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each seed with two lengths or more, by length."""
    curves = (of_seed.sort_values("train_length") for _, of_seed in rows.groupby("seed"))
    return [curve for curve in curves if curve["train_length"].iloc[0] < curve["train_length"].iloc[-1]]


def _with_presented(results: pd.DataFrame) -> pd.DataFrame:
    """Bits recovered at the train length, with those presented to the same trial as `presented`."""
    presented = at_train_length(results, "bits_presented").set_index("trial")["value"]
    rows = at_train_length(results, "bits_recovered")
    return rows.assign(presented=rows["trial"].map(presented)).dropna(subset="presented")
