"""Heatmaps of attention with the words on both axes: panels side by side, or a grid of heads.

Shapes: T target and S source words, or pieces.
"""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from analysis.figures.chart import missing_glyphs_unmentioned
from analysis.figures.style import TEXT_WIDTH, paper_style

MOST_COLUMNS = 3

# Sizes in inches, those of fonts in points.
LARGEST_CELL = 0.24
LARGEST_FONT = 7.5
LEAST_FONT = 5.0
LINE_HEIGHT = 0.82  # of a cell, which its word fills without touching the next
GAP = 0.14
MARGIN = 0.04
TITLE_LINE = 0.14
TITLE_LETTER = 0.065  # the mean of a line, generously
WORD_PAD = 0.3  # of the font size, on both sides of a word
HINTING = 1.08  # how much wider small letters are on the grid of pixels than in theory
SMALLEST_HEAD = 0.45  # what `layer 1` and `head 1` take beside and above a panel
NARROWEST_PANEL = 1.6  # with the words beside it; a title needs some room
FINEST_GRID = 0.06  # below this size of a cell, lines between cells would outshine them
LONGEST_WORD = 16  # characters; longer words are cut in the drawing, not in the points


class Map(NamedTuple):
    """One panel: weights (T, S) with what stands on its axes."""

    title: str
    source: list[str]
    target: list[str]
    weights: np.ndarray


def side_by_side(maps: Sequence[Map]) -> Figure:
    """A panel a map, at most `MOST_COLUMNS` beside each other and no more than leave the words legible."""
    columns = _columns(maps)
    font = _font(maps, columns)
    cell = min(LARGEST_CELL, _cell(font))
    left, top = labels_width(maps, "target", font), labels_width(maps, "source", font)
    slot = max(left + max(len(one.source) for one in maps) * cell, NARROWEST_PANEL) + GAP
    titles = [_wrapped(one.title, slot - GAP) for one in maps]
    rows = [range(start, min(start + columns, len(maps))) for start in range(0, len(maps), columns)]
    headers = [MARGIN + TITLE_LINE * max(len(titles[place]) for place in row) for row in rows]
    bodies = [top + cell * max(len(maps[place].target) for place in row) + GAP for row in rows]
    with paper_style():
        figure = Figure(figsize=(columns * slot, sum(headers) + sum(bodies)))
        for number, row in enumerate(rows):
            title_end = sum(headers[: number + 1]) + sum(bodies[:number])
            for column, place in enumerate(row):
                axes = _panel(figure, (column * slot + left, title_end + top), maps[place], cell)
                _words(axes, maps[place], font)
                corner = _fraction(figure, column * slot + MARGIN, title_end)
                figure.text(*corner, "\n".join(titles[place]), va="bottom", parse_math=False)
    return figure


def grid_of_heads(maps: dict[tuple[int, int], Map]) -> tuple[Figure, bool]:
    """The figure, and whether its cells were large enough to label them."""
    one = next(iter(maps.values()))
    layers, heads = (sorted({place[axis] for place in maps}) for axis in (0, 1))
    gap, header = 0.06, 0.18
    left_at = labels_width([one], "target", 1.0)
    room = TEXT_WIDTH - header - len(heads) * gap
    font = room / (len(heads) * len(one.source) * _cell(1.0) + left_at)
    labelled = font >= LEAST_FONT
    font = min(font, LARGEST_FONT)
    left = labels_width([one], "target", font) if labelled else 0.0
    top = labels_width([one], "source", font) if labelled else 0.0
    cell = min(LARGEST_CELL, (room - left) / (len(heads) * len(one.source)))
    wide = max(len(one.source) * cell, min(SMALLEST_HEAD, room / len(heads) - gap)) + gap
    high = max(len(one.target) * cell, SMALLEST_HEAD) + gap
    with paper_style():
        figure = Figure(figsize=(header + left + len(heads) * wide, header + top + len(layers) * high))
        for (layer, head), each in maps.items():
            row, column = layers.index(layer), heads.index(head)
            box = (header + left + column * wide, header + top + row * high)
            axes = _panel(figure, box, each, cell)
            _words(axes, each, font, source=labelled and row == 0, target=labelled and column == 0)
            if row == 0:
                figure.text(*_fraction(figure, box[0] + (wide - gap) / 2, 0.03), f"head {head}", ha="center", va="top")
            if column == 0:
                middle = _fraction(figure, 0.03, box[1] + (high - gap) / 2)
                figure.text(*middle, f"layer {layer}", rotation=90, va="center")
    return figure, labelled


