"""BLEU against source length, the figure of Cho et al. (2014b, Figure 4), Bahdanau et al. (2015, Figure 2) and Luong
et al. (2015, Figure 6), from finished trials on text; and the length ratio beside it.

Which trials stand in one panel is what analysis.statistics.comparisons says.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.chart import Chart
from analysis.figures.lines import error_bars, from_middle
from analysis.figures.panels import label_leftmost, split_by, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import TEXT_WIDTH, TRAIN_LENGTH, Style, guide, styles
from analysis.statistics.comparisons import (
    BLEU_BOUNDS,
    Comparison,
    Score,
    Setting,
    comparisons,
    left_out_phrase,
    line_name,
    scored,
    setting_title,
)
from analysis.statistics.intervals import corpus_bleu
from analysis.statistics.summaries import STOPPED, seeds_phrase
from analysis.tables.architectures import Architectures
from analysis.tables.trial_folders import Runs

MOST_LINES = 8  # in one panel
APART = 1.8  # points of paper between lines at the same length
WHITE = {"markerfacecolor": "white"}
HALF = {"markerfacecoloralt": "white"}
# Of markers, the greatest train length first.
FILLS: tuple[dict[str, Any], ...] = ({}, WHITE, {**HALF, "fillstyle": "left"}, {**HALF, "fillstyle": "top"})
LEAST_RATIO = 0.6  # where the axis of length ratios begins, unless some are smaller
SAME_LENGTH = guide("reference")


@register(
    "bleu_by_length", "text", 1,
    "Whether a line falls towards long sentences, and whether lines with attention fall less.",
)  # fmt: skip
def by_length_figure(runs: Runs) -> Chart | None:
    """BLEU against source length, a line for each architecture and train length; None without trials on text."""
    compared = comparisons(runs)
    points = points_by_length(compared, runs.architectures)
    if points.empty:
        return None
    caption = (
        "Corpus BLEU of the test sentences of each range of source lengths, at their mean length. Dashed: the "
        f"greatest train length, to whose right sentences are longer than any in training. {_spread(points)} "
        f"Points of one length are drawn side by side. {left_out_phrase(compared)}"
    )
    return Chart("bleu_by_length", _draw(compared, points, runs, "BLEU", None), points, caption.strip())


@register("length_ratio_by_length", "text", 2, "Whether long sentences are cut short, before their quality is judged.")
def length_ratio_figure(runs: Runs) -> Chart | None:
    """Words of the output over words of the reference against source length; None without trials on text."""
    compared = comparisons(runs)
    points = points_by_length(compared, runs.architectures, length_ratio, (0.0, np.inf))
    if points.empty:
        return None
    caption = (
        "Words of the output over words of the reference, by source length. Below 1 outputs are too short, which "
        f"BLEU's brevity penalty punishes: models that stop early lose BLEU this way. {_spread(points)} "
        f"Points of one length are drawn side by side. {left_out_phrase(compared)}"
    )
    figure = _draw(compared, points, runs, "Length ratio", SAME_LENGTH)
    return Chart("length_ratio_by_length", figure, points, caption.strip())


def length_ratio(statistics: np.ndarray) -> np.ndarray:
    """Words of the output over words of the reference (...), from statistics (..., 10); 0 without a reference."""
    return statistics[..., -2] / np.maximum(statistics[..., -1], 1)


def points_by_length(
    compared: Sequence[Comparison],
    architectures: Architectures,
    score: Score = corpus_bleu,
    bounds: tuple[float, float] = BLEU_BOUNDS,
) -> pd.DataFrame:
    """A row for each setting, train length, architecture and bucket: mean over seeds and 95% interval.

    `bounds` clips the intervals.
    """
    rows = []
    for comparison in compared:
        looks = styles(comparison.archs, architectures)
        for arch, bucket in ((arch, bucket) for arch in looks for bucket in comparison.buckets):
            interval = scored(comparison, arch, bucket, score).interval().clipped(*bounds)
            name = line_name(looks[arch].name, comparison.train_length)
            what = [*comparison.setting, comparison.train_length, name, arch]
            stopped = sum(np.array(comparison.stopped)[np.array(comparison.archs) == arch])
            rows.append([*what, bucket.name, bucket.sentences, bucket.mean_source_length, *interval, stopped])
    columns = [
        *Setting._fields, "train_length", "name", "arch", "bucket", "sentences", "mean_source_length",
        "mean", "low", "high", "seeds", STOPPED,
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _draw(
    compared: list[Comparison], points: pd.DataFrame, runs: Runs, label: str, reference: dict[str, Any] | None
) -> Figure:
    """A panel for each setting, or for each of its train lengths where the lines would be too many for one."""
    groups = _groups(compared)
    looks = styles(runs.results["arch"], runs.architectures)
    lengths = sorted(points["train_length"].unique(), reverse=True)
    split = all(len(group) == 1 for group in groups)
    fills = {length: {} if split else FILLS[place % len(FILLS)] for place, length in enumerate(lengths)}
    handles: dict[tuple[str, int], Line2D] = {}
    figure, cells = wrapped_panels(groups, 2, height=2.6, width=TEXT_WIDTH)
    for axes, group in cells:
        for comparison in group:
            axes.axvline(comparison.train_length, **TRAIN_LENGTH)
        if reference:
            axes.axhline(1, **reference)
        drawn = _draw_lines(axes, _points_of(points, group), looks, fills)
        handles |= {(arch, 0 if split else length): line for (arch, length), line in drawn.items()}
        _finish_axes(axes, _points_of(points, _of_setting(compared, group[0].setting)), label, bool(reference))
        axes.set_title(_title(group, compared), loc="left")
    _legend(figure, handles, looks, [TRAIN_LENGTH, reference] if reference else [TRAIN_LENGTH])
    return figure


def _groups(compared: list[Comparison]) -> list[list[Comparison]]:
    """What stands together in a panel."""
    groups = []
    for setting in dict.fromkeys(comparison.setting for comparison in compared):
        of_setting = _of_setting(compared, setting)
        lines = sum(len(set(comparison.archs)) for comparison in of_setting)
        groups += [of_setting] if lines <= MOST_LINES else [[comparison] for comparison in of_setting]
    return [group for group in groups if any(comparison.buckets for comparison in group)]


def _of_setting(compared: list[Comparison], setting: Setting) -> list[Comparison]:
    return [comparison for comparison in compared if comparison.setting == setting]


def _points_of(points: pd.DataFrame, group: list[Comparison]) -> pd.DataFrame:
    lines = {(*comparison.setting, comparison.train_length) for comparison in group}
    keys = points[[*Setting._fields, "train_length"]].itertuples(index=False, name=None)
    return points[[key in lines for key in keys]]


def _draw_lines(
    axes: Axes, points: pd.DataFrame, looks: dict[str, Style], fills: dict[int, dict[str, Any]]
) -> dict[tuple[str, int], Line2D]:
    """A line with error bars for each architecture and train length; returns what the legend shows for each."""
    lines = dict(split_by(points, ["arch", "train_length"]))
    order = sorted(lines, key=lambda line: (list(looks).index(line[0]), line[1]))
    handles = {}
    for place, (arch, length) in zip(from_middle(len(order)), order, strict=True):
        line = lines[arch, length]
        look = {**looks[arch].of_line(), "markeredgewidth": 0.8, "label": line["name"].iloc[0], **fills[length]}
        error_bars(axes, line, "mean_source_length", place * APART, elinewidth=0.7, markersize=4, **look)
        handles[arch, length] = Line2D([], [], **look)
    return handles


def _legend(
    figure: Figure, handles: dict[tuple[str, int], Line2D], looks: dict[str, Style], guides: list[dict[str, Any]]
) -> None:
    """A column for each architecture with its train lengths below each other, where there is room for that.

    `handles` are by architecture and train length; the length is 0 where each panel has its own.
    """
    lengths = len({length for _, length in handles})
    columns = -(-(len(handles) + len(guides)) // lengths)
    order = sorted(handles, key=lambda line: (list(looks).index(line[0]), line[1]))
    for arch, length in order:
        if not length:
            handles[arch, length].set_label(looks[arch].name)
    figure.legend(
        handles=[*(handles[line] for line in order), *(Line2D([], [], **one) for one in guides)],
        loc="outside lower center", ncols=columns if columns <= 5 else 4, handlelength=3,
    )  # fmt: skip


def _finish_axes(axes: Axes, points: pd.DataFrame, label: str, is_ratio: bool) -> None:
    """Panels of one setting have the same axes; shifted lines do not set them by themselves."""
    axes.set_xlim(0, 1.05 * max(points["mean_source_length"].max(), points["train_length"].max()))
    least = min(LEAST_RATIO, points["low"].min()) if is_ratio else 0.0
    most = max(points["high"].max(), 1.0)
    room = 0.06 * (most - least)
    axes.set_ylim(least - room * is_ratio, most + room)
    axes.set_xlabel("Source length (tokens)")
    label_leftmost(axes, label)
    axes.grid(True, axis="y")


def _title(group: list[Comparison], compared: list[Comparison]) -> str:
    trained = f", trained up to {group[0].train_length}" if len(group) == 1 else ""
    return ",\n".join(setting_title(group[0].setting, compared)) + trained


def _spread(points: pd.DataFrame) -> str:
    if points["seeds"].max() == 1:
        return "One seed: the 95% bootstrap intervals are over test sentences alone."
    return f"Means over {seeds_phrase(points)} with 95% bootstrap intervals over test sentences and seeds."
