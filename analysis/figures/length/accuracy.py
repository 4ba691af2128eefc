"""Figures of the fixed-context bottleneck: what length does to accuracy and to the bits that arrive.

Each function takes the tidy table and returns a Chart, or None where the table lacks what it shows.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from analysis.figures.chart import Chart
from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, Style, paper_style, styles
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    at_train_length,
    longest,
    measured,
    over_seeds,
    seeds_phrase,
    setting_name,
)

ACCURACIES = {
    "greedy_token_accuracy": "Greedy token accuracy",
    "greedy_exact_match": "Greedy exact match",
}
LONGEST_LABEL = 28  # letters, of which four columns of a legend fit beside each other
LEAST_TICK_DISTANCE = 17  # points of paper; labels of three digits closer than this would touch
MOST_COLUMNS = 4
WIDTHS = {1: COLUMN_WIDTH, 2: TEXT_WIDTH}  # of a figure with so many square panels in a row
GUIDE = {"color": "#707070", "linewidth": 0.9}  # lines that are no measurement
CHANCE = {**GUIDE, "linestyle": ":", "label": "uniform guess (1/vocabulary)"}
DIAGONAL = {**GUIDE, "linestyle": ":", "label": "everything recovered"}
TRAINED = {**GUIDE, "linestyle": "--", "label": "train length"}


def bottleneck_charts(results: pd.DataFrame) -> list[Chart]:
    """Every figure of this module that the table has the numbers for."""
    charts = [
        accuracy_figure(results),
        bits_figure(results),
        position_figure(results),
        length_generalisation_figure(results),
    ]
    return [chart for chart in charts if chart is not None]


def accuracy_figure(results: pd.DataFrame) -> Chart | None:
    """Token accuracy and exact match against length, each model tested at the length it was trained on."""
    rows = pd.concat([at_train_length(results, metric) for metric in ACCURACIES])
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "metric", "arch", "train_length"], PROPORTION)
    looks = styles(results["arch"])
    settings = _settings(points)
    with paper_style():
        figure, grid = panels(len(settings), 2, height=2.2)
        for (task, vocabulary), row in zip(settings, grid, strict=True):
            for axes, (metric, label) in zip(row, ACCURACIES.items(), strict=True):
                shown = points[_is(points, task=task, vocabulary=vocabulary, metric=metric)]
                if shown.empty:
                    axes.set_visible(False)
                    continue
                if metric == "greedy_token_accuracy":
                    axes.axhline(1 / vocabulary, **CHANCE)
                _draw_lines(axes, shown, "train_length", looks)
                _proportion_axis(axes, label)
                _length_axis(axes, shown["train_length"], "Source length, trained and tested (tokens)")
                axes.set_title(setting_name(task, vocabulary), loc="left")
        _legend(figure, points, looks, [CHANCE])
    caption = (
        "Accuracy of free-running greedy decoding against source length: the share of target tokens right at "
        "their position (left) and of sequences without any error (right). Each point is a model trained and "
        f"tested at this length; {_spread(points)}, cut at 0 and 1. Points of one length are drawn side by side."
    )
    return Chart("accuracy", figure, points, caption)


def bits_figure(results: pd.DataFrame) -> Chart | None:
    """Bits recovered against bits presented; a fixed context saturates, the diagonal loses nothing."""
    points = bits_points(results)
    if points.empty:
        return None
    looks = styles(results["arch"])
    settings = _settings(points)
    with paper_style():
        columns = min(2, len(settings))
        figure, grid = panels(-(-len(settings) // columns), columns, height=2.7, width=WIDTHS[columns])
        axes_list = use(grid, len(settings))
        for axes, (task, vocabulary) in zip(axes_list, settings, strict=True):
            shown = points[_is(points, task=task, vocabulary=vocabulary)]
            most = shown["bits_presented"].max()
            axes.plot([0, most], [0, most], **DIAGONAL)
            _draw_lines(axes, shown, "bits_presented", looks, side_by_side=False)
            axes.set_xlim(0, 1.05 * most)
            axes.set_ylim(min(0, 1.05 * shown["mean"].min()), 1.08 * most)
            axes.set_xlabel("Bits presented (a sequence)")
            axes.set_ylabel("Bits recovered (a sequence)")
            axes.grid(True)
            axes.set_title(setting_name(task, vocabulary), loc="left")
        _legend(figure, points, looks, [DIAGONAL], columns=2 * columns)
    caption = (
        "Bits recovered of the bits presented: the information in the target less the teacher-forced "
        "cross-entropy of its tokens, a lower bound on what passed from source to target. On the dotted line "
        f"nothing is lost; a line that levels off has met a limit, of the context or of training. Models that recover "
        f"everything lie on top of each other. {_spread(points).capitalize()}."
    )
    return Chart("bits", figure, points, caption)


def bits_points(results: pd.DataFrame) -> pd.DataFrame:
    """Bits a sequence at the train length: task, vocabulary, arch, train_length, bits_presented, mean … seeds."""
    by = [*SETTING, "arch", "train_length"]
    recovered = at_train_length(results, "bits_recovered")
    if recovered.empty:
        return pd.DataFrame(columns=[*by, "bits_presented", "mean", "low", "high", "seeds"])
    points = over_seeds(recovered, by)
    presented = at_train_length(results, "bits_presented").groupby(by)["value"].mean()
    points = points.merge(presented.rename("bits_presented").reset_index(), on=by)
    return points[[*by, "bits_presented", "mean", "low", "high", "seeds"]]


def position_figure(results: pd.DataFrame) -> Chart | None:
    """A map of accuracy at each target position, at the greatest length of each task."""
    rows = longest(at_train_length(results, "greedy_token_accuracy_by_position"))
    rows = rows[rows.groupby(SETTING)["position"].transform("nunique") > 1]
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "train_length", "arch", "position"], PROPORTION)
    looks = styles(results["arch"])
    settings = _settings(points)
    with paper_style():
        rows_each = [points[_is(points, task=task, vocabulary=v)]["arch"].nunique() for task, v in settings]
        heights = [0.65 + 0.2 * count for count in rows_each]
        figure = Figure(figsize=(TEXT_WIDTH, sum(heights) + 0.1), layout="constrained")
        grid = figure.subplots(len(settings), 1, squeeze=False, height_ratios=heights)
        for (axes,), (task, vocabulary) in zip(grid, settings, strict=True):
            shown = points[_is(points, task=task, vocabulary=vocabulary)]
            _draw_map(axes, shown, looks)
            length = shown["train_length"].iloc[0]
            axes.set_title(f"{setting_name(task, vocabulary)}, length {length}", loc="left")
    caption = (
        "Greedy token accuracy at each target position, at the greatest length of each task, models trained and "
        f"tested at it. Mean over {seeds_phrase(points)}; intervals are in the CSV."
    )
    return Chart("accuracy_by_position", figure, points, caption)


def length_generalisation_figure(results: pd.DataFrame) -> Chart | None:
    """Token accuracy against test length, a panel for each train length; None if none was tested elsewhere."""
    rows = measured(results, "greedy_token_accuracy")
    rows = rows[rows.groupby([*SETTING, "train_length"])["eval_length"].transform("nunique") > 1]
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "train_length", "arch", "eval_length"], PROPORTION)
    looks = styles(results["arch"])
    groups = list(points[[*SETTING, "train_length"]].drop_duplicates().itertuples(index=False, name=None))
    with paper_style():
        columns = min(MOST_COLUMNS, len(groups))
        figure, grid = panels(-(-len(groups) // columns), columns, height=2.1)
        for axes, (task, vocabulary, length) in zip(use(grid, len(groups)), groups, strict=True):
            shown = points[_is(points, task=task, vocabulary=vocabulary, train_length=length)]
            axes.axhline(1 / vocabulary, **CHANCE)
            axes.axvline(length, **TRAINED)
            _draw_lines(axes, shown, "eval_length", looks)
            _proportion_axis(axes, "Greedy token accuracy" if is_leftmost(axes) else "")
            _length_axis(axes, [*shown["eval_length"], length], "Test length (tokens)")
            axes.set_title(f"{setting_name(task, vocabulary)},\ntrained up to {length}", loc="left")
        _legend(figure, points, looks, [TRAINED, CHANCE])
    caption = (
        "Greedy token accuracy against the length of the test sources, a panel for each greatest length in "
        f"training (dashed): to its right, models meet lengths they have not seen. {_spread(points).capitalize()}, "
        "cut at 0 and 1. Points of one length are drawn side by side."
    )
    return Chart("length_generalisation", figure, points, caption)


def _spread(points: pd.DataFrame) -> str:
    if points["seeds"].max() == 1:
        return "values of one seed, so without intervals"
    return f"means with 95% t intervals over seeds ({seeds_phrase(points)})"


def _settings(points: pd.DataFrame) -> list[tuple[str, int]]:
    return list(points[SETTING].drop_duplicates().itertuples(index=False, name=None))


def _is(points: pd.DataFrame, **values: Any) -> pd.Series:
    """Which rows have all of these values."""
    chosen = pd.Series(True, index=points.index)
    for column, value in values.items():
        chosen &= points[column] == value
    return chosen


def panels(rows: int, columns: int, height: float, width: float = TEXT_WIDTH) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows x columns panels; `height` in inches is that of one row, the legend comes on top."""
    figure = Figure(figsize=(width, rows * height + 0.5), layout="constrained")
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False)]


