"""Tables of training-time parallelism: a measured copy of Vaswani et al. 2017, Table 1, crossings, and speed-ups."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.errors import ReportError
from analysis.figures.chart import save_chart
from analysis.figures.parallelism.step_cost import parallelism_charts
from analysis.figures.style import styles
from analysis.files import replacing
from analysis.report.markdown import plain_table, table
from analysis.statistics.time_fits import Exponent, Line, crossing, exact_line, speedups, upper_exponent
from analysis.tables.parallelism_tables import MACHINE, load

RECURRENT = ("n·d²", "O(n)", "O(n)")
ATTENDING = ("n·d² + n²·d", "O(n)", "O(1)")
# Work, sequential operations and maximum path length of a whole encoder-decoder, from the rows of Table 1.
THEORY = {
    "VanillaRNN": RECURRENT,
    "LSTM": RECURRENT,
    "GRU": RECURRENT,
    "Bahdanau": ATTENDING,
    "LuongGlobal": ATTENDING,
    "LuongLocal": ("n·d² + n²·d", "O(n)", "O(n)"),  # outside its window the way leads through the encoder
    "Transformer": ("n·d² + n²·d", "O(1)", "O(1)"),
}


class Table(NamedTuple):
    """A table, the name of its CSV file, its title, and its caption."""

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


def write_report(folders: Sequence[str | Path], output: Path) -> str:
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
    tables = [each for each in (vaswani_table(results), crossing_table(results), serial_table(results)) if each.rows]
    for each in tables:
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
    shown = "\n\n".join(f"{each.title}\n{plain_table(each.header, each.rows)}" for each in tables)
    return f"{shown}\n\nreport: {output / 'parallelism.md'}"


def vaswani_table(results: pd.DataFrame) -> Table:
    """Exponents of time and work, sequential operations and maximum path length, each beside theory."""
    timed = _fixed_batch(results, "step_seconds")
    machines = list(timed[MACHINE].drop_duplicates().itertuples(index=False, name=None)) or [None]
    rows = []
    for machine in machines:
        for name, look in styles(results["arch"].dropna()).items():
            theory = THEORY.get(name, ("-", "-", "-"))
            rows.append(
                [
                    look.name,
                    "-" if machine is None else setting_name(machine),
                    _exponent(_fit(_of(timed, machine), name)),
                    _exponent(_fit(_of(_fixed_batch(results, "flops"), machine), name)),
                    theory[0],
                    law_text(results, name, "sequential_depth"),
                    theory[1],
                    law_text(results, name, "path_length"),
                    theory[2],
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


def crossing_table(results: pd.DataFrame) -> Table:
    """Where architectures of constant depth begin to cost more than those of growing depth."""
    rows = []
    timed = _fixed_batch(results, "step_seconds")
    looks = styles(results["arch"].dropna())
    depths = {name: law(results, name, "sequential_depth") for name in looks}
    parallel = [name for name in looks if (line := depths[name]) is not None and line.slope == 0]
    serial = [name for name in looks if (line := depths[name]) is not None and line.slope > 0]
    for machine in timed[MACHINE].drop_duplicates().itertuples(index=False, name=None):
        for first in parallel:
            for second in serial:
                cells = [
                    _crossing(_of(_fixed_batch(results, metric), machine), first, second)
                    for metric in ("flops", "step_seconds")
                ]
                rows.append([looks[first].name, looks[second].name, setting_name(machine), *cells])
    caption = (
        "Length from which on a training step of the first costs more than one of the second, in floating-point "
        "operations and in time, at a fixed batch size and matched parameters: n²·d of self-attention grows faster "
        "than n·d² of recurrence. Interpolated between the lengths that were timed, so no more exact than these are "
        "apart."
    )
    header = ["of constant depth", "of growing depth", "measured on", "more operations from", "more time from"]
    return Table("crossings", "Where n²·d overtakes n·d²", header, rows, caption)


def serial_table(results: pd.DataFrame) -> Table:
    """The greatest speed-up measured of each architecture, and the serial fraction that it amounts to."""
    found = speedups(results)
    looks = styles(found["arch"])
    rows = []
    for key, own in found.groupby([*MACHINE, "sweep"], sort=False):
        *machine, sweep = key
        most = own[own["workers"] == own["workers"].max()].set_index("arch")
        workers = "sequences" if sweep == "batch" else "threads"
        setting = setting_name(machine) if sweep == "batch" else f"{machine[0]}, {machine[3]}"
        for name in (name for name in looks if name in most.index):
            row = most.loc[name]
            cells = [f"{row['workers']} {workers}", f"{row['speedup']:.2f}", f"{row['serial_fraction']:.2f}"]
            rows.append([looks[name].name, setting, *cells])
    caption = (
        "Speed-up of throughput over one thread, or over a batch of one sequence, and the serial fraction that "
        "Amdahl's law gives for it (Karp & Flatt 1990): the share of a step that more threads do not shorten, or that "
        "every further sequence costs anew; above 1, more workers made it slower."
    )
    header = ["architecture", "measured on", "with", "speed-up", "serial fraction"]
    return Table("serial_fractions", "Speed-up and Amdahl's serial fraction", header, rows, caption)


def law(results: pd.DataFrame, arch: str, metric: str) -> Line | None:
    """The exact line of a count against length."""
    own = _counts(results, arch, metric)
    return exact_line([*own["length"].astype(int)], [*own["median"].astype(int)])


def _counts(results: pd.DataFrame, arch: str, metric: str) -> pd.DataFrame:
    own = results[(results["metric"] == metric) & (results["arch"] == arch)]
    return own.drop_duplicates("length").sort_values("length")


def law_text(results: pd.DataFrame, arch: str, metric: str) -> str:
    """A count as a function of the length n: `6 n + 4`, `60`, or its range where it is no straight line."""
    own = _counts(results, arch, metric)
    if own.empty:
        return "-"
    line = law(results, arch, metric)
    if len(own) == 1:
        return f"{int(own['median'].iloc[0])} at {int(own['length'].iloc[0])}"
    if line is None:
        return f"{int(own['median'].min())} to {int(own['median'].max())}"
    if not line.slope:
        return str(line.intercept)
    return f"{line.slope} n" + (f" {'+-'[line.intercept < 0]} {abs(line.intercept)}" if line.intercept else "")


def _fixed_batch(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    return results[(results["metric"] == metric) & (results["sweep"] == "fixed_batch")]


def _of(rows: pd.DataFrame, machine: tuple | None) -> pd.DataFrame:
    return rows if machine is None else rows[(rows[MACHINE] == list(machine)).all(axis=1)]


def _fit(rows: pd.DataFrame, arch: str) -> Exponent | None:
    own = rows[rows["arch"] == arch]
    return upper_exponent([*own["length"]], [*own["median"]])


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
    found = crossing([*both.index], [*both[first]], [*both[second]])
    if found is not None:
        return f"{found:.0f}"
    always = "always" if (both[first] > both[second]).all() else "not"
    return f"{always} within {int(both.index[0])} to {int(both.index[-1])}"


def setting_name(machine: Sequence[Any]) -> str:
    """What tables call device, processor, threads and precision."""
    device, _, threads, precision = machine
    return f"{device}, {precision}" if device == "cuda" else f"{device}, {int(threads)} threads, {precision}"
