"""The share of BLEU kept on long sentences is judged by its intervals."""

import pytest

from analysis.claims.text_length import length_answer
from analysis.claims.verdicts import Answer
from analysis.statistics.intervals import MeanInterval


@pytest.mark.parametrize(
    ("attention", "fixed", "advantage", "answer", "reason"),
    [
        ((0.91, 1.0), (0.2, 0.4), (0.5, 0.8), Answer.HOLDS, ""),
        ((0.80, 1.0), (0.2, 0.4), (0.4, 0.8), Answer.IN_PART, "attention keeps more, but not surely 90%"),
        ((0.95, 1.1), (0.7, 0.95), (0.1, 0.3), Answer.IN_PART, "attention keeps more, but fixed contexts may keep 90% "
         "too"),
        ((0.95, 1.1), (0.92, 1.0), (0.01, 0.1), Answer.FAILS, ""),
        ((0.5, 0.6), (0.7, 0.8), (-0.3, -0.1), Answer.FAILS, ""),
        ((0.5, 0.8), (0.4, 0.7), (-0.1, 0.3), Answer.UNTOLD, "the interval of the difference holds 0"),
    ],
)  # fmt: skip
def test_the_answer_on_bleu_follows_the_intervals(attention, fixed, advantage, answer, reason):
    first, second, third = (MeanInterval((low + high) / 2, low, high, 3) for low, high in (attention, fixed, advantage))
    assert length_answer(first, second, third) == (answer, reason)
