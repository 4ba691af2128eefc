"""Sampling against the distribution that is asked for."""

from typing import Any

import pytest
import torch
from torch import Tensor

from data.batch import EOS
from lit_models import architectures
from lit_models.decoding.search import Hypotheses, greedy, sample
from tests.helpers.decoding import fake, teacher_forced, without_padding
from tests.helpers.models import make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
LIMITS = torch.tensor([9, 4, 7, 1])
#                PAD  BOS  EOS  3    4     5     6
DISTRIBUTION = [0.0, 0.0, 0.2, 0.5, 0.15, 0.1, 0.05]
every_architecture = pytest.mark.parametrize("name", architectures())


def frequencies(**options: Any) -> Tensor:
    """(V,) how often 20,000 samples of one token fall on each id of the distribution."""
    model, source, lengths = fake([[DISTRIBUTION]])
    generator = torch.Generator().manual_seed(0)
    drawn = sample(model, source, lengths, 1, samples=20_000, generator=generator, **options)
    return drawn.tokens.flatten().bincount(minlength=len(DISTRIBUTION)) / 20_000


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, {3}),
        ({"top_k": 3}, {3, EOS, 4}),
        ({"top_k": 100}, {3, EOS, 4, 5, 6}),
        ({"top_p": 0.4}, {3}),
        ({"top_p": 0.6}, {3, EOS}),
        ({"top_p": 0.75}, {3, EOS, 4}),
        ({"top_p": 0.97}, {3, EOS, 4, 5, 6}),
        # Of the two most probable tokens the first holds 5/7 of what is left.
        ({"top_k": 2, "top_p": 0.7}, {3}),
        ({"top_k": 2, "top_p": 0.8}, {3, EOS}),
        # Temperature first: squared and renormalised, token 3 holds 0.25 / 0.325 = 77%.
        ({"temperature": 0.5, "top_p": 0.75}, {3}),
        ({"temperature": 0.5, "top_p": 0.8}, {3, EOS}),
    ],
)
def test_top_k_and_top_p_keep_exactly_the_right_tokens(options: dict, kept: set[int]) -> None:
    assert set(frequencies(**options).nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize(
    ("options", "power", "kept"),
    [
        ({}, 1.0, range(2, 7)),
        ({"temperature": 0.5}, 2.0, range(2, 7)),
        ({"temperature": 2.0}, 0.5, range(2, 7)),
        ({"top_k": 2}, 1.0, (2, 3)),
        ({"top_p": 0.75, "temperature": 1.0}, 1.0, (2, 3, 4)),
    ],
)
def test_tokens_are_drawn_as_often_as_their_probability_says(options: dict, power: float, kept: Any) -> None:
    expected = torch.zeros(len(DISTRIBUTION))
    expected[list(kept)] = torch.tensor(DISTRIBUTION)[list(kept)] ** power
    expected /= expected.sum()
    # Four standard deviations of a share in 20,000 draws.
    tolerance = 4 * (expected * (1 - expected) / 20_000).sqrt()
    assert ((frequencies(**options) - expected).abs() <= tolerance).all()


@every_architecture
def test_sampling_from_the_top_one_is_greedy_for_every_row_and_sample(name: str) -> None:
    model, batch = make(name, seed=1), random_batch(LENGTHS)
    drawn = sample(model, batch.source, batch.source_lengths, LIMITS, samples=3, top_k=1, temperature=3.0)
    expected = greedy(model, batch.source, batch.source_lengths, LIMITS)
    for index in range(3):
        assert torch.equal(drawn.tokens[:, index], expected)


@every_architecture
def test_scores_of_samples_are_their_log_probabilities_under_the_model(name: str) -> None:
    model, batch = make(name, seed=1), random_batch(LENGTHS)
    drawn = sample(
        model,
        batch.source,
        batch.source_lengths,
        LIMITS,
        samples=6,
        temperature=1.5,
        top_k=7,
        top_p=0.9,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(drawn.scores, drawn.log_probabilities)
    for row, (length, _) in enumerate(LENGTHS):
        sequences = [without_padding(tokens) for tokens in drawn.tokens[row]]
        assert max(map(len, sequences)) <= LIMITS[row]
        log_p = teacher_forced(model, batch.source[row], length, sequences)
        torch.testing.assert_close(drawn.log_probabilities[row], log_p, atol=1e-5, rtol=0)


@pytest.mark.parametrize("top_k", [0, 8])
def test_the_generator_decides_what_is_drawn(top_k: int) -> None:
    model, batch = make("GRU"), random_batch(LENGTHS)

    def draw(seed: int) -> Hypotheses:
        generator = torch.Generator().manual_seed(seed)
        return sample(model, batch.source, batch.source_lengths, 8, 4, top_k=top_k, generator=generator)

    assert torch.equal(draw(0).tokens, draw(0).tokens)
    assert not torch.equal(draw(0).tokens, draw(1).tokens)
    state = torch.random.get_rng_state()
    draw(0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_samples_that_have_ended_leave() -> None:
    ends, goes_on = [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]
    even = [0.0, 0.0, 0.5, 0.5]
    model, source, lengths = fake([[ends] * 5, [goes_on] * 5, [goes_on, ends, ends, ends, ends]])
    drawn = sample(model, source, lengths, torch.tensor([5, 4, 5]), samples=3)
    assert model.rows_asked == [9, 6, 3, 3]
    assert drawn.tokens[:, 0].tolist() == [[EOS, 0, 0, 0, 0], [3, 3, 3, 3, 0], [3, EOS, 0, 0, 0]]
    model, source, lengths = fake([[even] * 20])
    sample(model, source, lengths, 20, samples=100, generator=torch.Generator().manual_seed(0))
    asked = model.rows_asked
    assert asked[0] == 100
    assert 35 <= asked[1] <= 65
    assert asked == sorted(asked, reverse=True)
