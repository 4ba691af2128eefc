"""The figure of length generalisation: accuracy at lengths within and beyond those of training."""

import pandas as pd

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import distance_apart, draw_chance, draw_error_bars, spread_phrase
from analysis.figures.panels import columns_by_task, label_leftmost, legend, split_by, title, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import CHANCE, TEXT_WIDTH, TRAIN_LENGTH, styles, styles_of
from analysis.statistics.summaries import PROPORTION, TASK, TaskSetting, length_name, measured, over_seeds
from analysis.tables.architectures import Architectures

MOST_COLUMNS = 4


@register(
    "length_generalisation", "generalisation", 1,
    "What happens to the right of the dashed line: lengths that were never trained on.",
)  # fmt: skip
def length_generalisation_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Token accuracy against test length, a panel for each train length; None if none was tested elsewhere."""
    rows = measured(results, "greedy_token_accuracy")
    rows = rows[rows.groupby([*TASK, "train_length"])["eval_length"].transform("nunique") > 1]
    if rows.empty:
        return None
    points = over_seeds(rows, [*TASK, "train_length", "arch", "eval_length"], PROPORTION)
    looks = styles(results["arch"], architectures)
    trained = split_by(points, [*TASK, "train_length"])
    columns = MOST_COLUMNS if len(trained) <= MOST_COLUMNS else min(MOST_COLUMNS, columns_by_task(trained))
    figure, cells = wrapped_panels(trained, columns, height=2.1, width=TEXT_WIDTH)
    for axes, ((task, vocabulary, length), shown) in cells:
        draw_chance(axes, results, task, vocabulary, shown["eval_length"])
        axes.axvline(length, **TRAIN_LENGTH)
        draw_error_bars(axes, shown, "eval_length", looks, apart=distance_apart(axes, shown, "eval_length"))
        proportion_axis(axes)
        label_leftmost(axes, "Greedy token accuracy")
        length_axis(axes, [*shown["eval_length"], length], f"Test {length_name(task)}")
        title(axes, str(TaskSetting(task, vocabulary, length)))
    legend(figure, styles_of(looks, points["arch"]), [TRAIN_LENGTH, CHANCE], columns=4)
    caption = (
        "Greedy token accuracy against the length of the test sources, a panel for each greatest length in "
        "training (dashed): to its right, models meet lengths they have not seen. "
        f"{spread_phrase(points, 'values of one seed').capitalize()}, cut at 0 and 1. Points of one length are drawn "
        "side by side. The dotted line is chance, the best guess that does not see the source."
    )
    return Chart("length_generalisation", figure, points, caption)
