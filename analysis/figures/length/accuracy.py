"""The figures of accuracy against length: the fixed-context bottleneck itself."""

import pandas as pd

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import distance_apart, draw_chance, draw_error_bars, spread_phrase
from analysis.figures.panels import columns_by_task, label_leftmost, legend, title, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import CHANCE, styles, styles_of
from analysis.statistics.summaries import PROPORTION, SETTING, by_setting, length_name, over_seeds, within_training
from analysis.tables.architectures import Architectures


@register(
    "accuracy", "bottleneck", 1,
    "Lines that fall with the length belong to models that lose information; lines that stay at the top do not.",
)  # fmt: skip
def accuracy_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Token accuracy against length, each model tested at lengths it was trained on."""
    share = "the share of target tokens right at their position"
    return _figure("accuracy", "greedy_token_accuracy", share, results, architectures)


@register("exact_match", "bottleneck", 5, "Exact match falls before token accuracy: one wrong token is enough.")
def exact_match_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Exact match against length, each model tested at lengths it was trained on."""
    share = "the share of sequences without any error"
    return _figure("exact_match", "greedy_exact_match", share, results, architectures)


def _figure(name: str, metric: str, meaning: str, results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    rows = within_training(results, metric)
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "arch", "length"], PROPORTION)
    looks = styles(results["arch"], architectures)
    settings = by_setting(points)
    label, has_chance = metric.replace("_", " ").capitalize(), metric == "greedy_token_accuracy"
    figure, cells = wrapped_panels(settings, columns_by_task(settings), height=2.2)
    for axes, (setting, shown) in cells:
        if has_chance:
            draw_chance(axes, results, setting.task, setting.vocabulary, shown["length"])
        draw_error_bars(axes, shown, "length", looks, apart=distance_apart(axes, shown, "length"))
        proportion_axis(axes)
        label_leftmost(axes, label)
        length_axis(axes, shown["length"], length_name(setting.task).capitalize())
        title(axes, str(setting))
    legend(figure, styles_of(looks, points["arch"]), [CHANCE] if has_chance else [])
    caption = (
        f"{label} against length, of outputs that a model writes freely: {meaning}. "
        f"{_models(points)}; {spread_phrase(points, 'values of one seed')}, cut at 0 and 1. Points of one length "
        "are drawn side by side."
    )
    if has_chance:
        caption += " The dotted line is chance, the best guess that does not see the source."
    return Chart(name, figure, points, caption)


def _models(points: pd.DataFrame) -> str:
    """What a point is, for a caption."""
    designs = {
        True: "A line is that of one model for all lengths up to the one in the title",
        False: "Each point is a model trained and tested at this length",
    }
    return "; or: ".join(designs[ranged] for ranged in sorted({bool(limit) for limit in points["limit"]}))
