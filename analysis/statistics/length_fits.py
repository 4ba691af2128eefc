"""Numbers for what length does to an architecture: the length that halves its accuracy, the length up to which it keeps
most of it, and where bits level off.

All are fitted to the curve of each seed, so that their spread over seeds is known.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from analysis.statistics.crossings import first_crossing
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    TaskSetting,
    by_setting,
    of_setting,
    settings_of,
    tested,
    with_score,
    within_training,
    without_stopped,
)
from analysis.tables.architectures import Architectures, class_of

# Of accuracies on a scale from chance to 1:
KEPT = 0.85  # of that at the shortest length; up to the effective length it is kept
LEARNT = 0.5  # least one at the shortest length of what there is to halve
REACHED = 0.99  # of what was presented; a capacity that is fitted above it was not reached


class LengthFit(NamedTuple):
    """What was fitted to one architecture on one task; a number is None where some seed has none.

    Attributes:
        half_length: length at which accuracy above chance is half of that at the shortest length, geometric mean and
            95% t interval over seeds.
        capacity: bits a sequence, see `fitted_capacity`.
        seeds: seeds with at least two lengths.
        unlearnt: how many of them had not learnt the task at the shortest length, so that nothing was halved.
        unhalved: how many never fell to half.
        unfilled: how many of those with bits recovered all that they were presented with; None without bits.
        longest: the greatest length of any seed.
        most_bits: the most bits presented to any seed; NaN without bits.
    """

    setting: TaskSetting
    arch: str
    half_length: MeanInterval | None
    capacity: MeanInterval | None
    seeds: int
    unlearnt: int
    unhalved: int
    unfilled: int | None
    longest: int
    most_bits: float


class EffectiveLength(NamedTuple):
    """How far what one architecture learnt up to a limit carries.

    Attributes:
        limit: the greatest length in training.
        longest: the greatest length tested, beyond the limit.
        at_shortest: accuracy at the shortest length tested, mean over seeds.
        at_longest: accuracy at the greatest.
        length: the effective length, geometric mean and 95% t interval over seeds; None where some seed has none.
        seeds: seeds that were tested at two lengths or more.
        unlearnt: how many of them had not learnt the task at the shortest length.
        kept: how many keep most of their accuracy up to the greatest length.
        stopped: trials that used up their budget before they had converged; they are not among the seeds.
    """

    setting: TaskSetting
    arch: str
    limit: int
    longest: int
    at_shortest: MeanInterval | None
    at_longest: MeanInterval | None
    length: MeanInterval | None
    seeds: int
    unlearnt: int
    kept: int
    stopped: int


def effective_lengths(results: pd.DataFrame, architectures: Architectures) -> list[EffectiveLength]:
    """The effective lengths of all models that were trained up to a limit and tested beyond it.

    The effective length is the greatest length up to which a model keeps 85% of its accuracy above chance at the
    shortest length tested: where its curve first falls below, interpolated in the logarithm of length. (The share is
    that of Hsieh et al. 2024, arXiv:2404.06654, who ask 85% of a fixed score.)
    """
    rows = with_score(tested(results, "greedy_token_accuracy"), results)
    rows = rows[rows["limit"] > 0]
    effective = []
    for setting in settings_of(rows):
        of_task = of_setting(rows, setting)
        longest = int(of_task["length"].max())
        if longest > setting.limit:
            for arch in architectures.names(of_task["arch"]):
                effective.append(_effective(setting, arch, longest, of_task[of_task["arch"] == arch]))
    return effective


def _effective(setting: TaskSetting, arch: str, longest: int, rows: pd.DataFrame) -> EffectiveLength:
    counted = without_stopped(rows)
    curves = _curves(counted)
    length, unlearnt, kept = _lengths_keeping(KEPT, curves)

    def accuracy(place: int) -> MeanInterval | None:
        values = [curve["value"].iloc[place] for curve in curves]
        return mean_interval(values).clipped(*PROPORTION) if values else None

    return EffectiveLength(
        setting,
        arch,
        limit=setting.limit,
        longest=longest,
        at_shortest=accuracy(0),
        at_longest=accuracy(-1),
        length=length,
        seeds=len(curves),
        unlearnt=unlearnt,
        kept=kept,
        stopped=rows["trial"].nunique() - counted["trial"].nunique(),
    )


def length_fits(results: pd.DataFrame, architectures: Architectures) -> list[LengthFit]:
    """The fits of every architecture with two lengths or more, tasks by name, architectures in the order of tables."""
    accuracy = with_score(within_training(results, "greedy_token_accuracy"), results)
    bits = _with_presented(results)
    fits = []
    for setting in settings_of(accuracy):
        rows, passed = (of_setting(table, setting) for table in (accuracy, bits))
        for arch in architectures.names(rows["arch"]):
            fits.append(_fit(setting, arch, rows[rows["arch"] == arch], passed[passed["arch"] == arch]))
    return [fit for fit in fits if fit]


def length_keeping(share: float, lengths: np.ndarray, accuracy: np.ndarray) -> float:
    """The length at which accuracy has fallen to a share of that at the shortest, interpolated in the log of length.

    Args:
        share: of the accuracy at the shortest length, below 1.
        lengths: (L,), ascending.
        accuracy: (L,).

    Returns:
        The smallest such length; infinity where accuracy stays above that share.
    """
    log_length = first_crossing(np.log(lengths), accuracy - share * accuracy[0])
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


class CapacityLine(NamedTuple):
    """Bits that pass a fixed context against the numbers it holds: a straight line for each seed.

    Attributes:
        bits_per_number: slope, bits for each number of the context, mean and 95% t interval over seeds.
        lines: (seeds, 2), slope and bits at 0 of each seed.
        sizes: (sizes, 2), the hidden sizes that were fitted and the numbers in a context of each, ascending.
    """

    setting: TaskSetting
    arch: str
    bits_per_number: MeanInterval
    lines: np.ndarray
    sizes: np.ndarray

    def at(self, context_size: float) -> MeanInterval:
        """The bits on the line, mean and interval over seeds."""
        return mean_interval(self.lines @ [context_size, 1.0])


def capacity_lines(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> list[CapacityLine]:
    """The line of every architecture with a fixed context that was run at two sizes or more.

    The bits of a trial are the most that it recovered at any length. A trial that recovered nearly everything it was
    presented with met no limit, and a trial that had not converged may have found more later: neither is fitted.

    Args:
        results: the tidy table, variants told apart or not.
        trials: one row a complete trial, with its `hidden_size` and `context_size`.
        architectures: gives the order.
    """
    rows = without_stopped(_with_presented(results))
    widths = trials.dropna(subset="context_size").set_index("trial")
    rows = rows[rows["trial"].isin(widths.index)]
    rows = rows.assign(
        arch=rows["arch"].map(class_of),
        hidden_size=rows["trial"].map(widths["hidden_size"]),
        context_size=rows["trial"].map(widths["context_size"]).astype(float),
    )
    most = rows.sort_values("value").drop_duplicates([*SETTING, "arch", "context_size", "seed"], keep="last")
    most = most[most["value"] <= REACHED * rows.groupby("trial")["presented"].transform("max").loc[most.index]]
    fitted = []
    for setting, of_task in by_setting(most):
        for arch in architectures.names(of_task["arch"]):
            own = of_task[of_task["arch"] == arch]
            curves = [curve for _, curve in own.groupby("seed") if len(curve) > 1]
            if curves:
                lines = np.array([np.polyfit(curve["context_size"], curve["value"], 1) for curve in curves])
                sizes = own[["hidden_size", "context_size"]].drop_duplicates().sort_values("context_size")
                fitted.append(CapacityLine(setting, arch, mean_interval(lines[:, 0]), lines, sizes.to_numpy(float)))
    return fitted


def _fit(setting: TaskSetting, arch: str, accuracy: pd.DataFrame, bits: pd.DataFrame) -> LengthFit | None:
    curves = _curves(accuracy)
    if not curves:
        return None
    half_length, unlearnt, unhalved = _lengths_keeping(0.5, curves)
    capacities = [fitted_capacity(curve["presented"].to_numpy(), curve["value"].to_numpy()) for curve in _curves(bits)]
    return LengthFit(
        setting,
        arch,
        half_length=half_length,
        capacity=mean_interval(capacities).clipped(0, math.inf) if capacities and max(capacities) < math.inf else None,
        seeds=len(curves),
        unlearnt=unlearnt,
        unhalved=unhalved,
        unfilled=sum(map(math.isinf, capacities)) if capacities else None,
        longest=int(accuracy["length"].max()),
        most_bits=float(bits["presented"].max()) if len(bits) else math.nan,
    )


def _lengths_keeping(share: float, curves: Sequence[pd.DataFrame]) -> tuple[MeanInterval | None, int, int]:
    """Geometric mean and interval of `length_keeping` over seeds, None where some seed has none; how many seeds had not
    learnt the task at the shortest length, and how many keep the share throughout."""
    unlearnt = sum(curve["score"].iloc[0] < LEARNT for curve in curves)
    lengths = [length_keeping(share, curve["length"].to_numpy(float), curve["score"].to_numpy()) for curve in curves]
    kept = sum(map(math.isinf, lengths))
    mean = None if unlearnt or kept or not lengths else mean_interval(np.log(lengths)).exponentiated()
    return mean, unlearnt, kept


def _curves(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each seed with two lengths or more, by length."""
    curves = (of_seed.sort_values("length") for _, of_seed in rows.groupby("seed"))
    return [curve for curve in curves if curve["length"].iloc[0] < curve["length"].iloc[-1]]


def _with_presented(results: pd.DataFrame) -> pd.DataFrame:
    """Bits recovered at the train length, with those presented to the same trial as `presented`."""
    presented = within_training(results, "bits_presented")[["trial", "length", "value"]]
    rows = within_training(results, "bits_recovered")
    return rows.merge(presented.rename(columns={"value": "presented"}), on=["trial", "length"])
