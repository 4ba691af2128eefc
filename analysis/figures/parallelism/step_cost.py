"""Figures of training-time parallelism, from the table that `lengthwise parallelism` writes.

Several folders, such as those of a CPU and of a GPU, stand side by side: a panel belongs to one device, one number of
threads and one precision, and no line leaves its panel.
"""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from analysis.figures.chart import Chart
from analysis.figures.length.accuracy import GUIDE, is_leftmost, panels
from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, Style, paper_style, styles
from analysis.statistics.time_fits import speedups
from analysis.tables.parallelism_tables import MACHINE
from analysis.tables.schema import PARALLELISM

SWEEPS = {"fixed_batch": "fixed batch size", "fixed_tokens": "fixed tokens a batch"}
MEBIBYTE = 2**20
IDEAL = {**GUIDE, "linestyle": ":", "label": "ideal"}
QUARTILES = "Medians with quartiles over repeated steps."


def parallelism_charts(results: pd.DataFrame) -> list[Chart]:
    """Every figure that the table has the numbers for."""
    charts = [
        against_length(
            results, "step_time", "step_seconds", "Step time (s)",
            f"Time of a training step (forward, backward, optimiser) against length. {QUARTILES}",
        ),
        against_length(
            results, "throughput", "tokens_per_second", "Target tokens a second",
            f"Target tokens trained on a second, against length. {QUARTILES}",
        ),
        depth_figure(results),
        against_length(
            results, "share_of_peak", "share_of_peak", "Share of peak",
            "Floating-point operations a second of a training step, as a share of those of a large matrix product "
            f"timed in the same run. {QUARTILES}",
        ),
        against_length(
            results, "memory", "peak_memory_bytes", "Peak memory (MiB)",
            "Most bytes of activations, gradients and temporaries at once in a training step, above weights and "
            "optimiser state, against length.", scale=1 / MEBIBYTE,
        ),
        speedup_figure(results),
    ]  # fmt: skip
    return [chart for chart in charts if chart is not None]


def against_length(
    results: pd.DataFrame, name: str, metric: str, label: str, caption: str, scale: float = 1.0
) -> Chart | None:
    """A metric against length on two logarithmic axes: a row of panels for each machine, a column for each sweep."""
    points = results[(results["metric"] == metric) & results["sweep"].isin(list(SWEEPS))]
    if points.empty:
        return None
    looks = styles(points["arch"])
    machines = list(points[MACHINE].drop_duplicates().itertuples(index=False, name=None))
    sweeps = [sweep for sweep in SWEEPS if sweep in set(points["sweep"])]
    with paper_style():
        figure, grid = panels(len(machines), len(sweeps), 2.3, TEXT_WIDTH if len(sweeps) > 1 else COLUMN_WIDTH)
        for machine, row in zip(machines, grid, strict=True):
            own = _of(points, machine)
            for sweep, axes in zip(sweeps, row, strict=True):
                shown = own[own["sweep"] == sweep]
                _draw(axes, shown, "length", looks, scale)
                _doublings(axes, results["length"].dropna(), "Length of source and target (tokens)")
                _decades(axes, own, scale)
                axes.set_ylabel(label if is_leftmost(axes) else "")
                axes.set_title(f"{SWEEPS[sweep]}{_size(shown, sweep)}\n{machine_name(machine)}", loc="left")
        _legend(figure, looks, 4 if len(sweeps) > 1 else 2)
    return Chart(name, figure, points[PARALLELISM.names], caption)


def depth_figure(results: pd.DataFrame) -> Chart | None:
    """Sequential depth and the maximum path length against length; no device is involved."""
    metrics = {"sequential_depth": "Sequential depth (operations)", "path_length": "Maximum path (operations)"}
    points = results[results["metric"].isin(list(metrics))]
    if points.empty:
        return None
    looks = styles(points["arch"])
    with paper_style():
        figure, [row] = panels(1, 2, 2.4)
        for axes, (metric, label) in zip(row, metrics.items(), strict=True):
            shown = points[points["metric"] == metric]
            _draw(axes, shown, "length", looks)
            _doublings(axes, shown["length"], "Length of source and target (tokens)")
            _decades(axes, shown)
            axes.set_ylabel(label)
        _legend(figure, looks, 4)
    caption = (
        "Left: the longest chain of operations between a source embedding and the loss that have to follow each other. "
        "Right: the greatest number of operations on the shortest way between a source token and the loss at a target "
        "token. Counted exactly on the graph of the unfused model; the same on every device. Lines may coincide."
    )
    return Chart("sequential_depth", figure, points[PARALLELISM.names], caption)


