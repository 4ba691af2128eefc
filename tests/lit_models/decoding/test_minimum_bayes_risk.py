"""Minimum Bayes risk against the sum written out, with sacreBLEU's own sentence scores."""

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lit_models.decoding.minimum_bayes_risk import Utility, minimum_bayes_risk

METRICS = {"bleu": BLEU(effective_order=True), "chrf": CHRF()}
TEXTS = [
    "the cat sat on the mat",
    "a cat sat on the mat",
    "the dog stood on a rug",
    "the cat sat on the mat",
    "the cat sat",
    "cat",
    "",
]
utilities = pytest.mark.parametrize("utility", ["bleu", "chrf"])


@utilities
def test_expected_utility_is_the_mean_sentence_score_against_all_samples(utility: Utility) -> None:
    metric = METRICS[utility]
    winner, expected = minimum_bayes_risk(TEXTS, utility)
    written_out = [
        sum(metric.sentence_score(hypothesis, [sample]).score for sample in TEXTS) / len(TEXTS) for hypothesis in TEXTS
    ]
    assert expected == pytest.approx(written_out, abs=1e-9)
    assert winner == 0
    assert len(set(expected)) > 3


@utilities
def test_samples_drawn_more_often_weigh_more(utility: Utility) -> None:
    once = ["one two three four", "five six seven eight"]
    assert minimum_bayes_risk([*once, once[1]], utility)[0] == 1
    assert minimum_bayes_risk([*once, once[0]], utility)[0] == 0


@utilities
def test_the_first_of_equals_wins(utility: Utility) -> None:
    assert minimum_bayes_risk(["one two", "six ten"], utility)[0] == 0


@utilities
def test_the_consensus_wins_over_the_most_frequent_sample(utility: Utility) -> None:
    # Drawn once, but next to all others, which are far from one another.
    consensus = "one two three four five six seven eight nine ten"
    left, right = consensus.replace("one two", "x y"), consensus.replace("nine ten", "v w")
    far = "nothing of that is said at all"
    winner, _ = minimum_bayes_risk([far, far, left, left, right, right, consensus], utility)
    assert winner == 6


def test_equal_samples_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    original = BLEU.corpus_score

    def counted(self: BLEU, *arguments: object) -> object:
        scored.append(arguments)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(BLEU, "corpus_score", counted)
    _, expected = minimum_bayes_risk(["one two", "one two", "one three", "one two"], "bleu")
    assert len(scored) == 4  # two different texts, each against each
    assert expected[0] == expected[1] == expected[3]


def test_one_sample_wins() -> None:
    assert minimum_bayes_risk(["one two three four"], "chrf") == (0, [pytest.approx(100)])


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"decoding\.utility: 'ter' is unknown; choose bleu or chrf"):
        minimum_bayes_risk(["one"], "ter")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"decoding\.samples: .* at least 1 text"):
        minimum_bayes_risk([], "bleu")
