"""Negation: the place of `not` decides, and nothing else does."""

import re

import numpy as np
import pytest
import torch

from data.batch import BOS, FIRST_TOKEN, Batch
from data.tasks import TASKS
from tests.helpers.languages import drawn
from tests.helpers.models import make

GOOD = ["satisfied", "happy", "calm", "proud", "grateful", "merry", "relieved", "confident"]
SENTENCE = re.compile(r"(\w+) did (not )?(\w+) (.*)but (she|he) was (not )?(\w+) \.")


def label(source: list[str]) -> str:
    match = SENTENCE.fullmatch(" ".join(source))
    assert match, source
    well = match[7] in GOOD
    return "positive" if well == (match[6] is None) else "negative"


def with_not_moved(source: list[str]) -> list[str]:
    """The same words with `not` in the other of its two places."""
    place, rest = source.index("not"), [word for word in source if word != "not"]
    moved = len(rest) - 2 if source[place - 1] == "did" else 2
    return [*rest[:moved], "not", *rest[moved:]]


def test_the_label_follows_from_the_last_clause() -> None:
    for source, target in drawn("negation", 6, 40):
        assert target == [label(source)]
        assert source.count("not") == 1


def test_the_distance_is_that_from_did_to_the_adjective() -> None:
    for distance in (*range(6, 11), 40):
        for source, _ in drawn("negation", distance, distance, 20):
            assert len(source) - 2 - source.index("did") == distance


def test_bags_of_words_do_not_tell() -> None:
    """Of every two sentences with the same words one is positive, and they are drawn equally often."""
    pairs = drawn("negation", 6, 20, count := 3000)
    answer = TASKS["negation"].target
    symbols = {word: symbol for symbol, word in enumerate(TASKS["negation"].words)}
    for source, target in pairs[:300]:
        other = with_not_moved(source)
        assert sorted(other) == sorted(source) and other != source
        asked = answer(np.array([[symbols[word] for word in other]]), np.array([0]), 0).symbols.tolist()
        assert TASKS["negation"].words[asked[0][0]] != target[0]
    for well in (True, False):
        labels = [target[0] for source, target in pairs if (source[-2] in GOOD) == well]
        assert labels.count("positive") / len(labels) == pytest.approx(0.5, abs=0.06)
    assert sum(source[2] == "not" for source, _ in pairs) / count == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("positions", ["none", "sinusoidal"])
def test_a_transformer_without_positions_cannot_tell_the_orders_apart(positions: str) -> None:
    symbols = {word: FIRST_TOKEN + symbol for symbol, word in enumerate(TASKS["negation"].words)}
    size = FIRST_TOKEN + len(symbols)
    options = {"positions": positions, "source_vocab_size": size, "target_vocab_size": size}
    model = make("Transformer", options)
    for source, _ in drawn("negation", 6, 20, 300)[:5]:
        rows = torch.tensor([[symbols[word] for word in words] for words in (source, with_not_moved(source))])
        begin = torch.full((2, 1), BOS)
        one, other = model(Batch(rows, torch.full((2,), len(source)), begin, begin)).logits.detach()
        assert torch.allclose(one, other, atol=1e-5) == (positions == "none")
