"""Figures of panels, and legends below them."""

import textwrap
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, TypeVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, Style

Group = TypeVar("Group")

LONGEST_LABEL = 28  # letters, of which four columns of a legend fit beside each other
UNBROKEN = "\N{NO-BREAK SPACE}"  # where a title must not end its line
TITLE_LETTER = 4.1  # points, the mean of a title


def panels(rows: int, columns: int, height: float, width: float | None = None) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows x columns panels.

    Args:
        rows: of panels.
        columns: of panels.
        height: of one row, in inches; the legend comes on top.
        width: of the figure, in inches; by default that of a page's column for one panel, of the text for several.
    """
    width = width or (COLUMN_WIDTH if columns == 1 else TEXT_WIDTH)
    figure = Figure(figsize=(width, rows * height + 0.5), layout="constrained")
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False)]


def wrapped_panels(
    groups: Collection[Group], most: int, height: float, width: float | None = None
) -> tuple[Figure, list[tuple[Axes, Group]]]:
    """A figure with a panel for each group, in rows of at most `most`; the others as in `panels`."""
    figure, cells = stacked_panels(groups, most, 1, height, width)
    return figure, [(axes, group) for (axes,), group in cells]


def stacked_panels(
    groups: Collection[Group], most: int, parts: int, height: float, width: float | None = None
) -> tuple[Figure, list[tuple[tuple[Axes, ...], Group]]]:
    """As `wrapped_panels`, with so many panels for each group, one above the other."""
    columns = min(most, len(groups))
    rows = parts * -(-len(groups) // columns)
    figure, grid = panels(rows, columns, height, width)
    stacks = [stack for top in range(0, rows, parts) for stack in zip(*grid[top : top + parts], strict=True)]
    for axes in chain(*stacks[len(groups) :]):
        axes.set_visible(False)
    return figure, list(zip(stacks, groups, strict=False))


def columns_by_task(groups: Collection[tuple[tuple[str, int, int], Any]]) -> int:
    """How many panels stand in a row, so that it has all limits of one task: two at least.

    Args:
        groups: what each panel shows, as `by_setting` and `split_by` return it: task, vocabulary and limit come first.
    """
    return max(2, *Counter((task, vocabulary) for (task, vocabulary, _), _ in groups).values())


def split_by(points: pd.DataFrame, columns: list[str]) -> list[tuple[Any, pd.DataFrame]]:
    """What each panel shows: the values of these columns and the rows that have them, in the order of the points."""
    return list(points.groupby(columns, sort=False))


def label_leftmost(axes: Axes, label: str) -> None:
    """Name the vertical axis where the panel begins its row."""
    place = axes.get_subplotspec()
    axes.set_ylabel(label if place is not None and place.is_first_col() else "")


def title(axes: Axes, text: str) -> None:
    """Write above the left end of a panel, on as many lines as it takes, broken behind commas."""
    phrases = ", ".join(phrase.replace(" ", UNBROKEN) for phrase in text.split(", "))
    axes.set_title(wrapped(phrases, int(panel_width(axes) / TITLE_LETTER)).replace(UNBROKEN, " "), loc="left")


def panel_width(axes: Axes) -> float:
    """The width of a panel in points, as good as it is known before the figure is laid out."""
    return axes.get_window_extent().width / axes.figure.dpi * 72


def legend(
    figure: Figure, looks: Sequence[Style], guides: Sequence[dict[str, Any]] = (), columns: int | None = None
) -> None:
    """A legend below the panels, which keep their height.

    Args:
        figure: with its panels.
        looks: of the lines.
        guides: looks of lines that are no measurement.
        columns: of the legend, fewer where labels are long; by default as many as fit, with labels on several lines.
    """
    handles = [Line2D([], [], markeredgewidth=0, **look.of_line()) for look in looks]
    handles += [Line2D([], [], **guide) for guide in guides]
    labels = [str(handle.get_label()) for handle in handles]
    if columns is None:
        labels = [wrapped(label) for label in labels]
    longest = max(len(line) for label in labels for line in label.splitlines())
    # Inches of an entry and of the space behind it, and of a line of text, at the size of legends.
    fitting = max(1, int((figure.get_figwidth() + 0.2) / (0.63 + 0.0575 * longest)))
    if columns is None:
        columns = min(4, fitting)
        lines = -(-sum(label.count("\n") + 1 for label in labels) // columns)
        figure.set_figheight(figure.get_figheight() + 0.16 * max(0, lines - 2))
    elif longest > LONGEST_LABEL:
        usual, columns = min(columns, 3), min(columns, 3, fitting)
        lines, usual_lines = (-(-len(labels) // count) for count in (columns, usual))
        figure.set_figheight(figure.get_figheight() + 0.16 * (lines - usual_lines))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)


def wrapped(name: str, width: int = 24) -> str:
    """A name on lines of at most so many letters, where it has spaces."""
    return textwrap.fill(name, width, break_long_words=False)
