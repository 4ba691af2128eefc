"""The figure of accuracy against length: the fixed-context bottleneck itself."""

import pandas as pd

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import distance_apart, draw_chance, draw_error_bars, spread_phrase
from analysis.figures.panels import legend, panels
from analysis.figures.registry import register
from analysis.figures.style import CHANCE, styles, styles_of
from analysis.statistics.summaries import PROPORTION, SETTING, by_setting, length_name, over_seeds, within_training
from analysis.tables.architectures import Architectures

ACCURACIES = {
    "greedy_token_accuracy": "Greedy token accuracy",
    "greedy_exact_match": "Greedy exact match",
}


@register(
    "accuracy", "bottleneck", 1,
    "Lines that fall with the length belong to models that lose information; lines that stay at the top do "
    "not. Exact match falls first, because one wrong token is enough.",
)  # fmt: skip
def accuracy_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Token accuracy and exact match against length, each model tested at lengths it was trained on."""
    rows = pd.concat([within_training(results, metric) for metric in ACCURACIES])
    if rows.empty:
        return None
    points = over_seeds(rows, [*SETTING, "metric", "arch", "length"], PROPORTION)
    looks = styles(results["arch"], architectures)
    settings = by_setting(points)
    figure, grid = panels(len(settings), 2, height=2.2)
    for (setting, of_setting), row in zip(settings, grid, strict=True):
        for axes, (metric, label) in zip(row, ACCURACIES.items(), strict=True):
            shown = of_setting[of_setting["metric"] == metric]
            if shown.empty:
                axes.set_visible(False)
                continue
            if metric == "greedy_token_accuracy":
                draw_chance(axes, results, setting.task, setting.vocabulary, shown["length"])
            draw_error_bars(axes, shown, "length", looks, apart=distance_apart(axes, shown, "length"))
            proportion_axis(axes, label)
            length_axis(axes, shown["length"], length_name(setting.task).capitalize())
            axes.set_title(str(setting), loc="left")
    legend(figure, styles_of(looks, points["arch"]), [CHANCE], columns=4)
    caption = (
        "Accuracy of free-running greedy decoding against length: the share of target tokens right at "
        "their position (left) and of sequences without any error (right). "
        f"{_models(points)}; {spread_phrase(points, 'values of one seed')}, cut at 0 and 1. Points of one length "
        "are drawn side by side. The dotted line is chance, the best guess that does not see the source."
    )
    return Chart("accuracy", figure, points, caption)


def _models(points: pd.DataFrame) -> str:
    """What a point is, for a caption."""
    designs = {
        True: "A line is that of one model for all lengths up to the one in the title",
        False: "Each point is a model trained and tested at this length",
    }
    return "; or: ".join(designs[ranged] for ranged in sorted({bool(limit) for limit in points["limit"]}))
