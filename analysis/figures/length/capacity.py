"""The figure of capacity against hidden size: how many bits a state of so many units carries."""

import pandas as pd

from analysis.figures.axes import doubling_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import label_leftmost, legend, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import guide, paper_style, styles
from analysis.statistics.intervals import capacity
from analysis.statistics.summaries import BUDGET, SETTING, STOPPED, by_setting, within_training
from analysis.tables.architectures import Architectures, class_of

POINT_COLUMNS = [*SETTING, "arch", "hidden_size", "length", "presented", "mean", "low", "high", "seeds", STOPPED]
PRESENTED = guide("most bits presented")


@register(
    "capacity_by_size", "bottleneck", 3, "Whether a wider state carries more: a fixed context gains with its size."
)
def capacity_figure(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Most bits recovered against hidden size; None unless some architecture was run at two sizes or more.

    Args:
        results: the tidy table, variants told apart or not.
        trials: one row a complete trial, with its `hidden_size`.
        architectures: what they say of themselves.
    """
    points = capacity_points(results, trials)
    points = points[points.groupby([*SETTING, "arch"])["hidden_size"].transform("nunique") > 1]
    if points.empty:
        return None
    looks = styles(points["arch"], architectures)
    settings = by_setting(points)
    with paper_style():
        figure, cells = wrapped_panels(len(settings), 2, height=2.4)
        for axes, (setting, shown) in zip(cells, settings, strict=True):
            axes.axhline(shown["presented"].max(), **PRESENTED)
            draw_error_bars(axes, shown, "hidden_size", looks)
            doubling_axis(axes, shown["hidden_size"], "Hidden size", margin=0.05)
            axes.set_ylim(bottom=min(0, shown["mean"].min()))
            axes.grid(True)
            label_leftmost(axes, "Most bits recovered (a sequence)")
            axes.set_title(str(setting), loc="left")
        legend(figure, list(looks.values()), [PRESENTED])
    caption = (
        "The most bits a sequence that an architecture recovered at any length, against its hidden size; "
        f"{spread_phrase(points)}. At the dotted line everything presented was recovered, so capacity may be greater."
    )
    return Chart("capacity_by_size", figure, points.reset_index(drop=True), caption)


def capacity_points(results: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The greatest mean of bits recovered over lengths, by task, class and hidden size: columns `POINT_COLUMNS`.

    A class that has several options varied besides its hidden size is left out: its sizes would be no single line.
    """
    sizes = trials.dropna(subset="hidden_size").set_index("trial")
    rows = within_training(results, "bits_recovered")
    rows = rows[rows["trial"].isin(sizes.index)]
    rows = rows.assign(
        hidden_size=rows["trial"].map(sizes["hidden_size"]).astype(int),
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
        points.append([*setting, arch, size, length, offered, *most, stopped])
    return pd.DataFrame(points, columns=POINT_COLUMNS)
