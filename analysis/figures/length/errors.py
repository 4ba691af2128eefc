"""The figures that tell errors apart: where outputs end, and whose prefix was read."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import error_bars, spread_phrase
from analysis.figures.panels import label_leftmost, wrapped, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import TEXT_WIDTH, TRAIN_LENGTH, styles
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    by_setting,
    length_name,
    longest,
    over_seeds,
    stopped_names,
    tested,
)
from analysis.tables.architectures import Architectures

# Colours of Okabe & Ito (2008); the first share is what is right.
ENDINGS = {
    "greedy_exact_match": ("right", "#E4E4E4"),
    "greedy_wrong_content": ("right length, wrong content", "#0072B2"),
    "greedy_ended_early": ("ended too early", "#E69F00"),
    "greedy_ended_late": ("ended too late", "#D55E00"),
}
PREFIXES = {
    "token_accuracy": ("right prefix (teacher forcing)", "#000000", "^", ":"),
    "forced_length_token_accuracy": ("own prefix, true length forced", "#0072B2", "s", (0, (4, 1.2))),
    "greedy_token_accuracy": ("own prefix (greedy)", "#D55E00", "o", "-"),
}
COLUMNS, HEIGHT = 4, 1.45
LETTERS, LINE = 23, 0.14  # of a line above a panel: how many there are, and its height in inches


@register(
    "errors", "bottleneck", 6,
    "What kind of error grows with the length: outputs of the wrong length are failures to stop, outputs of the right "
    "length with wrong tokens are failures to remember.",
)  # fmt: skip
def errors_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Shares of outputs that are right, wrong at the right length, too short and too long, against length."""
    points = _points(results, list(ENDINGS), "greedy_wrong_content")
    if points.empty:
        return None
    figure = _panels(points, architectures, _draw_shares, "Share of outputs")
    caption = (
        "Shares of the greedy outputs against length, at the greatest limit of each task, a panel for each "
        "architecture; means over seeds, intervals are in the CSV. An output ends too early if its end comes before "
        "that of the target, too late if it is not there where the target ends. The dashed line is the greatest length "
        "in training."
    )
    return Chart("errors", figure, points, caption)


@register(
    "prefixes", "bottleneck", 7,
    "What a model makes of its own mistakes: the distance from the dotted line is what reading its own output costs, "
    "and that between the other two is what not knowing where to stop costs.",
)  # fmt: skip
def prefixes_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Token accuracy given the right prefix, the model's own, and its own with the true length forced."""
    points = _points(results, list(PREFIXES), "forced_length_token_accuracy")
    if points.empty:
        return None
    figure = _panels(points, architectures, _draw_prefixes, "Token accuracy")
    caption = (
        "Token accuracy against length, at the greatest limit of each task, a panel for each architecture: each "
        "token predicted from the right prefix; from the model's own output, with the end barred until the length of "
        "the target is reached (Newman et al. 2020); and from its own output alone. "
        f"{spread_phrase(points).capitalize()}, cut at 0 and 1. The dashed line is the greatest length in training."
    )
    return Chart("prefixes", figure, points, caption)


def _points(results: pd.DataFrame, metrics: list[str], needed: str) -> pd.DataFrame:
    """Means of the metrics at every length tested, at the greatest limit of each task; none without the one needed."""
    if tested(results, needed).empty:
        return pd.DataFrame()
    rows = longest(pd.concat([tested(results, metric) for metric in metrics]), "train_length")
    return over_seeds(rows, [*SETTING, "arch", "metric", "length"], PROPORTION)


def _panels(
    points: pd.DataFrame, architectures: Architectures, draw: Callable[[Axes, pd.DataFrame], None], label: str
) -> Figure:
    """A panel for each setting and architecture."""
    looks = styles(points["arch"], architectures)
    cells = [
        (setting, _named(looks[arch].name, shown[shown["arch"] == arch]), shown[shown["arch"] == arch])
        for setting, shown in by_setting(points)
        for arch in looks
        if (shown["arch"] == arch).any()
    ]
    height = HEIGHT + LINE * max(name.count("\n") for _, name, _ in cells)
    figure, panels = wrapped_panels(cells, COLUMNS, height, TEXT_WIDTH)
    for axes, (setting, name, shown) in panels:
        draw(axes, shown)
        if setting.limit:
            axes.axvline(setting.limit, **{**TRAIN_LENGTH, "label": None})
        proportion_axis(axes)
        length_axis(axes, shown["length"], length_name(setting.task).capitalize())
        label_leftmost(axes, label)
        axes.set_title(f"{name}\n{setting.task}", loc="left")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=2)
    return figure


def _named(name: str, points: pd.DataFrame) -> str:
    """An architecture on as many lines as it takes, and whether it converged."""
    return wrapped(f"{name}{' (not converged)' if stopped_names(points) else ''},", LETTERS)


def _draw_shares(axes: Axes, points: pd.DataFrame) -> None:
    shares = points.pivot_table(index="length", columns="metric", values="mean")[list(ENDINGS)]
    labels, colors = zip(*ENDINGS.values(), strict=True)
    lengths, heights = shares.index.to_numpy(), shares.to_numpy().T
    if len(lengths) == 1:  # a bar; an area between one length and itself cannot be seen
        lengths, heights = lengths + np.array([-0.5, 0.5]), heights.repeat(2, axis=1)
    axes.stackplot(lengths, heights, labels=labels, colors=colors, linewidth=0)


def _draw_prefixes(axes: Axes, points: pd.DataFrame) -> None:
    for metric, (label, color, marker, line) in PREFIXES.items():
        error_bars(
            axes, points[points["metric"] == metric], "length",
            color=color, marker=marker, linestyle=line, label=label, markersize=3,
        )  # fmt: skip
    axes.grid(True, axis="y")
