"""Laws behind times and depths: exponents, exact lines, crossings, and Amdahl's serial fraction."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from scipy.stats import linregress

from analysis.statistics.crossings import first_crossing
from analysis.statistics.intervals import LEVEL
from analysis.tables.probe_tables import MACHINE

UPPER_RANGE = 8  # an exponent is fitted to lengths from the greatest down to this share of it


class Exponent(NamedTuple):
    """The exponent of a power law with its confidence interval, NaN where two points leave none."""

    value: float
    low: float
    high: float
    points: int


class Line(NamedTuple):
    """slope · n + intercept, exactly."""

    slope: int
    intercept: int


def upper_exponent(lengths: Sequence[float], values: Sequence[float]) -> Exponent | None:
    """The exponent b of value = a · length^b over the upper range of lengths; None below two points.

    Least squares of log value on log length over the lengths from an eighth of the greatest on, where fixed costs
    matter least, with Student's 95% t interval. The interval covers deviations from the power law as well as noise.

    Raises:
        ValueError: a length or value that is not above 0.
    """
    pairs = [(n, value) for n, value in zip(lengths, values, strict=True) if n * UPPER_RANGE >= max(lengths)]
    if len(pairs) < 2:
        return None
    if min(min(pair) for pair in pairs) <= 0:
        raise ValueError("a power law needs lengths and values above 0")
    x, y = np.log(np.asarray(pairs, dtype=float)).T
    fit: Any = linregress(x, y)
    half = float(stdtrit(len(x) - 2, (1 + LEVEL) / 2) * fit.stderr) if len(x) > 2 else math.nan
    return Exponent(float(fit.slope), fit.slope - half, fit.slope + half, len(x))


def exact_line(lengths: Sequence[int], counts: Sequence[int]) -> Line | None:
    """The line with whole coefficients that every count lies on exactly; None where there is none, or one point only.

    A slope of 0 is a constant.
    """
    if len(lengths) < 2:
        return None
    slope, rest = divmod(counts[1] - counts[0], lengths[1] - lengths[0])
    intercept = counts[0] - slope * lengths[0]
    exact = all(slope * n + intercept == count for n, count in zip(lengths, counts, strict=True))
    return Line(slope, intercept) if exact and not rest else None


def doubling_law(lengths: Sequence[int], counts: Sequence[int]) -> tuple[int, Line] | None:
    """The line in log2 of the length that the counts lie on exactly from some length on, and that length.

    None where the lengths are no powers of two, or where fewer than three lengths are left, or the slope is not
    above 0.
    """
    if any(n & (n - 1) for n in lengths):
        return None
    for first in range(len(lengths) - 2):
        line = exact_line([n.bit_length() - 1 for n in lengths[first:]], counts[first:])
        if line is not None:
            return (lengths[first], line) if line.slope > 0 else None
    return None


def crossing(lengths: Sequence[float], first: Sequence[float], second: Sequence[float]) -> float | None:
    """The length from which on `first` is above `second`, as far as was measured.

    Between two measured lengths both are taken as power laws.

    Args:
        lengths: in ascending order.
        first: values above 0, such as seconds of attention.
        second: the same of what it is compared with, such as recurrence.

    Returns:
        The length; None where `first` is not above `second` at the greatest length, or is above it at all of them.
    """
    difference = np.log(np.asarray(first, dtype=float)) - np.log(np.asarray(second, dtype=float))
    # Followed from the greatest length downwards.
    log_length = first_crossing(np.log(np.asarray(lengths, dtype=float))[::-1], difference[::-1])
    return None if log_length is None else math.exp(log_length)


def serial_fraction(speedup: float, workers: float) -> float:
    """The part of the work that does not profit from more workers, by Amdahl's law.

    Amdahl 1967: speed-up = 1 / (e + (1 - e) / p), solved for e (Karp & Flatt 1990): e = (1/S - 1/p) / (1 - 1/p).
    Below 0 where the speed-up exceeds the number of workers.

    Raises:
        ValueError: not more than one worker.
    """
    if workers <= 1:
        raise ValueError(f"{workers} workers give no speed-up to judge by")
    return (1 / speedup - 1 / workers) / (1 - 1 / workers)


def speedups(results: pd.DataFrame) -> pd.DataFrame:
    """Speed-up by threads and by batch size: device, processor, threads, precision, sweep, arch, length, workers,
    speedup, low, high, serial_fraction. Workers are threads, where `threads` is 0, or sequences a batch."""
    rows = results[(results["metric"] == "tokens_per_second") & results["sweep"].isin(["threads", "batch"])]
    points = []
    by = [*MACHINE, "sweep", "arch", "length"]
    by_threads = rows["sweep"] == "threads"
    rows = rows.assign(
        workers=rows["threads"].where(by_threads, rows["batch_size"]).astype(int),
        threads=rows["threads"].where(~by_threads, 0),
    )
    for key, measured in rows.groupby(by, sort=False):
        base = measured[measured["workers"] == 1]
        if base.empty or len(measured) < 2:
            continue
        for _, row in measured.sort_values("workers").iterrows():
            gain = [row[end] / base["median"].iloc[0] for end in ("median", "lower", "upper")]
            fraction = serial_fraction(gain[0], row["workers"]) if row["workers"] > 1 else math.nan
            points.append([*key, row["workers"], *gain, fraction])
    return pd.DataFrame(points, columns=[*by, "workers", "speedup", "low", "high", "serial_fraction"])


def law(results: pd.DataFrame, arch: str, metric: str) -> Line | None:
    """The exact line of a count, such as `sequential_depth`, against length; see `exact_line`."""
    counts = _counts(results, arch, metric)
    return exact_line([*counts["length"].astype(int)], [*counts["median"].astype(int)])


def logarithmic_law(results: pd.DataFrame, arch: str, metric: str) -> tuple[int, Line] | None:
    """The same in log2 of the length, and the length from which on it holds; see `doubling_law`."""
    counts = _counts(results, arch, metric)
    return doubling_law([*counts["length"].astype(int)], [*counts["median"].astype(int)])


def law_text(results: pd.DataFrame, arch: str, metric: str) -> str:
    """A count as a function of the length n: `6 n + 4`, `6 log₂ n + 61`, `60`, or its range where it is neither."""
    counts = _counts(results, arch, metric)
    if counts.empty:
        return "-"
    if len(counts) == 1:
        return f"{int(counts['median'].iloc[0])} at {int(counts['length'].iloc[0])}"
    if line := law(results, arch, metric):
        return _line_text(line, "n")
    if logarithmic := logarithmic_law(results, arch, metric):
        first, line = logarithmic
        return _line_text(line, "log₂ n") + (f" from {first} on" if first > counts["length"].iloc[0] else "")
    return f"{int(counts['median'].min())} to {int(counts['median'].max())}"


def _line_text(line: Line, variable: str) -> str:
    if not line.slope:
        return str(line.intercept)
    constant = f" {'+-'[line.intercept < 0]} {abs(line.intercept)}" if line.intercept else ""
    return f"{line.slope} {variable}{constant}"


def machine_name(machine: Sequence[Any]) -> str:
    """What tables call device, processor, threads and precision."""
    device, _, threads, precision = machine
    return f"{device}, {precision}" if device == "cuda" else f"{device}, {int(threads)} threads, {precision}"


def _counts(results: pd.DataFrame, arch: str, metric: str) -> pd.DataFrame:
    counts = results[(results["metric"] == metric) & (results["arch"] == arch)]
    return counts.drop_duplicates("length").sort_values("length")
