"""The figure of accuracy against the number of labelled examples, with pre-training and without."""

import pandas as pd

from analysis.figures.axes import doubling_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_bands, spread_phrase
from analysis.figures.panels import label_leftmost, legend, split_by, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import CHANCE, Style
from analysis.statistics.label_curves import CELL, SCRATCH, label_curves
from analysis.statistics.summaries import PROPORTION, chances, over_seeds, task_name
from analysis.tables.architectures import Architectures

# Colour, marker and line of what a model begins from, in the order of names; scratch is the last.
LOOKS = (("#0072B2", "o", "-"), ("#009E73", "^", "-"), ("#CC79A7", "D", "-"), ("#D55E00", "s", (0, (4, 1.2))))
MOST_COLUMNS = 3


@register(
    "pretraining", "pretraining", 1,
    "Where the lines meet: from that number of labelled examples on, pre-training adds nothing.",
)  # fmt: skip
def pretraining_figure(results: pd.DataFrame, trials: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Accuracy against labelled examples; None where no task was trained from scratch and from pre-training."""
    rows = label_curves(results, trials)
    if rows.empty:
        return None
    points = over_seeds(rows, [*CELL, "init_from", "train_examples"], PROPORTION)
    names = [*sorted(set(points["init_from"]) - {SCRATCH}), SCRATCH]
    looks = {name: Style(name, *LOOKS[place % len(LOOKS)]) for place, name in enumerate(names[:-1])}
    looks[SCRATCH] = Style(SCRATCH, *LOOKS[-1])
    known = chances(results)
    figure, cells = wrapped_panels(split_by(points, CELL), MOST_COLUMNS, height=2.2)
    for axes, ((task, vocabulary, length, line), shown) in cells:
        if (chance := known.get((task, vocabulary, length))) is not None:
            axes.axhline(chance, **CHANCE)
        draw_bands(axes, shown, "train_examples", looks, by="init_from", ringed=True)
        proportion_axis(axes)
        label_leftmost(axes, "Greedy token accuracy")
        doubling_axis(axes, shown["train_examples"], "Labelled examples")
        [called] = architectures.names([str(line)]).values()
        axes.set_title(f"{called}: {task_name(task, vocabulary)}", loc="left")
    legend(figure, list(looks.values()), [CHANCE])
    caption = (
        "Greedy token accuracy against the number of labelled examples in training, of models that begin from "
        "pre-training on sentences without labels and of others from scratch. The mean over the lengths tested within "
        f"training; {spread_phrase(points)}. The dotted line is chance."
    )
    return Chart("pretraining", figure, points, caption)
