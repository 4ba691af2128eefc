"""The figure of accuracy by position in the target."""

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.chart import Chart
from analysis.figures.lines import each_line
from analysis.figures.registry import register
from analysis.figures.style import TEXT_WIDTH, Style, styles
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    by_setting,
    longest,
    over_seeds,
    seeds_phrase,
    stopped_names,
    within_training,
)
from analysis.tables.architectures import Architectures


@register(
    "accuracy_by_position", "bottleneck", 4,
    "Where in the target a model fails: bright is right. A fixed context that overflows is "
    "bright at one end only, where its memory is fresh.",
)  # fmt: skip
def position_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """A map of accuracy at each target position, at the greatest length of each task."""
    rows = longest(within_training(results, "greedy_token_accuracy_by_position"), "length")
    rows = rows[rows.groupby(SETTING)["position"].transform("nunique") > 1]
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "length", "arch", "position"], PROPORTION)
    looks = styles(results["arch"], architectures)
    settings = by_setting(points)
    heights = [0.65 + 0.2 * shown["arch"].nunique() for _, shown in settings]
    figure = Figure(figsize=(TEXT_WIDTH, sum(heights) + 0.1), layout="constrained")
    grid = figure.subplots(len(settings), 1, squeeze=False, height_ratios=heights)
    for (axes,), (setting, shown) in zip(grid, settings, strict=True):
        _draw_map(axes, shown, looks)
        length = shown["length"].iloc[0]
        axes.set_title(f"{setting}, length {length}", loc="left")
    caption = (
        "Greedy token accuracy at each target position, at the greatest length of each task, of "
        f"those in training. Mean over {seeds_phrase(points)}; intervals are in the CSV."
    )
    return Chart("accuracy_by_position", figure, points, caption)


def _draw_map(axes: Axes, points: pd.DataFrame, looks: dict[str, Style]) -> None:
    names = [name for name, _ in each_line(points, "arch", looks)]
    stopped = stopped_names(points)
    table = points.pivot_table(index="arch", columns="position", values="mean").loc[names]
    seaborn.heatmap(
        table, ax=axes, vmin=0, vmax=1, cmap="cividis", xticklabels=False,
        linewidths=0.2, linecolor="face",  # else white seams show between cells of an SVG or PDF
        yticklabels=[f"{looks[name].name} (not converged)" if name in stopped else looks[name].name for name in names],
        cbar_kws={"label": "Accuracy", "pad": 0.01, "fraction": 0.05},
    )  # fmt: skip
    for border in range(1, len(table)):
        axes.axhline(border, color="white", linewidth=1)
    positions = [int(position) for position in table.columns]
    every = _round_step(len(positions) / 12)
    ticks = [place for place, position in enumerate(positions) if position == 1 or position % every == 0]
    axes.set_xticks([place + 0.5 for place in ticks], [str(positions[place]) for place in ticks])
    axes.tick_params(axis="y", rotation=0, length=0)
    axes.set_xlabel("Target position")
    axes.set_ylabel("")


def _round_step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, 50, … that is at least `least`."""
    power = 1
    while 5 * power < least:
        power *= 10
    return next(step * power for step in (1, 2, 5) if step * power >= least)
