"""Whether what was measured agrees with what was published, by rules alone.

Each rule stands in words, as the page prints it, directly above the function that follows it.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.verdicts import Agreement
from analysis.reproductions.observations import COUNTED, summary
from analysis.reproductions.published import INFINITE, Reference, Reproduction, Rule
from analysis.statistics.crossings import first_crossing
from analysis.statistics.intervals import MeanInterval, lies_above, mean_interval
from analysis.statistics.summaries import BUDGET
from analysis.statistics.words import interval

LEAST_SEEDS = 2


class Judged(NamedTuple):
    """A claim of the paper, whether these runs agree with it, and what was measured or why it cannot be told."""

    says: str
    answer: Agreement
    measured: str


class UntoldError(Exception):
    """A number is missing; the message says why."""


ORDER_RULE = (
    "An *order* agrees where each 95% interval over seeds lies above those behind it; it agrees in direction where the "
    "means stand in this order and intervals overlap; it does not agree where an interval lies below one that it "
    "should lie above. Otherwise it cannot be told."
)


def judge_order(values: Sequence[MeanInterval]) -> Agreement:
    """Whether numbers stand in this order, the greatest first, by `ORDER_RULE`."""
    above = [lies_above(first, second) for first, second in combinations(values, 2)]
    if False in above:
        return Agreement.DISAGREES
    if None not in above:
        return Agreement.AGREES
    in_order = all(first.mean > second.mean for first, second in pairwise(values))
    return Agreement.DIRECTION if in_order else Agreement.UNTOLD


RANGE_RULE = (
    "A *number* or a *ratio* agrees where its interval lies within the published range. It agrees in direction where "
    "only its mean does, and where its interval lies outside but on the same side of what no effect would give. It "
    "does not agree where the interval lies outside. Otherwise it cannot be told."
)


def judge_range(value: MeanInterval, rule: Rule) -> Agreement:
    """Whether a number lies in the published range, by `RANGE_RULE`."""
    if rule.least <= value.low and value.high <= rule.most:
        return Agreement.AGREES
    if rule.least <= value.mean <= rule.most:
        return Agreement.DIRECTION
    if value.high >= rule.least and value.low <= rule.most:
        return Agreement.UNTOLD
    return Agreement.DIRECTION if _same_side(value, rule) else Agreement.DISAGREES


def _same_side(value: MeanInterval, rule: Rule) -> bool:
    if rule.neutral is None:
        return False
    return value.low > rule.neutral if rule.least >= rule.neutral else value.high < rule.neutral


CROSSING_RULE = (
    "A *crossing* is where a line first falls to a level, or below; it is judged as a number. A line that falls, but "
    "elsewhere, agrees in direction where the published range ends, and does not agree where the line should have "
    "stayed above. A line that stays above in every seed agrees where it should, and does not agree where it should "
    "have fallen within the places measured. Where it falls in some seeds only, it cannot be told."
)


def judge_crossing(places: Sequence[float | None], furthest: float, rule: Rule) -> tuple[Agreement, str]:
    """Whether a line falls where it should, by `CROSSING_RULE`, and where it does.

    Args:
        places: of each seed; None where it stays above.
        furthest: the last place measured.
        rule: of the crossing.
    """
    fallen = [place for place in places if place is not None]
    if not fallen:
        stays = rule.most == INFINITE and furthest >= rule.least
        beyond = Agreement.DISAGREES if rule.most < furthest else Agreement.UNTOLD
        return Agreement.AGREES if stays else beyond, f"above {rule.level:g} up to {furthest:g}, n = {len(places)}"
    if len(fallen) < len(places):
        return Agreement.UNTOLD, f"falls in {len(fallen)} of {len(places)} seeds"
    value = mean_interval(fallen)
    answer = judge_range(value, rule)
    if answer == Agreement.DISAGREES and rule.most < INFINITE:
        answer = Agreement.DIRECTION
    return answer, f"falls to {rule.level:g} at {interval(value, 1)}, n = {value.count}"


TOGETHER_RULE = (
    "A reproduction *agrees* where all its claims do, and *does not agree* where one of them does not. Otherwise it "
    "*cannot be told* where one of them cannot, and else agrees *in direction*. One seed decides nothing. Nor do "
    "trials that used up their steps before they had converged, unless the paper trains for a fixed number of steps."
)


def together(answers: Sequence[Agreement]) -> Agreement:
    """The answer of all claims of a reproduction, by `TOGETHER_RULE`."""
    for answer in (Agreement.DISAGREES, Agreement.UNTOLD, Agreement.DIRECTION):
        if answer in answers:
            return answer
    return Agreement.AGREES


def judge(reproduction: Reproduction, observed: pd.DataFrame) -> list[Judged]:
    """What the measurements say of every claim.

    Args:
        reproduction: with its rules.
        observed: as `observe` returns it.
    """
    return [Judged(rule.says, *_judged(rule, reproduction, observed)) for rule in reproduction.rules]


def _judged(rule: Rule, reproduction: Reproduction, observed: pd.DataFrame) -> tuple[Agreement, str]:
    try:
        if rule.kind == "crossing":
            [of] = rule.of
            rows = _decisive(of, reproduction, observed)
            places = [_place(curve, rule.level) for _, curve in rows.groupby("seed")]
            return judge_crossing(places, float(rows["x"].max()), rule)
        values = [number(reference, reproduction, observed) for reference in rule.of]
    except UntoldError as reason:
        return Agreement.UNTOLD, str(reason)
    said = [f"{of.name}: {words(value)}" for of, value in zip(rule.of, values, strict=True)]
    if rule.kind == "order":
        return judge_order(values), "; ".join(said)
    value = values[0] if rule.kind == "number" else _ratio(*values)
    if rule.kind == "ratio":
        said.append(f"ratio {interval(value, 3, 'g')}")
    return judge_range(value, rule), "; ".join(said)


def number(of: Reference, reproduction: Reproduction, observed: pd.DataFrame) -> MeanInterval:
    """The number that a rule speaks of, over seeds.

    Raises:
        UntoldError: it was not measured, or by too few trials that had converged.
    """
    rows = _decisive(of, reproduction, observed)
    return summary(rows.groupby("seed", as_index=False)[["value"]].mean(), reproduction)


def _decisive(of: Reference, reproduction: Reproduction, observed: pd.DataFrame) -> pd.DataFrame:
    rows = observed[(observed["line"] == of.line) & observed["x"].between(of.first, of.last)]
    if rows.empty:
        raise UntoldError(f"{of.name}: not measured")
    seeds = rows["seed"].nunique()
    if not reproduction.fixed_steps:
        rows = rows[rows["ended"] != BUDGET]
    left = rows["seed"].nunique()
    if left < LEAST_SEEDS and COUNTED not in set(rows["seed"]):
        raise UntoldError(f"{of.name}: {seeds - left} of {seeds} trials not converged" if left < seeds else
                          f"{of.name}: one seed")  # fmt: skip
    return rows


def _place(curve: pd.DataFrame, level: float) -> float | None:
    curve = curve.sort_values("x")
    x, excess = curve["x"].to_numpy(dtype=float), curve["value"].to_numpy(dtype=float) - level
    return float(x[0]) if excess[0] <= 0 else first_crossing(x, excess)


def _ratio(first: MeanInterval, second: MeanInterval) -> MeanInterval:
    """A ratio of positive numbers; its interval reaches as far as those of the two allow."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, low, high = np.divide([first.mean, first.low, first.high], [second.mean, second.high, second.low])
    return MeanInterval(float(mean), float(low), float(high), min(first.count, second.count))


def words(value: MeanInterval) -> str:
    """A number with its interval and the number of seeds, as far as it has them."""
    if value.low == value.high:
        return f"{value.mean:.4g}"
    return f"{interval(value, 3, 'g')}, n = {value.count}"
