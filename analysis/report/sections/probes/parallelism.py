"""Training-time parallelism: a measured copy of Vaswani et al. 2017, Table 1, crossings, and speed-ups."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.report.blocks import Block, Cell, Heading, Table, titled
from analysis.report.context import Report, Section
from analysis.statistics.intervals import MeanInterval
from analysis.statistics.time_fits import crossing, law, law_text, machine_name, speedups, upper_exponent
from analysis.statistics.words import interval
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import MACHINE


def parallelism(report: Report) -> Iterator[Block]:
    """Tables and figures."""
    results = report.evidence.parallelism
    if not results.empty:
        yield Heading("Training-time parallelism")
        for table in parallelism_tables(results, report.architectures):
            yield from titled(table, 3)
        yield from report.figures("parallelism", lambda name: "")
        yield from titled(skipped_table(results), 3)


def parallelism_tables(results: pd.DataFrame, architectures: Architectures) -> list[Table]:
    """Every table of the counts and timings of `lengthwise parallelism`."""
    return [make(results, architectures) for make in (vaswani_table, crossing_table, serial_table)]


def vaswani_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """Exponents of time and work, sequential operations and maximum path length, each beside theory."""
    timed, work = _fixed_batch(results, "step_seconds"), _fixed_batch(results, "flops")
    rows = []
    for machine in _machines(timed) or [None]:
        for arch, name in architectures.names(results["arch"].dropna()).items():
            theory = architectures[arch]
            rows.append((
                name, None if machine is None else machine_name(machine),
                _exponent(timed, machine, arch), _exponent(work, machine, arch), theory.work,
                law_text(results, arch, "sequential_depth"), theory.sequential_operations,
                law_text(results, arch, "path_length"), theory.path_length,
            ))  # fmt: skip
    header = (
        "architecture", "measured on", "time exponent", "work exponent", "work, theory", "sequential operations",
        "sequential, theory", "maximum path length", "path, theory",
    )  # fmt: skip
    caption = (
        "A measured copy of Vaswani et al. (2017, Table 1), for whole encoder-decoders and one training step at a "
        "fixed batch size. Exponents are those of n in step time and in floating-point operations, by least squares on "
        "logarithms over lengths from an eighth of the greatest on, with 95% intervals; n·d² has exponent 1 and n²·d "
        "has 2, so a sum lies between. Sequential operations and path lengths are counted exactly, as functions of n. "
        "A range stands where they are neither constant nor a straight line."
    )
    return Table(header, rows, "Table 1 of Vaswani et al. 2017, measured", caption, "table1")


def crossing_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """Where architectures of constant depth begin to cost more than those of growing depth."""
    names = architectures.names(results["arch"].dropna())
    depths = {arch: line for arch in names if (line := law(results, arch, "sequential_depth")) is not None}
    rows = [
        (names[parallel], names[serial], machine_name(machine),
         *(_crossing(_of(_fixed_batch(results, metric), machine), parallel, serial)
           for metric in ("flops", "step_seconds")))
        for machine in _machines(_fixed_batch(results, "step_seconds"))
        for parallel in names if parallel in depths and depths[parallel].slope == 0
        for serial in names if serial in depths and depths[serial].slope > 0
    ]  # fmt: skip
    caption = (
        "Length from which on a training step of the first costs more than one of the second, in floating-point "
        "operations and in time, at a fixed batch size and matched parameters: n²·d of self-attention grows faster "
        "than n·d² of recurrence. Interpolated between the lengths that were timed, so no more exact than these are "
        "apart."
    )
    header = ("of constant depth", "of growing depth", "measured on", "more operations from", "more time from")
    return Table(header, rows, "Where n²·d overtakes n·d²", caption, "crossings")


def serial_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """The greatest speed-up measured of each architecture, and the serial fraction that it amounts to."""
    measured = speedups(results)
    rows: list[Sequence[Cell]] = []
    for (*machine, sweep), group in measured.groupby([*MACHINE, "sweep"], sort=False):
        most = group[group["workers"] == group["workers"].max()].set_index("arch")
        workers = "sequences" if sweep == "batch" else "threads"
        setting = machine_name(machine) if sweep == "batch" else f"{machine[0]}, {machine[3]}"
        for arch, name in architectures.names(most.index).items():
            row = most.loc[arch]
            gain, fraction = f"{row['speedup']:.2f}", f"{row['serial_fraction']:.2f}"
            rows.append((name, setting, f"{row['workers']} {workers}", gain, fraction))
    caption = (
        "Speed-up of throughput over one thread, or over a batch of one sequence, and the serial fraction that "
        "Amdahl's law gives for it (Karp & Flatt 1990): the share of a step that more threads do not shorten, or that "
        "every further sequence costs anew; above 1, more workers made it slower."
    )
    header = ("architecture", "measured on", "with", "speed-up", "serial fraction")
    return Table(header, rows, "Speed-up and Amdahl's serial fraction", caption, "serial_fractions")


def skipped_table(results: pd.DataFrame) -> Table:
    """What was beyond the limits of memory or time."""
    columns = ["arch", "sweep", "length", "batch_size", "threads", "note"]
    rows = results[results["metric"] == "skipped"][columns].astype(object).to_numpy().tolist()
    return Table([column.replace("_", " ").capitalize() for column in columns], rows, "Not timed")


def _fixed_batch(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    return results[(results["metric"] == metric) & (results["sweep"] == "fixed_batch")]


def _machines(timed: pd.DataFrame) -> list[tuple]:
    return list(timed[MACHINE].drop_duplicates().itertuples(index=False, name=None))


def _of(rows: pd.DataFrame, machine: tuple | None) -> pd.DataFrame:
    return rows if machine is None else rows[(rows[MACHINE] == list(machine)).all(axis=1)]


def _exponent(rows: pd.DataFrame, machine: tuple | None, arch: str) -> str:
    of_arch = _of(rows, machine)
    of_arch = of_arch[of_arch["arch"] == arch]
    fit = upper_exponent([*of_arch["length"]], [*of_arch["median"]])
    return "-" if fit is None else interval(MeanInterval(*fit), 2)


def _crossing(rows: pd.DataFrame, first: str, second: str) -> str:
    values = rows.pivot_table(index="length", columns="arch", values="median")
    if first not in values or second not in values:
        return "-"
    both = values[[first, second]].dropna()
    if both.empty:
        return "-"
    length = crossing([*both.index], [*both[first]], [*both[second]])
    if length is not None:
        return f"{length:.0f}"
    always = "always" if np.all(both[first] > both[second]) else "not"
    return f"{always} within {int(both.index[0])} to {int(both.index[-1])}"


SECTIONS = (
    Section(
        60, parallelism, "the cost of training", "The section on parallelism is computed from parallelism.csv."
    ),
)  # fmt: skip
