"""Tables as they stand in a report."""

import math
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars and line breaks inside cells are made harmless."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in columns of equal width, for a terminal; the first column is text, the others are numbers."""
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in [header, *rows]
    )


def _cell(value: object) -> str:
    text = "-" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
    return " ".join(text.replace("|", "\\|").split())
