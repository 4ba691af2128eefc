"""How fast the learning signal fades with distance: decay per step and effective horizon of each line."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics.crossings import first_crossing
from analysis.statistics.intervals import MeanInterval, mean_interval
from analysis.statistics.summaries import without_stopped
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import LINE, curves, ends, line_name
from analysis.tables.schema import EMBEDDING_GRADIENT

FLOAT_FLOOR = 1e-37  # float32 cannot tell what lies below from zero
HORIZON_SHARE = 0.01  # of the norm at the least distance
LEAST_R_SQUARED = 0.9  # of a curve that is called exponential
LEAST_DISTANCES = 3  # a line through two points fits whatever they are
WHEN = {"initial": "at initialisation", "trained": "after training"}


class Horizon(NamedTuple):
    """The smallest distance at which the norm has fallen to 1% of that at the least distance, over seeds.

    Attributes:
        reached: geometric mean and interval over seeds, in steps; None unless all seeds fall to 1%.
        beyond: number of seeds that do not within the distances measured.
        seeds: number of seeds whose norm at the least distance is above the float floor.
        furthest: greatest distance measured.
    """

    reached: MeanInterval | None
    beyond: int
    seeds: int
    furthest: int


class Fit(NamedTuple):
    """The decay of one line of one phase.

    Attributes:
        decay: factor per step, exp(slope of log norm against distance), its interval that of the slopes over seeds;
            None where no seed has enough distances above the float floor.
        horizon: effective horizon.
        r_squared: (seeds,) of the fit of each seed.
        at_floor: distances left out of the fit, summed over seeds.
        exponential: whether the norm decays exponentially with distance; None where that cannot be told.
        kept: share of the norm at the least distance that is left at the greatest, geometric mean over seeds; the float
            floor counts for what lies below. None without any signal.
    """

    arch: str
    variant: str
    task: str
    length: int
    phase: str
    decay: MeanInterval | None
    horizon: Horizon
    r_squared: tuple[float, ...]
    at_floor: int
    exponential: bool | None
    kept: MeanInterval | None

    @property
    def name(self) -> str:
        return line_name(self.arch, self.variant)


class BothPhases(NamedTuple):
    """One line at initialisation and after training; None where a phase was not measured."""

    arch: str
    variant: str
    task: str
    length: int
    initial: Fit | None
    trained: Fit | None

    @property
    def name(self) -> str:
        return line_name(self.arch, self.variant)


def fits(table: pd.DataFrame, architectures: Architectures) -> list[Fit]:
    """Decay and horizon of every line at initialisation and after training, in the order of tables.

    Trials that used up their budget before they had converged are not fitted after training.
    """
    rows = without_stopped(ends(curves(table, EMBEDDING_GRADIENT)))
    order = list(architectures.names(rows["name"]))
    fitted = [_fit(key, group) for key, group in rows.groupby([*LINE, "phase"])]
    return sorted(fitted, key=lambda fit: (fit.task, order.index(fit.name), fit.length, fit.phase))


def both_phases(table: pd.DataFrame, architectures: Architectures) -> list[BothPhases]:
    """Every line with its fits at initialisation and after training side by side."""
    sides: dict[tuple[str, str, str, int], dict[str, Fit]] = {}
    for fit in fits(table, architectures):
        sides.setdefault((fit.arch, fit.variant, fit.task, fit.length), {})[fit.phase] = fit
    return [BothPhases(*line, phases.get("initial"), phases.get("trained")) for line, phases in sides.items()]


def _fit(key: tuple, rows: pd.DataFrame) -> Fit:
    lines = [_line(of_seed) for _, of_seed in rows.groupby("seed")]
    fitted = [_regress(distances, norms) for distances, norms in lines]
    slopes = [slope for slope, _ in filter(None, fitted)]
    r_squared = tuple(r_squared for _, r_squared in filter(None, fitted))
    decay = mean_interval(slopes).exponentiated() if slopes else None
    at_floor = sum(int(np.count_nonzero(norms <= FLOAT_FLOOR)) for _, norms in lines)
    arch, variant, task, length, phase = key
    horizon = _horizon(lines)
    return Fit(
        arch, variant, task, int(length), phase, decay, horizon, r_squared, at_floor, _exponential(decay, r_squared),
        _kept(lines),
    )  # fmt: skip


def _line(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Distances and norms of one seed, by distance."""
    ordered = rows.sort_values("distance")
    return ordered["distance"].to_numpy(float), ordered["mean"].to_numpy(float)


def _regress(distances: np.ndarray, norms: np.ndarray) -> tuple[float, float] | None:
    """Slope and R² of log norm against distance by ordinary least squares, over norms above the float floor."""
    above = norms > FLOAT_FLOOR
    if above.sum() < LEAST_DISTANCES:
        return None
    x, y = distances[above] - distances[above].mean(), np.log(norms[above])
    y = y - y.mean()
    slope = float(x @ y / (x @ x))
    # A flat curve leaves nothing to explain but rounding.
    r_squared = float((x @ y) ** 2 / (x @ x) / (y @ y)) if y @ y > 1e-20 * len(y) else 0.0
    return slope, r_squared


def _exponential(decay: MeanInterval | None, r_squared: tuple[float, ...]) -> bool | None:
    """Whether norms decay exponentially: a decay below 1 by its whole interval, and R² of 0.9 in every seed.

    They do not where R² stays below 0.9 in every seed or the whole interval is at 1 or above; otherwise, and with
    one seed, it cannot be told.
    """
    if decay is None or math.isnan(decay.low):
        return None
    if decay.low >= 1 or max(r_squared) < LEAST_R_SQUARED:
        return False
    return True if decay.high < 1 and min(r_squared) >= LEAST_R_SQUARED else None


def _kept(lines: list[tuple[np.ndarray, np.ndarray]]) -> MeanInterval | None:
    shares = [math.log(max(norms[-1], FLOAT_FLOOR) / norms[0]) for _, norms in lines if norms[0] > FLOAT_FLOOR]
    return mean_interval(shares).exponentiated() if shares else None


def _horizon(lines: list[tuple[np.ndarray, np.ndarray]]) -> Horizon:
    horizons = [horizon(distances, norms) for distances, norms in lines if norms[0] > FLOAT_FLOOR]
    beyond = sum(math.isinf(value) for value in horizons)
    # Of logarithms, as everything here: an interval of few seeds would reach below a distance of 0 otherwise.
    reached = mean_interval(np.log(horizons)).exponentiated() if horizons and not beyond else None
    return Horizon(reached, beyond, len(horizons), int(max(distances[-1] for distances, _ in lines)))


def horizon(distances: np.ndarray, norms: np.ndarray) -> float:
    """The smallest distance at which norms fall to 1% of the first, log norms interpolated linearly between distances.

    Args:
        distances: (D,), ascending.
        norms: (D,), above 0.

    Returns:
        The distance in steps; infinity where norms stay above 1%.
    """
    distance = first_crossing(distances, np.log(norms) - math.log(HORIZON_SHARE * norms[0]))
    return math.inf if distance is None else distance