def speedup_figure(results: pd.DataFrame) -> Chart | None:
    """Speed-up by threads and by batch size, each against the ideal."""
    points = speedups(results)
    if points.empty:
        return None
    looks = styles(points["arch"])
    labels = {"threads": ("CPU threads", "Speed-up"), "batch": ("Sequences a batch", "Throughput over that of one")}
    groups: list[Any] = list(points[[*MACHINE, "sweep"]].drop_duplicates().itertuples(index=False))
    with paper_style():
        rows = -(-len(groups) // 2)
        figure, grid = panels(rows, min(2, len(groups)), 2.3, TEXT_WIDTH if len(groups) > 1 else COLUMN_WIDTH)
        cells = [axes for row in grid for axes in row]
        for axes in cells[len(groups) :]:
            axes.set_visible(False)
        for axes, group in zip(cells, groups, strict=False):
            same = (points[list(group._fields)] == list(group)).all(axis=1)
            shown = points[same].assign(median=points["speedup"], lower=points["low"], upper=points["high"])
            most = shown["workers"].max()
            axes.plot([1, most], [1, most], **IDEAL)
            _draw(axes, shown, "workers", looks)
            _doublings(axes, shown["workers"], labels[group.sweep][0])
            axes.set_yscale("log", base=2)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.grid(True)
            axes.set_ylabel(labels[group.sweep][1])
            where = f"{_short(group.processor)}, {group.precision}" if not group.threads else machine_name(group[:4])
            axes.set_title(f"length {int(shown['length'].iloc[0])}\n{where}", loc="left")
        _legend(figure, looks, 4 if len(groups) > 1 else 2, [IDEAL])
    caption = (
        "Speed-up of a training step over one thread, and of throughput over a batch of one sequence. The serial "
        "fraction of Amdahl's law (Karp & Flatt 1990) stands in the table above. Medians; bars from the quartiles "
        "of the step."
    )
    return Chart("speedup", figure, points, caption)


def machine_name(machine: tuple[str, str, float, str]) -> str:
    """What a panel's title says of device, processor, threads and precision."""
    device, processor, threads, precision = machine
    count = "" if device == "cuda" else f", {int(threads)} thread{'s' if threads > 1 else ''}"
    return f"{_short(processor)}{count}, {precision}"


def _short(processor: str) -> str:
    """A processor's name without core count, clock and trademark signs."""
    return re.sub(r"\((R|TM)\)|( \d+-Core)? Processor| CPU| @.*", "", processor)[:32].strip()


def _of(points: pd.DataFrame, machine: tuple[Any, ...]) -> pd.DataFrame:
    return points[(points[MACHINE] == list(machine)).all(axis=1)]


def _size(points: pd.DataFrame, sweep: str) -> str:
    if points.empty:
        return ""
    if sweep == "fixed_batch":
        return f" ({int(points['batch_size'].iloc[0])} sequences)"
    return f" ({int((points['batch_size'] * points['length']).max()):,})"


def _draw(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], scale: float = 1.0) -> None:
    """A line for each architecture, with bars between the quartiles where there are some."""
    for name, look in looks.items():
        line = points[points["arch"] == name].sort_values(x)
        middle = line["median"] * scale
        low, high = (line[end].fillna(line["median"]) * scale for end in ("lower", "upper"))
        axes.errorbar(
            line[x], middle, yerr=[(middle - low).clip(lower=0), (high - middle).clip(lower=0)],
            elinewidth=0.8, markersize=3.5, markeredgewidth=0, **look.of_line(),
        )  # fmt: skip


def _doublings(axes: Axes, values: Any, label: str) -> None:
    """A horizontal axis whose ticks are the values that were run."""
    wanted = sorted({int(value) for value in values})
    axes.set_xscale("log", base=2)
    margin = (wanted[-1] / wanted[0]) ** 0.06 if len(wanted) > 1 else 2
    axes.set_xlim(wanted[0] / margin, wanted[-1] * margin)
    axes.xaxis.set_major_locator(FixedLocator(wanted))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(label)


def _decades(axes: Axes, points: pd.DataFrame, scale: float = 1.0) -> None:
    """A vertical axis over what the panels of a row show, a power of ten a tick."""
    axes.set_yscale("log")
    axes.set_ylim(points["median"].min() * scale / 1.5, points["median"].max() * scale * 1.5)
    axes.yaxis.set_major_locator(LogLocator(base=10))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True)


def _legend(figure: Any, looks: dict[str, Style], columns: int, guides: Sequence[dict[str, Any]] = ()) -> None:
    handles = [Line2D([], [], markeredgewidth=0, **look.of_line()) for look in looks.values()]
    handles += [Line2D([], [], **guide) for guide in guides]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3)