def _columns(maps: Sequence[Map]) -> int:
    """How many panels stand beside each other; the rows are about equally full."""
    most = next((n for n in range(min(MOST_COLUMNS, len(maps)), 1, -1) if _font(maps, n) >= LEAST_FONT), 1)
    rows = -(-len(maps) // most)
    return -(-len(maps) // rows)


def _panel(figure: Figure, corner: tuple[float, float], one: Map, cell: float) -> Axes:
    """A heatmap of square cells; the corner is its upper left, in inches from that of the figure."""
    rows, columns = one.weights.shape
    x, y = _fraction(figure, corner[0], corner[1] + rows * cell)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x, y, columns * cell / width, rows * cell / height))
    grid = {"edgecolors": "#E4E4E4", "linewidth": 0.3} if cell >= FINEST_GRID else {}
    axes.pcolormesh(one.weights, cmap="Greys", vmin=0, vmax=1, **grid)
    axes.invert_yaxis()
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(True)
    return axes


def _words(axes: Axes, one: Map, font: float, source: bool = True, target: bool = True) -> None:
    look = {"fontsize": font, "parse_math": False}  # a word such as $100 is no formula
    axes.tick_params(pad=WORD_PAD * font)
    axes.set_xticks(np.arange(len(one.source)) + 0.5 if source else [])
    axes.set_yticks(np.arange(len(one.target)) + 0.5 if target else [])
    if source:
        axes.set_xticklabels([shown_word(word) for word in one.source], rotation=90, **look)
    if target:
        axes.set_yticklabels([shown_word(word) for word in one.target], **look)


def _fraction(figure: Figure, x: float, y: float) -> tuple[float, float]:
    """Inches from the upper left corner as matplotlib's fractions from the lower left."""
    width, height = figure.get_size_inches()
    return x / width, 1 - y / height


def _font(maps: Sequence[Map], columns: int) -> float:
    """The font size at which this many panels with their labels fill the width of the text."""
    room = TEXT_WIDTH / columns - GAP
    widest = max(len(one.source) for one in maps)
    return min(LARGEST_FONT, room / (widest * _cell(1.0) + labels_width(maps, "target", 1.0)))


def _cell(font: float) -> float:
    return font / 72 / LINE_HEIGHT


def labels_width(maps: Sequence[Map], axis: str, font: float) -> float:
    """The inches that the widest label of an axis takes, with its distance from the panel."""
    widest = max(_text_width(shown_word(word)) for one in maps for word in getattr(one, axis))
    return (HINTING * widest + 2 * WORD_PAD / 72) * font


def _text_width(text: str) -> float:
    """The inches that a line of text takes for each point of its font size."""
    with missing_glyphs_unmentioned():
        return text_to_path.get_text_width_height_descent(text, FontProperties(size=100), False)[0] / 100 / 72


def _wrapped(title: str, width: float) -> list[str]:
    """The lines of a title that may be so many inches wide."""
    return textwrap.wrap(title, int(width / TITLE_LETTER))


def shown_word(word: str) -> str:
    """A word as it is drawn: on one line, and not endlessly long."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in word)
    return printable if len(printable) <= LONGEST_WORD else printable[: LONGEST_WORD - 1] + "…"
