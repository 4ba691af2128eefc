"""The rule of length generalisation on made-up curves: it holds, does not hold, holds in part, cannot be told."""

import numpy as np
import pandas as pd
import pytest

from analysis.claims.generalisation import generalisation_verdict
from analysis.claims.verdicts import Answer
from analysis.statistics.length_fits import effective_lengths
from analysis.statistics.summaries import TaskSetting
from analysis.tables.architectures import Architectures
from tests.helpers.analysis_tables import accuracies

HOLDS, IN_PART, FAILS, UNTOLD = Answer
LIMIT = 40
KEEPS = {5: 1.0, 20: 1.0, 40: 1.0, 60: 0.99, 80: 0.98}
SLOWLY = {5: 1.0, 20: 1.0, 40: 1.0, 60: 0.95, 80: 0.4}
AT_ONCE = {5: 1.0, 20: 1.0, 40: 1.0, 60: 0.2, 80: 0.1}
NEVER_LEARNT = {5: 0.1, 20: 0.1, 40: 0.1, 60: 0.1, 80: 0.1}
LOST_WITHIN = {5: 1.0, 20: 0.6, 40: 0.3, 60: 0.2, 80: 0.1}
BUILT_IN = Architectures()


def curves_of(curves: dict[str, dict[int, float]], **options) -> pd.DataFrame:
    return accuracies(curves, **{"limit": LIMIT, **options})


def answer(curves: dict[str, dict[int, float]], **options) -> Answer:
    return generalisation_verdict(curves_of(curves, **options), BUILT_IN).answer


def test_it_holds_where_nothing_carries_and_architectures_differ() -> None:
    assert answer({"LuongGlobal": SLOWLY, "Transformer": AT_ONCE}) == HOLDS


def test_it_does_not_hold_where_everything_carries() -> None:
    assert answer({"LuongGlobal": KEEPS, "Transformer": KEEPS}) == FAILS
    assert answer({"LuongGlobal": KEEPS}) == FAILS


def test_it_holds_in_part_where_some_carry_and_some_do_not() -> None:
    assert answer({"LuongGlobal": KEEPS, "Transformer": AT_ONCE}) == IN_PART


def test_it_cannot_be_told_whether_equal_architectures_differ() -> None:
    assert answer({"LuongGlobal": AT_ONCE, "Transformer": AT_ONCE}) == UNTOLD


def test_one_seed_tells_nothing() -> None:
    assert answer({"LuongGlobal": SLOWLY, "Transformer": AT_ONCE}, seeds=(0,)) == UNTOLD


@pytest.mark.parametrize("unfit", [NEVER_LEARNT, LOST_WITHIN])
def test_an_architecture_that_did_not_learn_its_lengths_is_not_judged(unfit: dict[int, float]) -> None:
    curves = {"LuongGlobal": SLOWLY, "Transformer": AT_ONCE}
    assert answer({**curves, "LSTM": unfit}) == HOLDS
    assert answer({"LSTM": unfit}) == UNTOLD
    [finding] = generalisation_verdict(curves_of({**curves, "LSTM": unfit}), BUILT_IN).findings
    assert "not judged: LSTM (" in finding.parts[0].measured


def test_a_trial_that_used_up_its_budget_moves_no_verdict() -> None:
    good = curves_of({"LuongGlobal": SLOWLY, "Transformer": AT_ONCE}, ended="converged")
    crippled = curves_of({"Bahdanau": KEEPS}, ended="budget")
    verdict = generalisation_verdict(pd.concat([good, crippled]), BUILT_IN)
    assert verdict.answer == HOLDS
    assert "not judged: Bahdanau attention (not converged)" in verdict.findings[0].parts[0].measured


def test_models_for_one_length_each_say_nothing_of_it() -> None:
    assert generalisation_verdict(accuracies({"LSTM": KEEPS}), BUILT_IN).findings == ()


def test_models_not_tested_beyond_their_limit_say_nothing_of_it() -> None:
    assert generalisation_verdict(curves_of({"LSTM": KEEPS}, limit=80), BUILT_IN).findings == ()


def test_each_limit_is_a_setting() -> None:
    results = pd.concat([curves_of({"LSTM": KEEPS}), curves_of({"LSTM": AT_ONCE}, limit=20)])
    settings = [effective.setting for effective in effective_lengths(results, BUILT_IN)]
    assert settings == [TaskSetting("copy", 32, 20), TaskSetting("copy", 32, 40)]
    assert [finding.where for finding in generalisation_verdict(results, BUILT_IN).findings] == [
        "copy, vocabulary 32, trained up to 20", "copy, vocabulary 32, trained up to 40",
    ]  # fmt: skip


@pytest.mark.parametrize(("task", "unit"), [("copy", "tokens"), ("negation", "words")])
def test_a_task_in_words_is_measured_in_words(task: str, unit: str) -> None:
    curves = curves_of({"LuongGlobal": SLOWLY, "Transformer": AT_ONCE}, task=task)
    [finding] = generalisation_verdict(curves, BUILT_IN).findings
    assert finding.parts[0].statement == f"What was learnt up to 40 {unit} is lost by 80; effective lengths in {unit}"


def test_the_effective_length_is_where_the_curve_falls_below_85_percent_of_its_start() -> None:
    curve = {5: 0.8, 20: 0.8, 40: 0.8, 80: 0.56}
    [effective] = effective_lengths(curves_of({"LSTM": curve}, spread=0.0), BUILT_IN)
    # 0.8 x 0.85 = 0.68, half of the way down from 0.8 to 0.56: half of a doubling beyond 40.
    assert effective.length and effective.at_shortest and effective.at_longest
    assert effective.length.mean == pytest.approx(40 * np.sqrt(2))
    assert (effective.at_shortest.mean, effective.at_longest.mean) == pytest.approx((0.8, 0.56))
    assert (effective.seeds, effective.kept, effective.unlearnt) == (3, 0, 0)
