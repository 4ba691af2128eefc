"""Figures of what a training step costs at each length: time, throughput, share of peak, memory, and operations that
have to follow each other.

Several folders, such as those of a CPU and of a GPU, stand side by side: a panel belongs to one device, one number of
threads and one precision, and no line leaves its panel.
"""

import pandas as pd

from analysis.figures.axes import doubling_axis, logarithmic_axis
from analysis.figures.chart import Chart
from analysis.figures.panels import label_leftmost, legend, panels, split_by
from analysis.figures.parallelism.machines import draw_medians, machine_name
from analysis.figures.registry import register
from analysis.figures.style import styles
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import MACHINE
from analysis.tables.schema import PARALLELISM

SWEEPS = {"fixed_batch": "fixed batch size", "fixed_tokens": "fixed tokens a batch"}
MEBIBYTE = 2**20
COUNTS = {"sequential_depth": "Sequential depth (operations)", "path_length": "Maximum path (operations)"}
QUARTILES = "Medians with quartiles over repeated steps."


@register(
    "step_time", "parallelism", 1,
    "The slope: a straight line of slope 1 takes twice as long for twice the length. Where lines cross, "
    "another architecture becomes the cheaper one.",
)  # fmt: skip
def step_time_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Time of a training step against length."""
    caption = f"Time of a training step (forward, backward, optimiser) against length. {QUARTILES}"
    return _against_length(parallelism, architectures, "step_time", "step_seconds", "Step time (s)", caption)


@register("throughput", "parallelism", 2, "Lines that stay level cost the same for each token at any length.")
def throughput_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Target tokens a second against length."""
    caption = f"Target tokens trained on a second, against length. {QUARTILES}"
    label = "Target tokens a second"
    return _against_length(parallelism, architectures, "throughput", "tokens_per_second", label, caption)


@register(
    "sequential_depth", "parallelism", 3,
    "Recurrent models rise with the length, the transformer does not: this is what can and cannot "
    "be done at the same time, on any machine.",
)  # fmt: skip
def depth_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Sequential depth and the maximum path length against length; no device is involved."""
    points = parallelism[parallelism["metric"].isin(list(COUNTS))]
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    figure, [row] = panels(1, 2, height=2.4)
    for axes, (metric, label) in zip(row, COUNTS.items(), strict=True):
        shown = points[points["metric"] == metric]
        draw_medians(axes, shown, "length", looks)
        doubling_axis(axes, shown["length"], "Length of source and target (tokens)", margin=0.06)
        logarithmic_axis(axes, shown["median"].min() / 1.5, shown["median"].max() * 1.5)
        axes.set_ylabel(label)
    legend(figure, list(looks.values()), columns=4)
    caption = (
        "Left: the longest chain of operations between a source embedding and the loss that have to follow each other. "
        "Right: the greatest number of operations on the shortest way between a source token and the loss at a target "
        "token. Counted exactly on the graph of the unfused model; the same on every device. Lines may coincide."
    )
    return Chart("sequential_depth", figure, points[PARALLELISM.names], caption)


@register("share_of_peak", "parallelism", 4, "How much of the machine an architecture keeps busy.")
def share_of_peak_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Work done a second against length, as a share of what the machine can do."""
    caption = (
        "Floating-point operations a second of a training step, as a share of those of a large matrix product "
        f"timed in the same run. {QUARTILES}"
    )
    return _against_length(parallelism, architectures, "share_of_peak", "share_of_peak", "Share of peak", caption)


@register(
    "memory", "parallelism", 5,
    "What has to be kept for the backward pass. Attention has a weight for each pair of tokens, which "
    "a fused product, or one that is recomputed, need not keep.",
)  # fmt: skip
def memory_figure(parallelism: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Peak memory of a training step against length."""
    caption = (
        "Most bytes of activations, gradients and temporaries at once in a training step, above weights and "
        "optimiser state, against length."
    )
    label = "Peak memory (MiB)"
    return _against_length(parallelism, architectures, "memory", "peak_memory_bytes", label, caption, 1 / MEBIBYTE)


def _against_length(
    parallelism: pd.DataFrame, architectures: Architectures, name: str, metric: str, label: str, caption: str,
    scale: float = 1.0,
) -> Chart | None:  # fmt: skip
    """A metric against length on two logarithmic axes: a row of panels for each machine, a column for each sweep."""
    points = parallelism[(parallelism["metric"] == metric) & parallelism["sweep"].isin(list(SWEEPS))]
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    machines = split_by(points, MACHINE)
    sweeps = [sweep for sweep in SWEEPS if sweep in set(points["sweep"])]
    lengths = parallelism["length"].dropna()
    figure, grid = panels(len(machines), len(sweeps), height=2.3)
    for (machine, of_machine), row in zip(machines, grid, strict=True):
        least, most = of_machine["median"].min() * scale, of_machine["median"].max() * scale
        for sweep, axes in zip(sweeps, row, strict=True):
            shown = of_machine[of_machine["sweep"] == sweep]
            draw_medians(axes, shown, "length", looks, scale)
            doubling_axis(axes, lengths, "Length of source and target (tokens)", margin=0.06)
            logarithmic_axis(axes, least / 1.5, most * 1.5)
            label_leftmost(axes, label)
            axes.set_title(f"{SWEEPS[sweep]}{_size(shown, sweep)}\n{machine_name(machine)}", loc="left")
    legend(figure, list(looks.values()), columns=4 if len(sweeps) > 1 else 2)
    return Chart(name, figure, points[PARALLELISM.names], caption)


def _size(points: pd.DataFrame, sweep: str) -> str:
    if points.empty:
        return ""
    if sweep == "fixed_batch":
        return f" ({int(points['batch_size'].iloc[0])} sequences)"
    return f" ({int((points['batch_size'] * points['length']).max()):,})"
