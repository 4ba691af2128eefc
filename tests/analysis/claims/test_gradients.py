"""Sentences of textbooks on gradient flow, held against curves of known decay."""

import pytest

from analysis.claims.gradients import EXPONENTIAL, statements
from analysis.claims.verdicts import Answer
from analysis.statistics.gradient_fits import fits
from analysis.tables.architectures import Architectures
from tests.helpers.gradient_tables import RECURRENT, exponential, seeds_of, seven_architectures, table_of


@pytest.fixture(scope="module")
def table():
    return seven_architectures()


def textbooks(table):
    """The sentences of textbooks in their order, each with its answers in every setting; that on one line left out."""
    settings = statements(fits(table, Architectures()), Architectures()).values()
    return [part for parts in zip(*settings, strict=True) for part in parts if part.statement != EXPONENTIAL]


def answers(table):
    return [part.answer for part in textbooks(table)]


def test_textbooks_are_right_where_intervals_lie_apart(table):
    assert answers(table[table["phase"] == "initial"]) == [Answer.HOLDS] * 4


def test_textbooks_are_wrong_where_the_lstm_decays_faster_and_attention_exponentially():
    parts = textbooks(
        table_of(
            seeds_of("VanillaRNN", [exponential(decay) for decay in (0.7, 0.701)]),
            seeds_of("LSTM", [exponential(decay) for decay in (0.5, 0.501)]),
            seeds_of("GRU", [exponential(decay) for decay in (0.9, 0.901)]),
            seeds_of("Bahdanau", [exponential(decay) for decay in (0.9, 0.901)]),
        )
    )
    # Attention leaves more than the LSTM here and as much as the GRU.
    assert [part.answer for part in parts] == [Answer.FAILS] * 3 + [Answer.IN_PART]
    assert "faster are LSTM; decay per step Vanilla RNN 0.700 [" in parts[0].measured
    assert "0.500 [" in parts[1].measured
    assert "an exponential fits Bahdanau attention" in parts[2].measured


def test_textbooks_cannot_be_judged_from_one_seed_or_from_overlapping_intervals_or_without_the_architectures(table):
    assert answers(table[(table["seed"] == 0) & table["arch"].isin(RECURRENT)]) == [Answer.UNTOLD] * 8
    overlapping = [seeds_of(arch, [exponential(decay) for decay in (0.6, 0.8)]) for arch in RECURRENT]
    assert answers(table_of(*overlapping)) == [Answer.UNTOLD] * 4
    assert answers(table[table["arch"] == "VanillaRNN"]) == [Answer.UNTOLD] * 8
