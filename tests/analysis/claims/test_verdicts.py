"""Each rule turns made-up numbers of every kind into the verdict that it promises."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.claims.bottleneck import NO_BOTTLENECK, bottleneck_answer, bottleneck_verdict, changes, degrades
from analysis.claims.gradients import gradient_verdict
from analysis.claims.parallelism import parallelism_verdict
from analysis.claims.verdicts import Answer, Part, across, together
from analysis.report.sections.claims import RULES
from analysis.statistics.comparisons import comparisons
from analysis.statistics.gradient_fits import fits
from analysis.statistics.intervals import MeanInterval
from analysis.statistics.pairs import accuracy_pairs
from analysis.statistics.summaries import TaskSetting
from analysis.tables.architectures import Architectures
from analysis.tables.schema import FAILURES
from analysis.tables.trial_folders import load_runs
from data.tasks import IN_WORDS, TASKS, generate
from tests.helpers.analysis_tables import accuracies, write_text_sweep
from tests.helpers.gradient_tables import exponential, flat, seeds_of, table_of
from tests.helpers.report_folders import timings

HOLDS, IN_PART, FAILS, UNTOLD = Answer
BUILT_IN = Architectures()
NO_FAILURES = pd.DataFrame(columns=FAILURES.names)
LOSES, KEEPS = {10: 0.99, 80: 0.3}, {10: 0.99, 80: 0.99}


COPY = TaskSetting("copy", 32, 0)


def bottleneck(results, failures=NO_FAILURES):
    return bottleneck_verdict(results, failures, [], BUILT_IN)


HIGH, LOW = MeanInterval(0.99, 0.98, 1.0, 3), MeanInterval(0.3, 0.2, 0.4, 3)


@pytest.mark.parametrize(
    ("shortest", "longest", "answer", "reason"),
    [
        (HIGH, LOW, Answer.HOLDS, ""),
        (HIGH, HIGH, Answer.FAILS, ""),
        (HIGH, MeanInterval(0.96, 0.951, 0.97, 3), Answer.FAILS, ""),
        (HIGH, MeanInterval(0.96, 0.949, 0.971, 3), Answer.HOLDS, ""),
        (LOW, MeanInterval(0.25, 0.15, 0.35, 3), Answer.UNTOLD, "the intervals overlap"),
        (HIGH, MeanInterval(0.3, 0.0, 1.0, 2), Answer.UNTOLD, "the intervals overlap"),
        (HIGH, MeanInterval(0.3, math.nan, math.nan, 1), Answer.UNTOLD, "one seed"),
        (MeanInterval(1.0, math.nan, math.nan, 1), LOW, Answer.UNTOLD, "one seed"),
        (HIGH, None, Answer.UNTOLD, "no complete trial at the greatest length"),
        (None, HIGH, Answer.UNTOLD, "no complete trial at the shortest length"),
    ],
)
def test_whether_accuracy_degrades_follows_the_intervals(shortest, longest, answer, reason):
    assert degrades(shortest, longest) == (answer, reason)


def test_the_bottleneck_holds_where_fixed_contexts_lose_and_attention_keeps():
    verdict = bottleneck(accuracies({"LSTM": LOSES, "GRU": LOSES, "Bahdanau": KEEPS, "Transformer": KEEPS}))
    assert verdict.answer == HOLDS
    [finding] = verdict.findings
    assert [part.answer for part in finding.parts] == [HOLDS, HOLDS, HOLDS]
    assert "LSTM 0.300 [0.295, 0.305], n = 3: degrades" in finding.parts[0].measured


def test_the_bottleneck_does_not_hold_where_fixed_contexts_keep_their_accuracy():
    assert bottleneck(accuracies({"LSTM": KEEPS, "Bahdanau": KEEPS})).answer == FAILS


@pytest.mark.parametrize(
    "curves",
    [
        {"LSTM": LOSES, "Bahdanau": {10: 0.99, 80: 0.6}},
        {"LSTM": LOSES, "GRU": KEEPS, "Bahdanau": KEEPS},
        {"LSTM": LOSES, "Bahdanau": KEEPS, "LuongLocal": LOSES},
    ],
    ids=["attention loses less", "one fixed context keeps it", "one attention loses it"],
)
def test_the_bottleneck_holds_in_part_where_architectures_of_a_kind_differ_or_attention_loses_less(curves):
    assert bottleneck(accuracies(curves)).answer == IN_PART


@pytest.mark.parametrize("accuracy", [0.3, 0.05], ids=["as much", "more"])
def test_the_bottleneck_does_not_hold_where_attention_loses_as_much_or_more(accuracy):
    assert bottleneck(accuracies({"LSTM": LOSES, "Bahdanau": {10: 0.99, 80: accuracy}})).answer == FAILS


def test_the_bottleneck_holds_in_part_where_some_attention_never_learnt_the_task():
    never = {10: 0.03, 80: 0.03}
    [finding] = bottleneck(accuracies({"LSTM": LOSES, "Bahdanau": KEEPS, "Transformer": never})).findings
    assert [part.answer for part in finding.parts] == [HOLDS, HOLDS, IN_PART]
    assert finding.answer == IN_PART


def test_the_bottleneck_holds_in_part_where_attention_is_surely_ahead_though_nothing_else_is_sure():
    curves = {"LSTM": {10: 0.3, 80: 0.3}, "Bahdanau": {10: 0.9, 80: 0.9}}
    [finding] = bottleneck(accuracies(curves)).findings
    assert [part.answer for part in finding.parts] == [UNTOLD, UNTOLD, HOLDS]
    assert finding.answer == IN_PART


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_too_few_seeds_tell_nothing_about_the_bottleneck(seeds):
    wide = accuracies({"LSTM": {10: 0.8, 80: 0.3}, "Bahdanau": {10: 0.9, 80: 0.9}}, seeds, spread=0.3)
    assert bottleneck(wide).answer == UNTOLD


def test_one_length_or_one_kind_tells_nothing_about_the_bottleneck():
    [finding] = bottleneck(accuracies({"LSTM": {80: 0.3}, "Bahdanau": {80: 0.99}})).findings
    assert finding.answer == UNTOLD and "one length only, 80 tokens" in finding.parts[0].measured
    assert bottleneck(accuracies({"LSTM": LOSES, "GRU": LOSES})).answer == UNTOLD


@pytest.mark.parametrize("task", NO_BOTTLENECK)
def test_a_task_is_no_test_of_the_bottleneck_where_its_answer_hardly_grows(task):
    if task in IN_WORDS:  # one word of the target is scored
        assert TASKS[task].outputs == "one" or TASKS[task].answers
    else:
        short, long = (generate(task, 32, length, length, 50, 0, "train").target_bits for length in (10, 40))
        assert short is not None and long is not None and long.mean() < 2 * short.mean()
    assert bottleneck(accuracies({"LSTM": LOSES, "Bahdanau": KEEPS}, task=task)).findings == ()


def test_trials_that_diverged_are_counted_beside_the_mean():
    lost = [("x", "diverged", "loss is nan", 9, "LSTM", "copy", 80, seed) for seed in (7, 8)]
    lost.append(("y", "failed", "no memory", 0, "GRU", "copy", 80, 7))
    failures = pd.DataFrame(lost, columns=FAILURES.names)
    results = accuracies({"LSTM": LOSES, "GRU": {10: 0.99}, "Bahdanau": KEEPS})
    measured = bottleneck(results, failures).findings[0].parts[0].measured
    assert "LSTM 0.300 [0.295, 0.305], n = 3, 2 diverged: degrades" in measured
    assert "GRU 1 failed: cannot be told: no complete trial at the greatest length" in measured


def test_architectures_of_no_known_kind_decide_nothing():
    with_newcomer = accuracies({"LSTM": LOSES, "Bahdanau": KEEPS, "Newcomer": LOSES})
    assert bottleneck(with_newcomer).answer == HOLDS


@pytest.mark.parametrize(
    ("fixed", "attention", "ahead", "answer"),
    [
        (HOLDS, HOLDS, UNTOLD, HOLDS), (FAILS, HOLDS, HOLDS, FAILS), (HOLDS, FAILS, UNTOLD, FAILS),
        (HOLDS, FAILS, FAILS, FAILS), (HOLDS, FAILS, IN_PART, IN_PART), (HOLDS, FAILS, HOLDS, IN_PART),
        (IN_PART, HOLDS, UNTOLD, IN_PART), (HOLDS, UNTOLD, UNTOLD, UNTOLD), (HOLDS, UNTOLD, HOLDS, IN_PART),
        (UNTOLD, UNTOLD, FAILS, UNTOLD),
    ],
)  # fmt: skip
def test_the_parts_of_the_bottleneck_are_put_together_as_the_rule_says(fixed, attention, ahead, answer):
    assert bottleneck_answer(fixed, attention, ahead) == answer


def test_pairs_are_corrected_for_their_number_by_holm():
    pairs = accuracy_pairs(accuracies({"LSTM": LOSES, "GRU": LOSES, "Bahdanau": KEEPS}, spread=0.2), COPY, BUILT_IN)
    assert [(pair.attention, pair.fixed) for pair in pairs] == [("Bahdanau", "LSTM"), ("Bahdanau", "GRU")]
    assert [pair.corrected for pair in pairs] == pytest.approx([2 * pairs[0].p_value, 2 * pairs[0].p_value])
    assert pairs[0].difference.mean == pytest.approx(0.69) and pairs[0].difference.count == 3


def test_seeds_without_any_spread_give_no_p_value_to_rely_on():
    [pair] = accuracy_pairs(accuracies({"LSTM": LOSES, "Bahdanau": KEEPS}, spread=0), COPY, BUILT_IN)
    assert pair.p_value == 1 and np.isnan(pair.difference.low)


def test_text_counts_as_a_setting_of_the_bottleneck(tmp_path):
    runs = load_runs([write_text_sweep(tmp_path, ("GRU", "Bahdanau"), (50,))])
    verdict = bottleneck_verdict(runs.results, runs.failures, comparisons(runs), runs.architectures)
    [finding] = verdict.findings
    assert finding.where.startswith("multi30k, vocabulary 8000, de to en") and verdict.answer == IN_PART
    assert "n = 3 a model" in finding.parts[0].measured


DECAYS = {"VanillaRNN": (0.5, 0.51, 0.52), "LSTM": (0.7, 0.71, 0.72), "GRU": (0.8, 0.81, 0.82)}


EVEN = (flat(), flat(), flat())


def gradients_of(decays=DECAYS, attention=EVEN):
    curves = [seeds_of(arch, [exponential(decay) for decay in of_seeds]) for arch, of_seeds in decays.items()]
    return fits(table_of(*curves, seeds_of("Bahdanau", attention)), BUILT_IN)


def test_vanishing_gradients_hold_where_every_sentence_agrees():
    verdict = gradient_verdict(gradients_of(), BUILT_IN)
    assert verdict.answer == HOLDS
    [finding] = verdict.findings
    assert [part.answer for part in finding.parts] == [HOLDS] * 5
    assert finding.where == "first-token-recall, length 30, at initialisation, n = 3 seeds"


def test_vanishing_gradients_hold_in_part_where_attention_decays_as_well():
    attention = [exponential(decay) for decay in (0.9, 0.91, 0.92)]
    assert gradient_verdict(gradients_of(attention=attention), BUILT_IN).answer == IN_PART


def cliff():
    """Norms that fall to next to nothing after one step: no exponential, and no path along attention either."""
    return [0.1, *[1e-10] * 29]


def test_vanishing_gradients_hold_in_part_where_attention_falls_off_a_cliff():
    [finding] = gradient_verdict(gradients_of(attention=(cliff(), cliff(), cliff())), BUILT_IN).findings
    assert [part.answer for part in finding.parts] == [HOLDS, HOLDS, HOLDS, HOLDS, FAILS]
    assert finding.answer == IN_PART and "Bahdanau attention 1e-09 [1e-09, 1e-09]" in finding.parts[-1].measured


def test_local_attention_is_not_judged_by_what_is_left_outside_its_window():
    curves = [seeds_of(arch, [exponential(decay) for decay in of_seeds]) for arch, of_seeds in DECAYS.items()]
    local = seeds_of("LuongLocal", [cliff()] * 3)
    [finding] = gradient_verdict(
        fits(table_of(*curves, seeds_of("Bahdanau", EVEN), local), BUILT_IN), BUILT_IN
    ).findings
    assert finding.parts[-1].answer == HOLDS
    assert "Luong local 1e-09 [1e-09, 1e-09] (has a window, not judged)" in finding.parts[-1].measured


def test_vanishing_gradients_do_not_hold_where_no_sentence_agrees():
    decays = {"VanillaRNN": (1.1, 1.11, 1.12), "LSTM": (0.7, 0.71, 0.72), "GRU": (0.8, 0.81, 0.82)}
    attention = [exponential(decay) for decay in (0.6, 0.61, 0.62)]
    assert gradient_verdict(gradients_of(decays, attention), BUILT_IN).answer == FAILS


def test_vanishing_gradients_cannot_be_told_from_one_seed_or_from_nothing():
    one = {arch: of_seeds[:1] for arch, of_seeds in DECAYS.items()}
    assert gradient_verdict(gradients_of(one, [flat()]), BUILT_IN).answer == UNTOLD
    assert gradient_verdict([], BUILT_IN).findings == ()


def test_parallelism_holds_where_counts_and_clock_agree():
    verdict = parallelism_verdict(timings(), BUILT_IN)
    assert verdict.answer == HOLDS
    assert "LSTM 14 n + 40" in verdict.findings[0].parts[0].measured
    assert "n ≥ 5 steps" in verdict.findings[1].parts[0].measured


def test_parallelism_holds_in_part_where_the_clock_disagrees():
    verdict = parallelism_verdict(timings(transformer_time=5.0), BUILT_IN)
    assert [finding.answer for finding in verdict.findings] == [HOLDS, FAILS]
    assert verdict.answer == IN_PART


def test_the_clock_is_in_part_where_the_transformer_beats_only_some():
    assert parallelism_verdict(timings(transformer_time=1.13), BUILT_IN).findings[1].answer == IN_PART


def test_parallelism_does_not_hold_where_the_count_of_the_transformer_grows_and_that_of_the_others_does_not():
    counted: pd.DataFrame = timings()
    counted = counted[counted["metric"] == "sequential_depth"].reset_index(drop=True)
    grows = counted["arch"] == "Transformer"
    counted["median"] = counted["length"].where(grows, 60)
    assert parallelism_verdict(counted, BUILT_IN).answer == FAILS


@pytest.mark.parametrize(("rise", "answer"), [(6, HOLDS), (0, FAILS)])
def test_a_linear_recurrence_is_judged_by_what_a_doubling_adds_where_one_was_counted(rise, answer):
    counted: pd.DataFrame = timings()
    counted = counted[counted["metric"] == "sequential_depth"]
    assert len(parallelism_verdict(counted, BUILT_IN).findings[0].parts) == 2
    linear = counted[counted["arch"] == "GRU"].assign(arch="MinGRU")
    linear["median"] = [50 + rise * doublings for doublings in range(len(linear))]
    part = parallelism_verdict(pd.concat([counted, linear]), BUILT_IN).findings[0].parts[2]
    assert part.answer == answer
    assert part.measured == ("MinGRU 6 log₂ n + 32" if rise else "MinGRU 50")


def test_what_was_timed_and_not_counted_is_no_count():
    timed: pd.DataFrame = timings()
    clock = timed[(timed["arch"] == "GRU") & (timed["metric"] == "step_seconds")]
    more = pd.concat([timed, *(clock.assign(arch=arch) for arch in ("MinGRU", "DecoderOnly"))])
    counted = parallelism_verdict(more, BUILT_IN).findings[0]
    assert counted.answer == HOLDS and len(counted.parts) == 2
    assert "Decoder-only" not in counted.parts[1].measured


def test_the_transformer_on_the_clock_is_the_encoder_decoder():
    timed: pd.DataFrame = timings()
    slow = timed[(timed["arch"] == "Transformer") & (timed["metric"] == "step_seconds")].assign(arch="DecoderOnly")
    for column in ("median", "lower", "upper"):
        slow[column] *= 100
    finding = parallelism_verdict(pd.concat([slow, timed]), BUILT_IN).findings[1]
    assert finding.answer == HOLDS and "Transformer" in finding.parts[0].measured


def test_one_length_tells_nothing_about_how_counts_grow():
    counted: pd.DataFrame = timings()
    one = counted[(counted["metric"] == "sequential_depth") & (counted["length"] == 8)]
    verdict = parallelism_verdict(one, BUILT_IN)
    assert verdict.answer == UNTOLD and "Transformer 40 at 8" in verdict.findings[0].parts[1].measured


def test_the_clock_is_read_where_all_were_timed():
    timed: pd.DataFrame = timings()
    short_of = (timed["arch"] == "GRU") & (timed["length"] == 64)
    assert "32 tokens" in parallelism_verdict(timed[~short_of], BUILT_IN).findings[1].parts[0].statement


def test_too_few_repeats_leave_the_clock_untold():
    assert parallelism_verdict(timings().assign(repeats=2), BUILT_IN).findings[1].answer == UNTOLD
    assert parallelism_verdict(timings(["GRU", "LSTM"]), BUILT_IN).answer == UNTOLD


def part(answer):
    return Part("", answer, "")


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        ([HOLDS, HOLDS], HOLDS), ([FAILS, FAILS], FAILS), ([HOLDS, FAILS], IN_PART), ([HOLDS, UNTOLD], UNTOLD),
        ([FAILS, UNTOLD], UNTOLD), ([HOLDS, FAILS, UNTOLD], IN_PART), ([IN_PART, UNTOLD], IN_PART), ([], UNTOLD),
    ],
)  # fmt: skip
def test_parts_of_a_claim_are_put_together(answers, answer):
    assert together(map(part, answers)) == answer


@pytest.mark.parametrize(
    ("answers", "answer"),
    [([HOLDS, UNTOLD], HOLDS), ([FAILS], FAILS), ([HOLDS, FAILS], IN_PART), ([UNTOLD], UNTOLD), ([], UNTOLD)],
)
def test_settings_that_could_be_told_decide(answers, answer):
    assert across(answers) == answer


def test_rules_name_every_answer():
    assert all(any(f"*{answer}*" in rule for rule in RULES) for answer in (HOLDS, IN_PART, FAILS, UNTOLD))


def test_a_trial_that_used_up_its_budget_moves_no_verdict_on_the_bottleneck():
    good = accuracies({"LSTM": LOSES, "GRU": LOSES, "Bahdanau": KEEPS, "LuongGlobal": KEEPS}, ended="converged")
    for crippled in ({"Transformer": LOSES}, {"VanillaRNN": KEEPS}):
        results = pd.concat([good, accuracies(crippled, ended="budget")])
        assert bottleneck(results).answer == HOLDS == bottleneck(good).answer
        [change] = [change for change in changes(results, COPY, BUILT_IN)[2] if change.arch in crippled]
        assert (change.degrades, change.reason, change.converged) == (UNTOLD, "not converged", False)
        assert not any(arch in (pair.attention, pair.fixed) for pair in accuracy_pairs(results, COPY, BUILT_IN)
                       for arch in crippled)  # fmt: skip


def test_one_model_for_all_lengths_up_to_a_limit_is_judged_within_it_and_each_limit_is_a_setting():
    within, beyond = {10: 0.99, 40: 0.99}, {80: 0.1}
    curves = {"LSTM": {10: 0.99, 40: 0.3, 80: 0.1}, "GRU": {10: 0.99, 40: 0.2, 80: 0.1}, "Bahdanau": within | beyond}
    results = pd.concat([accuracies(curves, limit=40), accuracies(curves, limit=80)])
    by_limit = {finding.where: finding.answer for finding in bottleneck(results).findings}
    assert by_limit == {
        "copy, vocabulary 32, trained up to 40": HOLDS, "copy, vocabulary 32, trained up to 80": FAILS,
    }  # fmt: skip
