"""Numbers and intervals in words, as tables, captions and verdicts print them."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from analysis.statistics.intervals import MeanInterval


def interval(value: MeanInterval | None, digits: int = 3, form: Literal["f", "g"] = "f") -> str:
    """`0.843 [0.801, 0.885]`; without the brackets where one seed gives no interval.

    Args:
        value: None becomes `-`.
        digits: decimals, or significant digits where `form` is g.
        form: as in Python's format.
    """
    if value is None:
        return "-"
    if math.isnan(value.low):
        return f"{_number(value.mean, digits, form)} (no interval)"
    return f"{_number(value.mean, digits, form)} {bounds(value.low, value.high, digits, form)}"


def percent(share: MeanInterval) -> str:
    """`91% [88%, 94%]`."""
    return f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}]"


def r_squared_text(r_squared: Sequence[float]) -> str:
    """R² over seeds: `0.98`, or its range `0.91…0.98`."""
    if not r_squared:
        return "-"
    least, most = (f"{value:.2f}" for value in (min(r_squared), max(r_squared)))
    return least if least == most else f"{least}…{most}"


def bounds(low: float, high: float, digits: int = 3, form: Literal["f", "g"] = "f") -> str:
    """`[0.801, 0.885]`."""
    return f"[{_number(low, digits, form)}, {_number(high, digits, form)}]"


def listing(values: Iterable[object]) -> str:
    """Values separated by commas, or the word none."""
    return ", ".join(map(str, values)) or "none"


def _number(value: float, digits: int, form: str) -> str:
    return f"{value:z.{digits}{form}}"  # z turns a rounded -0.0 into 0.0
