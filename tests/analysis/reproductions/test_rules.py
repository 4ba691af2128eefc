"""Each kind of rule on made-up measurements, with each of the four answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.claims.verdicts import Agreement
from analysis.reproductions.observations import COLUMNS
from analysis.reproductions.rules import judge, together
from tests.helpers.trials import reproduction

AGREES, DIRECTION, DISAGREES, UNTOLD = Agreement
HIGH, MIDDLE, LOW = (0.95, 0.96, 0.97), (0.6, 0.9, 0.75), (0.1, 0.11, 0.12)


def observed(values: dict[tuple[str, float], Sequence[float]], ended: str = "converged") -> pd.DataFrame:
    """A value for each seed, by line and place."""
    rows = [(line, x, seed, y, ended) for (line, x), of_seeds in values.items() for seed, y in enumerate(of_seeds)]
    return pd.DataFrame(rows, columns=COLUMNS)


def answer(folder: Path, claim: dict[str, Any], table: pd.DataFrame, **changes: Any) -> tuple[Agreement, str]:
    [judged] = judge(reproduction(folder, claims=[{"says": "It is so.", **claim}], **changes), table)
    return judged.answer, judged.measured


@pytest.mark.parametrize(
    ("attention", "fixed", "expected"),
    [
        (HIGH, LOW, AGREES),
        ((0.8, 0.9, 0.85), (0.7, 0.9, 0.8), DIRECTION),
        (LOW, HIGH, DISAGREES),
        ((0.7, 0.9, 0.8), (0.8, 0.9, 0.85), UNTOLD),
    ],
)
def test_an_order(attention: Sequence[float], fixed: Sequence[float], expected: Agreement, tmp_path: Path) -> None:
    table = observed({("attention", 10): attention, ("fixed", 10): fixed})
    assert answer(tmp_path, {"order": ["attention at 10", "fixed at 10"]}, table)[0] == expected


def test_an_order_is_contradicted_by_two_that_are_not_next_to_each_other(tmp_path: Path) -> None:
    table = observed({("attention", 10): LOW, ("fixed", 10): (0.2, 0.9, 0.5), ("fixed", 20): HIGH})
    claim = {"order": ["attention at 10", "fixed at 10", "fixed at 20"]}
    assert answer(tmp_path, claim, table)[0] == DISAGREES


@pytest.mark.parametrize(
    ("values", "expected"),
    [(HIGH, AGREES), ((0.8, 1.0, 0.95), DIRECTION), ((0.7, 0.71, 0.72), DIRECTION), (LOW, DISAGREES),
     (MIDDLE, UNTOLD)],
)  # fmt: skip
def test_a_number_between_bounds_and_above_chance(values: Sequence[float], expected: Agreement, tmp_path: Path) -> None:
    claim = {"number": "attention at 10", "between": [0.9, 1.0], "neutral": 0.5}
    assert answer(tmp_path, claim, observed({("attention", 10): values}))[0] == expected


@pytest.mark.parametrize(
    ("first", "expected"),
    [((1.99, 2.0, 2.01), AGREES), ((1.6, 2.0, 2.4), DIRECTION), ((3.0, 3.01, 3.02), DIRECTION),
     ((0.9, 0.91, 0.92), DISAGREES), ((1.0, 1.7, 2.4), UNTOLD)],
)  # fmt: skip
def test_a_ratio(first: Sequence[float], expected: Agreement, tmp_path: Path) -> None:
    table = observed({("fixed", 20): first, ("fixed", 10): (1.0, 1.0, 1.0)})
    claim = {"ratio": ["fixed at 20", "fixed at 10"], "between": [1.8, 2.2], "neutral": 1}
    assert answer(tmp_path, claim, table)[0] == expected


@pytest.mark.parametrize(
    ("at_20", "between", "expected"),
    [
        ((0.1, 0.12, 0.11), [10, 20], AGREES),
        ((0.1, 0.12, 0.11), [30, 40], DIRECTION),
        ((0.1, 0.12, 0.11), [30, None], DISAGREES),
        ((0.9, 0.9, 0.9), [5, 15], DISAGREES),
        ((0.9, 0.9, 0.9), [15, None], AGREES),
        ((0.9, 0.9, 0.9), [30, 40], UNTOLD),
        ((0.9, 0.1, 0.1), [10, 20], UNTOLD),
    ],
)
def test_a_crossing(at_20: Sequence[float], between: list, expected: Agreement, tmp_path: Path) -> None:
    table = observed({("fixed", 10): (1.0, 1.0, 1.0), ("fixed", 20): at_20})
    assert answer(tmp_path, {"crossing": "fixed", "level": 0.5, "between": between}, table)[0] == expected


def test_a_span_is_the_mean_of_each_seed_over_its_lengths(tmp_path: Path) -> None:
    table = observed({("attention", 20): (0.8, 0.9), ("attention", 40): (0.6, 0.5), ("attention", 10): (0, 0)})
    claim = {"number": "attention over 20-40", "between": [0.69, 0.71]}
    assert answer(tmp_path, claim, table) == (AGREES, "attention over 20-40: 0.7")


@pytest.mark.parametrize(
    ("values", "ended", "reason"),
    [({}, "converged", "not measured"), ({("fixed", 10): [0.5]}, "converged", "one seed"),
     ({("fixed", 10): HIGH}, "budget", "3 of 3 trials not converged")],
)  # fmt: skip
def test_what_cannot_be_told_says_why(values: dict, ended: str, reason: str, tmp_path: Path) -> None:
    claim = {"number": "fixed at 10", "between": [0, 1]}
    assert answer(tmp_path, claim, observed(values, ended)) == (UNTOLD, f"fixed at 10: {reason}")


def test_trials_that_used_up_their_steps_count_where_the_paper_trains_so(tmp_path: Path) -> None:
    table = observed({("fixed", 10): HIGH}, "budget")
    assert answer(tmp_path, {"number": "fixed at 10", "between": [0.9, 1]}, table, steps="fixed")[0] == AGREES


def test_the_best_of_several_seeds_is_judged_where_the_paper_reports_it(tmp_path: Path) -> None:
    table = observed({("fixed", 10): (0.5, 0.5, 1.0)})
    claim = {"number": "fixed at 10", "between": [0.9, 1]}
    assert answer(tmp_path, claim, table)[0] == UNTOLD
    assert answer(tmp_path, claim, table, seeds="best") == (AGREES, "fixed at 10: 1")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([AGREES, AGREES], AGREES), ([AGREES, DIRECTION], DIRECTION), ([DIRECTION, UNTOLD], UNTOLD),
     ([UNTOLD, DISAGREES], DISAGREES)],
)  # fmt: skip
def test_all_claims_together(answers: list[Agreement], expected: Agreement) -> None:
    assert together(answers) == expected
