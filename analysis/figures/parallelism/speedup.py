"""The figure of the speed-up by more threads and by larger batches."""

import pandas as pd
from matplotlib.ticker import NullLocator

from analysis.figures.axes import doubling_axis
from analysis.figures.chart import Chart
from analysis.figures.panels import legend, split_by, wrapped_panels
from analysis.figures.parallelism.machines import draw_medians, machine_name, short_name
from analysis.figures.registry import register
from analysis.figures.style import guide, styles
from analysis.statistics.time_fits import speedups
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import MACHINE

IDEAL = guide("ideal")
LABELS = {"threads": ("CPU threads", "Speed-up"), "batch": ("Sequences a batch", "Throughput over that of one")}


@register("speedup", "parallelism", 6, "How close a line comes to the dotted one, where nothing has to wait.")
def speedup_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Speed-up by threads and by batch size, each against the ideal."""
    points = speedups(parallelism)
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    groups = split_by(points, [*MACHINE, "sweep"])
    figure, cells = wrapped_panels(groups, 2, height=2.3)
    for axes, ((*machine, sweep), shown) in cells:
        most = shown["workers"].max()
        axes.plot([1, most], [1, most], **IDEAL)
        draw_medians(
            axes, shown.assign(median=shown["speedup"], lower=shown["low"], upper=shown["high"]), "workers", looks
        )
        across, up = LABELS[sweep]
        doubling_axis(axes, shown["workers"], across, margin=0.06)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(up)
        _, processor, threads, precision = machine
        where = machine_name(machine) if threads else f"{short_name(processor)}, {precision}"
        axes.set_title(f"length {int(shown['length'].iloc[0])}\n{where}", loc="left")
    legend(figure, list(looks.values()), [IDEAL], columns=4 if len(groups) > 1 else 2)
    caption = (
        "Speed-up of a training step over one thread, and of throughput over a batch of one sequence. The serial "
        "fraction of Amdahl's law (Karp & Flatt 1990) stands in the table above. Medians; bars from the quartiles "
        "of the step."
    )
    return Chart("speedup", figure, points, caption)
