"""Tables and numbers as they stand in a report."""

import math
from collections.abc import Sequence
from typing import Literal

from analysis.statistics.intervals import MeanInterval


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


def interval(value: MeanInterval | None, digits: int = 3, form: Literal["f", "g"] = "f") -> str:
    """`0.843 [0.801, 0.885]`; without the brackets where one seed gives no interval. g: so many significant digits."""
    if value is None:
        return "-"
    if math.isnan(value.low):
        return f"{_number(value.mean, digits, form)} (no interval)"
    return f"{_number(value.mean, digits, form)} {bounds(value.low, value.high, digits, form)}"


def bounds(low: float, high: float, digits: int = 3, form: Literal["f", "g"] = "f") -> str:
    """`[0.801, 0.885]`."""
    return f"[{_number(low, digits, form)}, {_number(high, digits, form)}]"


def listing(values: Sequence[object]) -> str:
    """Values in a row, or the word none."""
    return ", ".join(map(str, values)) or "none"


def _number(value: float, digits: int, form: str) -> str:
    return f"{value:z.{digits}{form}}"  # z turns a rounded -0.0 into 0.0


def _cell(value: object) -> str:
    text = "-" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
    return " ".join(text.replace("|", "\\|").split())
