"""Alignment scores and local windows against the equations written out with loops."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_models.layers.attention import SCORES, make_score, masked_softmax
from lit_models.luong import Source
from tests.helpers.models import make

B, T, S, SIZE = 2, 3, 4, 5


@pytest.fixture
def queries() -> torch.Tensor:
    return torch.randn(B, T, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(B, S, SIZE, generator=torch.Generator().manual_seed(1))


def written_out(name: str, score: torch.nn.Module, query: torch.Tensor, state: torch.Tensor, s: int) -> torch.Tensor:
    """One score, from one query and one state, as the papers write it."""
    weight = dict(score.named_parameters())
    match name:
        case "additive":
            inner = weight["query.weight"] @ query + weight["memory.weight"] @ state + weight["memory.bias"]
            return weight["energy.weight"][0] @ torch.tanh(inner)
        case "concat":
            return weight["energy.weight"][0] @ torch.tanh(weight["both.weight"] @ torch.cat([query, state]))
        case "dot":
            return query @ state
        case "scaled-dot":
            return query @ state / math.sqrt(SIZE)
        case "general":
            return query @ weight["memory.weight"] @ state
        case _:
            return weight["position.weight"][s] @ query


@pytest.mark.parametrize("name", SCORES)
def test_score_equals_its_equation(name: str, queries: torch.Tensor, states: torch.Tensor) -> None:
    torch.manual_seed(2)
    score = make_score(name, SIZE, SIZE, attention_size=6, location_positions=S)
    scores = score(queries, score.keys(states))
    assert scores.shape == (B, T, S)
    for b in range(B):
        for t in range(T):
            for s in range(S):
                expected = written_out(name, score, queries[b, t], states[b, s], s)
                torch.testing.assert_close(scores[b, t, s], expected)


def test_location_score_ignores_words_behind_its_last_position(queries: torch.Tensor, states: torch.Tensor) -> None:
    score = make_score("location", SIZE, SIZE, attention_size=6, location_positions=2)
    weights = masked_softmax(score(queries, score.keys(states)), None)
    assert (weights[:, :, 2:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, T))


def test_dot_score_refuses_states_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"model\.score: dot needs"):
        make_score("dot", 4, 8, attention_size=4, location_positions=1)


def test_an_unknown_score_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="'bilinear' is unknown; the scores are additive, dot"):
        make_score("bilinear", 4, 4, attention_size=4, location_positions=1)


def source_of(states: torch.Tensor, model: Any, lengths: list[int]) -> Source:
    blocked = torch.arange(states.shape[1])[None, None, :] >= torch.tensor(lengths)[:, None, None]
    return Source(states, model.score.keys(states), torch.tensor(lengths), blocked)


def attend(model: Any, states: Tensor, position: Tensor, source: Source) -> Tensor:
    return model.attend(states, position, source, partial(model.score, keys=source.keys))


def test_predictive_alignment_equals_its_equation() -> None:
    window, size, lengths = 2, 8, [9, 6]
    model = make("LuongLocal", {"window": window})
    queries, states = torch.randn(B, T, size), torch.randn(B, 9, size)
    source = source_of(states, model, lengths)
    attention = attend(model, queries, torch.arange(T).expand(B, T), source)
    for b in range(B):
        for t in range(T):
            query = queries[b, t]
            inner = torch.tanh(model.position.weight @ query)
            centre = lengths[b] * torch.sigmoid(model.position_energy.weight[0] @ inner)
            inside = [s for s in range(lengths[b]) if abs(s - centre) <= window]
            scores = torch.stack([query @ model.score.memory.weight @ states[b, s] for s in inside])
            expected = torch.zeros(9)
            expected[inside] = torch.softmax(scores, 0)
            for s in inside:
                expected[s] *= torch.exp(-((s - centre) ** 2) / (2 * (window / 2) ** 2))
            torch.testing.assert_close(attention[b, t], expected)


def test_the_predicted_position_learns_through_the_gaussian_alone() -> None:
    model = make("LuongLocal", {"window": 2}).train()
    states = torch.randn(B, 9, 8)
    attention = attend(model, torch.randn(B, T, 8), torch.arange(T).expand(B, T), source_of(states, model, [9, 9]))
    attention.sum().backward()
    assert model.position_energy.weight.grad.abs().sum() > 0


def test_monotonic_alignment_looks_around_the_target_position_within_the_source() -> None:
    model = make("LuongLocal", {"window": 1, "alignment": "monotonic"})
    states = torch.randn(1, 5, 8)
    attention = attend(model, torch.randn(1, 8, 8), torch.arange(8)[None], source_of(states, model, [5]))[0]
    looked_at = [row.nonzero().squeeze(1).tolist() for row in attention]
    assert looked_at == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4], [3, 4], [3, 4], [3, 4]]
