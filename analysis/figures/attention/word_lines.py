"""Two columns of words with lines between them, as wide as one looks at the other (Vaswani et al. 2017, Figure 3)."""

from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.figures.attention.heatmaps import LARGEST_FONT, MARGIN, Map, labels_width, shown_word
from analysis.figures.style import paper_style

COLOR = "#0072B2"
LEAST = 0.01  # lighter lines are not drawn
WIDEST = 5.0  # points, of a weight of 1

# Sizes in inches.
ROW = 0.17
BETWEEN = 1.7
PAD = 0.05  # between a word and its lines


def word_lines(one: Map, shown: np.ndarray, rows: Collection[int], columns: Collection[int]) -> Figure:
    """Draw the lines of some weights.

    Args:
        one: weights (T, S), of which T look and stand on the left.
        shown: (T, S) true at the weights that get a line.
        rows: words on the left to print bold.
        columns: words on the right to print bold, where none is on the left.
    """
    left, right = labels_width([one], "target", LARGEST_FONT), labels_width([one], "source", LARGEST_FONT)
    width, height = left + BETWEEN + right + 2 * MARGIN, ROW * max(one.weights.shape) + 2 * MARGIN
    begin, end = MARGIN + left, MARGIN + left + BETWEEN
    drawn = [(row, column) for row, column in np.argwhere(shown) if one.weights[row, column] >= LEAST]
    drawn.sort(key=lambda place: one.weights[place])  # the widest on top
    weights = np.array([one.weights[place] for place in drawn])
    with paper_style():
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        if drawn:
            lines = [[(begin, _middle(row)), (end, _middle(column))] for row, column in drawn]
            look = {"linewidths": WIDEST * weights, "alpha": 0.2 + 0.8 * weights, "capstyle": "round"}
            axes.add_collection(LineCollection(lines, colors=COLOR, **look))
        _write(axes, begin - PAD, one.target, "right", rows)
        _write(axes, end + PAD, one.source, "left", () if rows else columns)
    return figure


def _write(axes: Axes, x: float, words: list[str], align: str, bold: Collection[int]) -> None:
    for place, word in enumerate(words):
        weight = "bold" if place in bold else "normal"
        look = {"fontsize": LARGEST_FONT, "fontweight": weight, "ha": align, "va": "center_baseline"}
        axes.text(x, _middle(place), shown_word(word), parse_math=False, **look)


def _middle(place: int) -> float:
    return MARGIN + (place + 0.5) * ROW
