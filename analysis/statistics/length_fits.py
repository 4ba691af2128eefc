"""Two numbers for what length does to an architecture: the length that halves its accuracy, and where bits level off.

Both are fitted to the curve of each seed, so that their spread over seeds is known.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from analysis.figures.style import styles
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import SETTING, at_train_length

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


def length_fits(results: pd.DataFrame) -> list[LengthFit]:
    """The fits of every architecture with two lengths or more, tasks by name, architectures in the order of tables."""
    accuracy = at_train_length(results, "greedy_token_accuracy")
    bits = _with_presented(results)
    found = []
    for (task, vocabulary), rows in accuracy.groupby(SETTING):
        for arch in styles(rows["arch"]):
            own = rows[rows["arch"] == arch]
            passed = bits[(bits[[*SETTING, "arch"]] == [task, vocabulary, arch]).all(axis=1)]
            if fit := _fit((str(task), int(rows["vocabulary"].iloc[0]), arch), own, passed):
                found.append(fit)
    return found


def half_length(lengths: np.ndarray, accuracy: np.ndarray) -> float:
    """The length at which accuracy has fallen to half of that at the shortest, interpolated in the log of length.

    Args:
        lengths: (L,), ascending.
        accuracy: (L,).

    Returns:
        The smallest such length; infinity where accuracy stays above half.
    """
    excess = accuracy - accuracy[0] / 2
    fallen = np.flatnonzero(excess <= 0)
    if not fallen.size or accuracy[0] <= 0:
        return math.inf
    after = int(fallen[0])
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    logs = np.log(lengths)
    return float(np.exp(logs[before] + share * (logs[after] - logs[before])))


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
    curves = [
        own.sort_values("train_length") for _, own in accuracy.groupby("seed") if len(set(own["train_length"])) > 1
    ]
    if not curves:
        return None
    unlearnt = sum(own["value"].iloc[0] < LEARNT for own in curves)
    halves = [half_length(own["train_length"].to_numpy(float), own["value"].to_numpy()) for own in curves]
    capacities = [
        fitted_capacity(own["presented"].to_numpy(), own["value"].to_numpy())
        for _, own in bits.groupby("seed")
        if len(set(own["train_length"])) > 1
    ]
    return LengthFit(
        *key,
        half_length=None if unlearnt else _over_logs(halves),
        capacity=mean_interval(capacities).clipped(0, math.inf) if capacities and max(capacities) < math.inf else None,
        seeds=len(curves),
        unlearnt=unlearnt,
        unhalved=sum(map(math.isinf, halves)),
        unfilled=sum(map(math.isinf, capacities)) if capacities else None,
        longest=int(accuracy["train_length"].max()),
        most_bits=float(bits["presented"].max()) if len(bits) else math.nan,
    )


def _over_logs(values: list[float]) -> MeanInterval | None:
    """Geometric mean and interval; lengths are compared by their ratio, and none lies below 0."""
    if max(values) == math.inf:
        return None
    logs = mean_interval(np.log(values))
    mean, low, high = np.exp(logs[:3])
    return MeanInterval(float(mean), float(low), float(high), logs.count)


def _with_presented(results: pd.DataFrame) -> pd.DataFrame:
    """Bits recovered at the train length, with those presented to the same trial as `presented`."""
    presented = at_train_length(results, "bits_presented").set_index("trial")["value"]
    rows = at_train_length(results, "bits_recovered")
    return rows.assign(presented=rows["trial"].map(presented)).dropna(subset="presented")
