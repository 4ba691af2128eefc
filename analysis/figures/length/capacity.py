"""Figures of capacity: how many bits a fixed context carries, by its hidden size and by the numbers it holds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.axes import length_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import columns_by_task, label_leftmost, legend, stacked_panels, title, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import Style, gid, guide, styles
from analysis.statistics.intervals import capacity
from analysis.statistics.length_fits import CapacityLine, capacity_lines
from analysis.statistics.summaries import BUDGET, SETTING, STOPPED, by_setting, within_training
from analysis.tables.architectures import Architectures, class_of

POINT_COLUMNS = [
    *SETTING, "arch", "hidden_size", "context_size", "length", "presented", "mean", "low", "high", "seeds", STOPPED,
]  # fmt: skip
PRESENTED = guide("most bits presented")
LABELS = ("Most bits recovered (a sequence)", "Bits a number of the context")


@register(
    "capacity_by_size", "bottleneck", 3, "Whether a wider state carries more: a fixed context gains with its size."
)
def capacity_figure(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Most bits recovered against hidden size; None unless some architecture was run at two sizes or more."""
    points = capacity_points(results, trials)
    points = points[points.groupby([*SETTING, "arch"])["hidden_size"].transform("nunique") > 1]
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    lines = capacity_lines(results, trials, architectures)
    figure, cells = wrapped_panels(by_setting(points), 2, height=2.4)
    for axes, (setting, shown) in cells:
        axes.axhline(shown["presented"].max(), **PRESENTED)
        draw_error_bars(axes, shown, "hidden_size", looks)
        for line in lines:
            if line.setting == setting:
                _draw_line(axes, line, looks[line.arch])
        axes.set_xticks(sorted(shown["hidden_size"].unique()))
        axes.set(xlabel="Hidden size", xlim=(0, 1.05 * shown["hidden_size"].max()))
        axes.set_ylim(bottom=min(0, shown["mean"].min()))
        axes.grid(True)
        label_leftmost(axes, LABELS[0])
        axes.set_title(str(setting), loc="left")
    legend(figure, list(looks.values()), [PRESENTED])
    caption = (
        "The most bits a sequence that an architecture recovered at any length, against its hidden size; "
        f"{spread_phrase(points)}. Thin lines are straight ones fitted to each seed, with the 95% t interval of their "
        "mean; the report has a table of their slopes. At the dotted line everything presented was recovered, so "
        "capacity may be greater."
    )
    return Chart("capacity_by_size", figure, points.reset_index(drop=True), caption)


@register(
    "capacity_by_context", "bottleneck", 3,
    "What a number of the context is worth: the size of the state against its kind.",
)  # fmt: skip
def context_figure(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Most bits recovered against the numbers that a fixed context holds, and the bits for each of these numbers.

    None unless contexts of two sizes or more were run.
    """
    points = capacity_points(results, trials).dropna(subset="context_size")
    if points["context_size"].nunique() < 2:
        return None
    looks = styles(points["arch"], architectures)
    settings = by_setting(points)
    figure, cells = stacked_panels(settings, columns_by_task(settings), 2, height=2.1)
    for pair, (setting, shown) in cells:
        numbers = shown["context_size"]
        for axes, divisor, label in zip(pair, (1, numbers), LABELS, strict=True):
            bits = shown[["mean", "low", "high"]].div(divisor, axis=0)
            draw_error_bars(
                axes, shown.assign(**{str(name): column for name, column in bits.items()}), "context_size", looks
            )
            length_axis(axes, numbers.astype(int), "Numbers in the context")
            label_leftmost(axes, label)
            axes.margins(y=0.1)
            axes.set_ylim(bottom=min(0, bits["mean"].min()))
        pair[0].axhline(shown["presented"].max(), **PRESENTED)
        pair[0].set_ylim(top=1.05 * shown[["high", "mean", "presented"]].max().max())
        title(pair[0], str(setting))
    legend(figure, list(looks.values()), [PRESENTED])
    caption = (
        "The most bits a sequence that a fixed context carried at any length, against how many numbers it holds "
        f"(above), and the same divided by that number (below); {spread_phrase(points)}. At the dotted line everything "
        "presented arrived: such a context may hold more."
    )
    return Chart("capacity_by_context", figure, points.reset_index(drop=True), caption)


def _draw_line(axes: Axes, line: CapacityLine, look: Style) -> None:
    """The fitted line between its ends, and the band of its interval over seeds."""
    hidden = np.linspace(line.sizes[0, 0], line.sizes[-1, 0], 50)
    bits = [line.at(context) for context in np.interp(hidden, *line.sizes.T)]
    mean, low, high, _ = zip(*bits, strict=True)
    axes.plot(hidden, mean, color=look.color, linewidth=0.7, gid=gid(look.name, axes, "fit"))
    band = axes.fill_between(hidden, low, high, color=look.color, alpha=0.12, linewidth=0)
    band.set_gid(gid(look.name, axes, "band"))


def capacity_points(results: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The greatest mean of bits recovered over lengths, by task, class and hidden size: columns `POINT_COLUMNS`.

    A class that has several options varied besides its hidden size is left out: its sizes would be no single line.
    """
    sizes = trials.dropna(subset="hidden_size").set_index("trial")
    rows = within_training(results, "bits_recovered")
    rows = rows[rows["trial"].isin(sizes.index)]
    rows = rows.assign(
        hidden_size=rows["trial"].map(sizes["hidden_size"]).astype(int),
        context_size=rows["trial"].map(sizes["context_size"]),
        arch=rows["arch"].map(class_of),
    )
    presented = within_training(results, "bits_presented")
    points = []
    for (*setting, arch, size), group in rows.groupby([*SETTING, "arch", "hidden_size"]):
        if group.duplicated(["length", "seed"]).any():
            continue
        length, most = capacity(group.groupby("length")["value"].apply(list).to_dict())
        offered = presented[presented["trial"].isin(group["trial"])]["value"].max()
        stopped = int((group[group["length"] == length]["ended"] == BUDGET).sum())
        points.append([*setting, arch, size, group["context_size"].iloc[0], length, offered, *most, stopped])
    return pd.DataFrame(points, columns=POINT_COLUMNS)