def use(grid: list[list[Axes]], count: int) -> list[Axes]:
    """The first `count` panels; the others vanish."""
    flat = [axes for row in grid for axes in row]
    for axes in flat[count:]:
        axes.set_visible(False)
    return flat[:count]


def _draw_lines(axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], side_by_side: bool = True) -> None:
    """A line with error bars for each architecture, so that equal ones do not hide each other.

    Either they are moved apart on paper, while their data stay as they are, or later markers are smaller.
    """
    names = [name for name in looks if name in set(points["arch"])]
    apart = _distance(axes, points[x].nunique(), len(names)) if side_by_side else 0.0
    for place, name in enumerate(names):
        line = points[points["arch"] == name].sort_values(x)
        from_middle = place - (len(names) - 1) / 2
        shift = ScaledTranslation(from_middle * apart / 72, 0, axes.figure.dpi_scale_trans)
        size = 4 if side_by_side else max(2.5, 4.5 - 0.6 * from_middle)
        axes.errorbar(
            line[x], line["mean"], yerr=[line["mean"] - line["low"], line["high"] - line["mean"]],
            elinewidth=0.8, markersize=size, markeredgewidth=0,
            transform=axes.transData + shift, **looks[name].of_line(),
        )  # fmt: skip


def _distance(axes: Axes, lengths: int, lines: int) -> float:
    """Points of paper between neighbouring lines: a marker's width, less where lengths are close together."""
    return min(3.0, 0.45 * width_of(axes) / lengths / lines)


