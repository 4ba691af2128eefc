"""Every method of decoding gives its hypotheses best first, and all batches of a run draw from one generator."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from data.batch import PAD
from lit_models.decoding.decoder import Decoding, decode
from lit_models.decoding.search import Hypotheses
from tests.helpers.models import make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]


def words(tokens: list[int]) -> str:
    return " ".join(str(token) for token in tokens if token != PAD)


def decoded(decoding: Decoding, generator: torch.Generator, n_best: int, text_of: Callable = words) -> Hypotheses:
    model, batch = make("GRU"), random_batch(LENGTHS)
    limits = torch.full((len(LENGTHS),), 6)
    return decode(model, batch.source, batch.source_lengths, limits, decoding, generator, n_best, text_of)


@pytest.mark.parametrize(
    "options", [{"method": "beam"}, {"method": "sample"}, {"method": "mbr", "samples": 8}], ids=str
)
def test_hypotheses_come_best_first_with_their_own_scores(options: dict[str, Any]) -> None:
    decoding = Decoding(**options)
    best = decoded(decoding, decoding.generator(torch.device("cpu")), n_best=4)
    assert torch.equal(best.scores, best.scores.sort(dim=1, descending=True).values)
    assert (best.scores[:, 0] > best.scores[:, 3]).all()
    if decoding.method == "sample":
        assert torch.equal(best.scores, best.log_probabilities)


def test_samples_are_only_put_in_order() -> None:
    sampled = decoded(Decoding("sample"), Decoding().generator(torch.device("cpu")), n_best=4)
    utilities = decoded(Decoding("mbr", samples=4), Decoding().generator(torch.device("cpu")), n_best=4)
    for row, others in zip(sampled.tokens.tolist(), utilities.tokens.tolist(), strict=True):
        assert set(map(words, others)) - {""} == set(map(words, row)) - {""}


def test_minimum_bayes_risk_gives_each_text_once_and_padding_for_the_rest() -> None:
    decoding = Decoding("mbr", samples=6)
    best = decoded(
        decoding, decoding.generator(torch.device("cpu")), n_best=6, text_of=lambda tokens: words(tokens[:1])
    )
    assert not best.tokens[best.scores.isneginf()].any()
    for tokens, scores in zip(best.tokens.tolist(), best.scores.tolist(), strict=True):
        kept = [words(ids[:1]) for ids, score in zip(tokens, scores, strict=True) if score > -torch.inf]
        assert 1 <= len(set(kept)) == len(kept) < 6


def test_the_next_batch_draws_on_where_the_last_one_ended() -> None:
    decoding = Decoding("sample", temperature=2.0)
    generator = decoding.generator(torch.device("cpu"))
    first, second = (decoded(decoding, generator, n_best=2).tokens for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, decoded(decoding, decoding.generator(torch.device("cpu")), n_best=2).tokens)


@pytest.mark.parametrize("method", ["sample", "mbr"])
def test_samples_cannot_be_forced_to_a_length(method: Any) -> None:
    model, batch = make("GRU"), random_batch(LENGTHS)
    limits, decoding = torch.full((len(LENGTHS),), 6), Decoding(method=method)
    generator = decoding.generator(limits.device)
    with pytest.raises(ValueError, match=f"decoding.method: {method} cannot force a length; beam and greedy can"):
        decode(model, batch.source, batch.source_lengths, limits, decoding, generator, 1, words, length_forced=True)
