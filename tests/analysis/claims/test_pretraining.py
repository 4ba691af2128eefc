"""The rule of pre-training on made-up tables: it pays up to a number of labels, does not, cannot be told."""

import pandas as pd
import pytest

from analysis.claims.pretraining import pretraining_verdict
from analysis.claims.verdicts import Answer
from analysis.figures.length.pretraining import pretraining_figure
from analysis.statistics.label_curves import label_curves
from analysis.tables.architectures import Architectures

HOLDS, IN_PART, FAILS, UNTOLD = Answer
FEW, SOME, MANY = 30, 100, 300
SCRATCH = {FEW: 0.5, SOME: 0.6, MANY: 0.9}
NOISE = {0: -0.01, 1: 0.0, 2: 0.01}  # over seeds, in the gain


def tables(
    pretrained: dict[int, float], seeds: tuple[int, ...] = (0, 1, 2), ended: str = "converged", noise: float = 1.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results and trials of a model from scratch and from masked sentences, whose gains differ over seeds."""
    results, trials = [], []
    for begun, curve in ((None, SCRATCH), ("masked", pretrained)):
        for examples, accuracy in curve.items():
            for seed in seeds:
                name = f"{begun}-{examples}-{seed}"
                trial = {
                    "trial": name, "arch": f"GRU [init_from={begun}, train_examples={examples}]", "task": "negation",
                    "vocabulary": 91, "train_length": 12, "min_train_length": 6, "seed": seed, "ended": ended,
                }  # fmt: skip
                trials.append({**trial, "train_examples": examples, "init_from": begun})
                value = accuracy + seed * 0.1 + (noise * NOISE[seed] if begun else 0)
                tested = {"split": "test", "eval_length": 12, "bucket": "", "metric": "greedy_token_accuracy"}
                results.append({**trial, **tested, "value": value})
    return pd.DataFrame(results), pd.DataFrame(trials)


def verdict(pretrained: dict[int, float], **options):
    return pretraining_verdict(*tables(pretrained, **options), Architectures())


@pytest.mark.parametrize(
    ("pretrained", "answer", "words"),
    [
        ({FEW: 0.7, SOME: 0.8, MANY: 0.9}, HOLDS, "pre-training pays up to 100 labelled examples"),
        ({FEW: 0.7, SOME: 0.8, MANY: 1.0}, HOLDS, "pre-training pays up to at least 300 labelled examples"),
        ({FEW: 0.5, SOME: 0.8, MANY: 0.9}, IN_PART, "up to 100 labelled examples, not at all smaller numbers"),
        ({FEW: 0.5, SOME: 0.6, MANY: 0.9}, FAILS, "pre-training does not pay"),
        ({FEW: 0.4, SOME: 0.5, MANY: 0.9}, FAILS, "pre-training does not pay"),
    ],
)
def test_it_pays_up_to_the_greatest_number_at_which_the_gain_is_above_nothing(
    pretrained: dict[int, float], answer: Answer, words: str
) -> None:
    [finding] = verdict(pretrained).findings
    assert finding.answer == answer and finding.where.endswith(words)
    assert finding.where.startswith("negation, vocabulary 91, up to 12, GRU, masked: ")


def test_the_spread_over_seeds_of_both_does_not_hide_a_gain_that_all_seeds_have() -> None:
    [finding] = verdict({FEW: 0.54, SOME: 0.6, MANY: 0.9}).findings
    assert [part.answer for part in finding.parts] == [HOLDS, FAILS, FAILS]
    assert finding.parts[0].measured == "+0.040 [+0.015, +0.065], n = 3"


@pytest.mark.parametrize(
    "options", [{"seeds": (0, 1)}, {"seeds": (0,)}, {"noise": 20.0}], ids=["two seeds", "one", "gains that differ"]
)
def test_too_few_seeds_and_too_wide_intervals_cannot_be_told(options: dict) -> None:
    [finding] = verdict({FEW: 0.7, SOME: 0.8, MANY: 0.9}, **options).findings
    assert finding.answer == UNTOLD and finding.where.endswith("whether pre-training pays cannot be told")


def test_trials_that_used_up_their_budget_tell_nothing() -> None:
    assert verdict({FEW: 0.7, SOME: 0.8, MANY: 0.9}, ended="budget").answer == UNTOLD


def test_trials_of_one_number_of_examples_or_without_pretraining_are_no_curve() -> None:
    results, trials = tables({FEW: 0.7, SOME: 0.8, MANY: 0.9})
    for kept in (trials["train_examples"] == FEW, trials["init_from"].isna(), trials["init_from"].notna()):
        assert label_curves(results, trials[kept]).empty
        assert pretraining_verdict(results, trials[kept], Architectures()).findings == ()
        assert pretraining_figure(results, trials[kept], Architectures()) is None


def test_the_figure_shows_a_point_for_each_number_with_its_interval() -> None:
    chart = pretraining_figure(*tables({FEW: 0.7, SOME: 0.8, MANY: 0.9}), Architectures())
    assert chart is not None
    points = chart.points.set_index(["init_from", "train_examples"])
    assert len(points) == 6 and set(points["seeds"]) == {3}
    low, mean, high = (float(points[name]["masked", FEW]) for name in ("low", "mean", "high"))
    assert low < mean < high and mean == pytest.approx(0.8)