def width_of(axes: Axes) -> float:
    """The width of a panel in points, as good as it is known before the figure is laid out."""
    return axes.get_window_extent().width / axes.figure.dpi * 72


def _draw_map(axes: Axes, points: pd.DataFrame, looks: dict[str, Style]) -> None:
    table = points.pivot_table(index="arch", columns="position", values="mean")
    table = table.loc[[name for name in looks if name in table.index]]
    seaborn.heatmap(
        table, ax=axes, vmin=0, vmax=1, cmap="cividis", xticklabels=False,
        linewidths=0.2, linecolor="face",  # else white seams show between cells of an SVG or PDF
        yticklabels=[looks[name].name for name in table.index],
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


def _proportion_axis(axes: Axes, label: str) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel(label)
    axes.grid(True, axis="y")


def _length_axis(axes: Axes, lengths: Iterable[int], label: str) -> None:
    """Ticks at the lengths that were run; doublings are equally far apart where lengths span more than 4x."""
    wanted = sorted(set(lengths))
    least, most = wanted[0], wanted[-1]
    scale = math.log2 if most >= 4 * least else float
    if scale is math.log2:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        margin = (most / least) ** 0.09
        axes.set_xlim(least / margin, most * margin)
    else:
        margin = 0.09 * (most - least) or 1
        axes.set_xlim(least - margin, most + margin)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(wanted, scale, LEAST_TICK_DISTANCE / width_of(axes))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def _ticks(lengths: list[int], scale: Callable[[float], float], least: float) -> list[int]:
    """The lengths that can have a label, the greatest first, each at least a share `least` of the axis apart."""
    span = scale(lengths[-1]) - scale(lengths[0])
    ticks = [lengths[-1]]
    for length in reversed(lengths[:-1]):
        if scale(ticks[-1]) - scale(length) >= least * span:
            ticks.append(length)
    return ticks


def is_leftmost(axes: Axes) -> bool:
    place = axes.get_subplotspec()
    return place is not None and place.is_first_col()


def _legend(
    figure: Figure, points: pd.DataFrame, looks: dict[str, Style], guides: list[dict[str, Any]], columns: int = 4
) -> None:
    shown = [look for name, look in looks.items() if name in set(points["arch"])]
    handles = [Line2D([], [], markeredgewidth=0, **look.of_line()) for look in shown]
    handles += [Line2D([], [], **guide) for guide in guides]
    longest_label = max(len(str(handle.get_label())) for handle in handles)
    columns = min(columns, 3) if longest_label > LONGEST_LABEL else columns  # else the legend is wider than the figure
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3)
