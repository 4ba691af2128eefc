"""What a report consists of: headings, paragraphs, lists, tables and figures, before anything is formatted.

Text may hold the inline markup of Markdown: *emphasis*, `code` and `[links](address)`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from analysis.claims.verdicts import Agreement, Answer
from analysis.figures.attention.looks import Look
from analysis.figures.chart import Chart
from analysis.statistics.intervals import MeanInterval
from analysis.statistics.words import interval

Cell: TypeAlias = str | float | MeanInterval | Answer | Agreement | None


class Heading(NamedTuple):
    """A heading; level 1 is the title of the page."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """Text that ends in an answer where there is one."""

    text: str
    answer: Answer | Agreement | None = None


class Listing(NamedTuple):
    """Items below each other."""

    items: Sequence[str]


class Code(NamedTuple):
    """Lines printed as they are."""

    text: str


class Table(NamedTuple):
    """A table; a cell that is None or no number is printed as `-`.

    Attributes:
        header: a cell a column.
        rows: as many cells each.
        title: what stands above it, see `titled`.
        caption: what stands below it, see `titled`.
        name: that of its CSV file, where it has one.
        prose: its cells hold sentences; a narrow screen then shows them below each other.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    caption: str = ""
    name: str = ""
    prose: bool = False


class Figure(NamedTuple):
    """A drawing with paragraphs below it; a slider leafs through those that say which `source` they show."""

    chart: Chart
    caption: Sequence[Paragraph]
    source: str = ""

    @property
    def title(self) -> str:
        """The name of the drawing in words."""
        return self.chart.name.replace("_", " ").capitalize()


class Words(NamedTuple):
    """The words of a sentence, of which one is clicked to see what it looks at; of HTML alone.

    Attributes:
        looks: what looks at what, one of which is shown at a time.
        place: layer and head of the first one, which is shown at the beginning.
        row: the word whose lines are shown then, from 0.
    """

    looks: Sequence[Look]
    place: tuple[int, int]
    row: int

    def content(self) -> list[dict[str, Any]]:
        """For each look its words, and the weights of its heads by name, ready for JSON."""
        return [
            {
                "rows": look.rows,
                "columns": look.columns,
                "heads": [
                    {
                        "name": look.title(place),
                        "first": look is self.looks[0] and place == self.place,
                        "weights": weights.round(3).tolist(),
                    }
                    for place, weights in sorted(look.heads.items())
                ],
            }
            for look in self.looks
        ]


Block: TypeAlias = Heading | Paragraph | Listing | Code | Table | Figure


def titled(table: Table, level: int = 2) -> Iterator[Block]:
    """A table below its title and above its caption; nothing where it has no rows."""
    if table.rows:
        yield Heading(table.title, level)
        yield table
        if table.caption:
            yield Paragraph(table.caption)


def notes(sentences: Iterable[str]) -> Iterator[Block]:
    """A paragraph for each caution."""
    return (Paragraph(f"**Note.** {sentence}") for sentence in sentences)


def literal(text: str) -> str:
    """A text none of whose characters is markup."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def cell_text(cell: Cell) -> str:
    """A cell as text on one line."""
    if isinstance(cell, MeanInterval):
        return interval(cell)
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    return " ".join(str(cell).split())
