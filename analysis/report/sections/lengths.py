"""Numbers that sum up a curve of accuracy: the length that halves it, and where one more trial should land."""

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.report.blocks import Block, Cell, Table, titled
from analysis.report.context import Report, Section
from analysis.statistics.length_fits import CapacityLine, LengthFit, capacity_lines, length_fits
from analysis.statistics.summaries import by_setting, count_phrase, next_seed
from analysis.statistics.words import bounds, interval
from analysis.tables.architectures import Architectures


def lengths(report: Report) -> Iterator[Block]:
    """The tables."""
    results, trials = report.runs.results, report.runs.trials
    yield from titled(capacities(capacity_lines(results, trials, report.architectures), report.architectures))
    yield from titled(halving_lengths(length_fits(results, report.architectures), report.architectures))
    yield from titled(another_seed(results, report.architectures))


def halving_lengths(fits: Sequence[LengthFit], architectures: Architectures) -> Table:
    """The length that halves the accuracy of each architecture, and the capacity fitted to its bits."""
    names = architectures.names(fit.arch for fit in fits)
    return Table(
        ("Architecture", "Task", "Accuracy halves at (tokens)", "Fitted plateau (bits)", "n (seeds)"),
        [(names[fit.arch], str(fit.setting), _half(fit), _capacity(fit), fit.seeds) for fit in fits],
        "Length that halves accuracy, and where bits level off",
        "Both are fitted to each seed; means [95% t interval over seeds], the first of logarithms. Accuracy halves at "
        "the length where it has fallen to half of that at the shortest length, interpolated between lengths in "
        "their logarithm; `> n`: it has not within n tokens; *not learnt*: it is below one half at the shortest "
        "length, so that there is nothing to halve. It is counted from chance (0) to 1, where trials tell what "
        "guessing gets. The plateau is the C for which min(bits presented, C) comes "
        "closest to the bits recovered, by least squares over all lengths; `> n`: nothing was lost of n bits. Where "
        "training fails on long sources it lies below the most bits recovered, which bound the capacity from below.",
    )


def capacities(lines: Sequence[CapacityLine], architectures: Architectures) -> Table:
    """Bits for each number of a fixed context."""
    names = architectures.names(line.arch for line in lines)
    return Table(
        ("Architecture", "Task", "Bits for each number of the context", "Numbers in the context", "n (seeds)"),
        [
            (names[line.arch], str(line.setting), interval(line.bits_per_number, 2),
             f"{line.sizes[0, 1]:.0f} to {line.sizes[-1, 1]:.0f}", line.bits_per_number.count)
            for line in lines
        ],
        "Capacity and width",
        "The slope of a straight line through the most bits that each width recovered at any length, against how many "
        "numbers its context holds (two for each unit of an LSTM); mean [95% t interval over seeds]. Widths that "
        "recovered all they were presented with are left out, as are trials that had not converged.",
    )  # fmt: skip


def another_seed(results: pd.DataFrame, architectures: Architectures) -> Table:
    """Prediction intervals: architectures in rows, lengths in columns."""
    points = next_seed(results)
    names = architectures.names(results["arch"])
    lengths = sorted(points["length"].unique())
    rows: list[Sequence[Cell]] = []
    for setting, of_task in by_setting(points):
        for arch in architectures.names(of_task["arch"]):
            by_length = of_task[of_task["arch"] == arch].set_index("length")
            cells = [_interval(by_length.loc[length]) if length in by_length.index else None for length in lengths]
            rows.append((names[arch], str(setting), *cells, count_phrase(by_length["seeds"])))
    return Table(
        ("Architecture", "Task", *(f"Length {length}" for length in lengths), "n (seeds)"),
        rows,
        "Where another seed should land",
        "95% prediction intervals of the greedy token accuracy of one more trial with a seed of its own, from the "
        "spread of these seeds taken as normal, cut at 0 and 1. They are wider than the intervals of the means, which "
        "say where the mean over all seeds lies. Where some seeds find the task and others do not, no interval of "
        "this kind is right; close to 1, where a seed can fall short by more than it can exceed, the lower end may lie "
        "too high; and where all seeds agree to the last token, there is no spread to make one of.",
    )


def _half(fit: LengthFit) -> str:
    if fit.unlearnt:
        return "not learnt" + (f" in {fit.unlearnt} of {fit.seeds} seeds" if fit.unlearnt < fit.seeds else "")
    return _reached(interval(fit.half_length, 1), fit.unhalved, fit.seeds, str(fit.longest))


def _capacity(fit: LengthFit) -> str:
    if fit.unfilled is None:
        return "-"
    return _reached(interval(fit.capacity, 1), fit.unfilled, fit.seeds, f"{fit.most_bits:.0f}")


def _reached(value: str, beyond: int, seeds: int, furthest: str) -> str:
    if not beyond:
        return value
    return f"> {furthest}" + (f" in {beyond} of {seeds} seeds" if beyond < seeds else "")


def _interval(point: pd.Series) -> str:
    if point["high"] - point["low"] < 1e-9:
        return f"{point['low']:.3f} in all"
    return bounds(point["low"], point["high"])


SECTIONS = (Section(32, lengths),)
