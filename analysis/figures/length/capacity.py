"""The figure of capacity against hidden size: how many bits a state of so many units carries."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures.chart import Chart
from analysis.figures.gradients.panels import WIDTHS, each_line, legend
from analysis.figures.length.accuracy import GUIDE, is_leftmost, panels, use
from analysis.figures.style import Style, paper_style, styles
from analysis.statistics.intervals import capacity
from analysis.statistics.summaries import SETTING, at_train_length, seeds_phrase, setting_name

POINT_COLUMNS = [*SETTING, "arch", "hidden_size", "train_length", "presented", "mean", "low", "high", "seeds"]
PRESENTED = {**GUIDE, "linestyle": ":", "label": "most bits presented"}


def capacity_figure(results: pd.DataFrame, trials: pd.DataFrame) -> Chart | None:
    """Most bits recovered against hidden size; None unless some architecture was run at two sizes or more.

    Args:
        results: the tidy table, variants told apart or not.
        trials: one row a complete trial, with its `hidden_size`.
    """
    points = capacity_points(results, trials)
    points = points[points.groupby([*SETTING, "arch"])["hidden_size"].transform("nunique") > 1]
    if points.empty:
        return None
    looks = styles(points["arch"])
    settings = list(points[SETTING].drop_duplicates().itertuples(index=False, name=None))
    with paper_style():
        columns = min(2, len(settings))
        figure, grid = panels(-(-len(settings) // columns), columns, height=2.4, width=WIDTHS[columns])
        for axes, (task, vocabulary) in zip(use(grid, len(settings)), settings, strict=True):
            own = points[(points[SETTING] == [task, vocabulary]).all(axis=1)]
            _draw(axes, own, looks)
            axes.set_ylabel("Most bits recovered (a sequence)" if is_leftmost(axes) else "")
            axes.set_title(setting_name(task, vocabulary), loc="left")
        legend(figure, list(looks.values()), [PRESENTED])
    spread = "one seed, so without intervals" if points["seeds"].max() == 1 else (
        f"means with 95% t intervals over seeds ({seeds_phrase(points)})"
    )  # fmt: skip
    caption = (
        "The most bits a sequence that an architecture recovered at any length, against its hidden size; "
        f"{spread}. At the dotted line everything presented was recovered, so capacity may be greater."
    )
    return Chart("capacity_by_size", figure, points.reset_index(drop=True), caption)


def capacity_points(results: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The greatest mean of bits recovered over lengths, by task, class and hidden size: columns `POINT_COLUMNS`.

    A class that has several options varied besides its hidden size is left out: its sizes would be no single line.
    """
    sizes = trials.dropna(subset="hidden_size").set_index("trial")
    rows = at_train_length(results, "bits_recovered")
    rows = rows[rows["trial"].isin(sizes.index)]
    rows = rows.assign(
        hidden_size=rows["trial"].map(sizes["hidden_size"]).astype(int),
        arch=[name.partition(" [")[0] for name in rows["arch"]],
    )
    presented = at_train_length(results, "bits_presented").set_index("trial")["value"]
    points = []
    for (*setting, arch, size), group in rows.groupby([*SETTING, "arch", "hidden_size"]):
        if group.duplicated(["train_length", "seed"]).any():
            continue
        length, most = capacity(group.groupby("train_length")["value"].apply(list).to_dict())
        offered = presented.reindex(group["trial"]).max()
        points.append([*setting, arch, size, length, offered, *most])
    return pd.DataFrame(points, columns=POINT_COLUMNS)


def _draw(axes: Axes, points: pd.DataFrame, looks: dict[str, Style]) -> None:
    axes.axhline(points["presented"].max(), **PRESENTED)
    for name, own in each_line(points, "arch", looks):
        own = own.sort_values("hidden_size")
        axes.errorbar(
            own["hidden_size"], own["mean"], yerr=[own["mean"] - own["low"], own["high"] - own["mean"]],
            elinewidth=0.8, markeredgewidth=0, **looks[name].of_line(),
        )  # fmt: skip
    sizes = sorted(points["hidden_size"].unique())
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=min(0, points["mean"].min()))
    axes.set_xlabel("Hidden size")
    axes.grid(True)
