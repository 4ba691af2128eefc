"""Tables of training-time parallelism: a measured copy of Vaswani et al. 2017, Table 1, crossings, and speed-ups."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.errors import ReportError
from analysis.figures.chart import save_chart
from analysis.figures.parallelism.step_cost import parallelism_charts
from analysis.files import replacing
from analysis.report.markdown import plain_table, table
from analysis.statistics.time_fits import Exponent, crossing, law, law_text, machine_name, speedups, upper_exponent
from analysis.tables.architectures import Architectures
from analysis.tables.parallelism_tables import MACHINE, load


class Table(NamedTuple):
    """A table, the name of its CSV file, its title, and its caption."""

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


def write_report(folders: Sequence[str | Path], output: Path, architectures: Architectures) -> str:
    """Write figures, tables and parallelism.md; returns what a terminal shows.

    Raises:
        ReportError: a table that cannot be read, or has nothing to show.
        OSError: the folder cannot be written.
    """
    results = load(folders)
    charts = parallelism_charts(results)
    if not charts:
        raise ReportError(f"no measurement in {', '.join(map(str, folders))}")
    parts = ["# Training-time parallelism, measured"]
    shown = tables(results, architectures)
    for each in shown:
        with replacing(output / "figures" / f"{each.name}.csv") as temporary:
            pd.DataFrame(each.rows, columns=each.header).to_csv(temporary, index=False, lineterminator="\n")
        parts += [f"## {each.title}", table(each.header, each.rows), each.caption]
    for chart in charts:
        save_chart(chart, output / "figures")
        parts += [f"![{chart.name}](figures/{chart.name}.png)", chart.caption]
    skipped = results[results["metric"] == "skipped"]
    if len(skipped):
        columns = ["arch", "sweep", "length", "batch_size", "threads", "note"]
        parts += ["## Not measured", table(columns, skipped[columns].to_numpy().tolist())]
    with replacing(output / "parallelism.md") as temporary:
        temporary.write_text("\n\n".join(parts) + "\n")
    in_terminal = "\n\n".join(f"{each.title}\n{plain_table(each.header, each.rows)}" for each in shown)
    return f"{in_terminal}\n\nreport: {output / 'parallelism.md'}"


def tables(results: pd.DataFrame, architectures: Architectures) -> list[Table]:
    """Every table that there are numbers for."""
    made = (make(results, architectures) for make in (vaswani_table, crossing_table, serial_table))
    return [each for each in made if each.rows]


def vaswani_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """Exponents of time and work, sequential operations and maximum path length, each beside theory."""
    timed = _fixed_batch(results, "step_seconds")
    machines = list(timed[MACHINE].drop_duplicates().itertuples(index=False, name=None)) or [None]
    rows = []
    for machine in machines:
        for arch, name in architectures.names(results["arch"].dropna()).items():
            theory = architectures[arch]
            rows.append(
                [
                    name,
                    "-" if machine is None else machine_name(machine),
                    _exponent(_fit(_of(timed, machine), arch)),
                    _exponent(_fit(_of(_fixed_batch(results, "flops"), machine), arch)),
                    theory.work,
                    law_text(results, arch, "sequential_depth"),
                    theory.sequential_operations,
                    law_text(results, arch, "path_length"),
                    theory.path_length,
                ]
            )
    header = [
        "architecture", "measured on", "time exponent", "work exponent", "work, theory", "sequential operations",
        "sequential, theory", "maximum path length", "path, theory",
    ]  # fmt: skip
    caption = (
        "A measured copy of Vaswani et al. (2017, Table 1), for whole encoder-decoders and one training step at a "
        "fixed batch size. Exponents are those of n in step time and in floating-point operations, by least squares on "
        "logarithms over lengths from an eighth of the greatest on, with 95% intervals; n·d² has exponent 1 and n²·d "
        "has 2, so a sum lies between. Sequential operations and path lengths are counted exactly, as functions of n. "
        "A range stands where they are neither constant nor a straight line."
    )
    return Table("table1", "Table 1 of Vaswani et al. 2017, measured", header, rows, caption)


def crossing_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """Where architectures of constant depth begin to cost more than those of growing depth."""
    rows = []
    timed = _fixed_batch(results, "step_seconds")
    names = architectures.names(results["arch"].dropna())
    depths = {arch: law(results, arch, "sequential_depth") for arch in names}
    parallel = [arch for arch, line in depths.items() if line and line.slope == 0]
    serial = [arch for arch, line in depths.items() if line and line.slope > 0]
    for machine in timed[MACHINE].drop_duplicates().itertuples(index=False, name=None):
        for first in parallel:
            for second in serial:
                cells = [
                    _crossing(_of(_fixed_batch(results, metric), machine), first, second)
                    for metric in ("flops", "step_seconds")
                ]
                rows.append([names[first], names[second], machine_name(machine), *cells])
    caption = (
        "Length from which on a training step of the first costs more than one of the second, in floating-point "
        "operations and in time, at a fixed batch size and matched parameters: n²·d of self-attention grows faster "
        "than n·d² of recurrence. Interpolated between the lengths that were timed, so no more exact than these are "
        "apart."
    )
    header = ["of constant depth", "of growing depth", "measured on", "more operations from", "more time from"]
    return Table("crossings", "Where n²·d overtakes n·d²", header, rows, caption)


def serial_table(results: pd.DataFrame, architectures: Architectures) -> Table:
    """The greatest speed-up measured of each architecture, and the serial fraction that it amounts to."""
    measured = speedups(results)
    names = architectures.names(measured["arch"])
    rows = []
    for key, points in measured.groupby([*MACHINE, "sweep"], sort=False):
        *machine, sweep = key
        most = points[points["workers"] == points["workers"].max()].set_index("arch")
        workers = "sequences" if sweep == "batch" else "threads"
        setting = machine_name(machine) if sweep == "batch" else f"{machine[0]}, {machine[3]}"
        for arch in (arch for arch in names if arch in most.index):
            row = most.loc[arch]
            cells = [f"{row['workers']} {workers}", f"{row['speedup']:.2f}", f"{row['serial_fraction']:.2f}"]
            rows.append([names[arch], setting, *cells])
    caption = (
        "Speed-up of throughput over one thread, or over a batch of one sequence, and the serial fraction that "
        "Amdahl's law gives for it (Karp & Flatt 1990): the share of a step that more threads do not shorten, or that "
        "every further sequence costs anew; above 1, more workers made it slower."
    )
    header = ["architecture", "measured on", "with", "speed-up", "serial fraction"]
    return Table("serial_fractions", "Speed-up and Amdahl's serial fraction", header, rows, caption)


def _fixed_batch(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    return results[(results["metric"] == metric) & (results["sweep"] == "fixed_batch")]


def _of(rows: pd.DataFrame, machine: tuple | None) -> pd.DataFrame:
    return rows if machine is None else rows[(rows[MACHINE] == list(machine)).all(axis=1)]


def _fit(rows: pd.DataFrame, arch: str) -> Exponent | None:
    of_arch = rows[rows["arch"] == arch]
    return upper_exponent([*of_arch["length"]], [*of_arch["median"]])


def _exponent(fit: Exponent | None) -> str:
    if fit is None:
        return "-"
    if math.isnan(fit.low):
        return f"{fit.value:.2f} (no interval)"
    return f"{fit.value:.2f} [{fit.low:.2f}, {fit.high:.2f}]"


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
    always = "always" if (both[first] > both[second]).all() else "not"
    return f"{always} within {int(both.index[0])} to {int(both.index[-1])}"
