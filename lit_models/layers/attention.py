"""Alignment scores, each a small module, and the softmax that turns scores into weights.

Shapes: B sequences, S source positions, T target positions, Q query size, M memory size, A attention size.

Every score has two parts: `keys`, computed once a sentence, and the score itself, computed for one target step
(T = 1, inside a step loop) or for all of them at once.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.contract import Memory
from lit_models.kernels.additive import additive_scores, additive_steps
from lit_models.kernels.linear import Linear, affine
from lit_models.kernels.step_products import Map, step_linear, step_matmul


class Score(nn.Module, ABC):
    """How well each source position answers each query."""

    @abstractmethod
    def keys(self, states: Tensor) -> Tensor:
        """What of the memory (B, S, M) is computed once a sentence."""

    @abstractmethod
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Queries (B, T, Q) and keys -> scores (B, T, S)"""

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        """The same for a loop over so many steps, one query a step: (B, 1, Q) -> (B, 1, S).

        A score overrides it where the gradients of its weights or keys are better made behind the loop.
        """
        return partial(self, keys=keys)


class AdditiveScore(Score):
    """v^T tanh(W q + U h) (Bahdanau et al. 2015, appendix A.1.2). U h has a bias; the paper's equations
    leave all biases out."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.query = Linear(query_size, attention_size, bias=False)  # W
        self.memory = Linear(memory_size, attention_size)  # U
        self.energy = Linear(attention_size, 1, bias=False)  # v

    def keys(self, states: Tensor) -> Tensor:
        """(B, S, M) -> U h_j: (B, S, A)"""
        return self.memory(states)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, A) -> (B, T, S)"""
        return additive_scores(self.query(queries), keys, self.energy.weight[0])  # v^T tanh(W q + U h)

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        return _additive_at_steps(self.query.weight, keys, self.energy.weight[0], steps)


class ConcatScore(Score):
    """v^T tanh(W [q; h]) (Luong et al. 2015, section 3.1).

    The one matrix W is applied to its two halves separately, so that the half of h leaves the step loop.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.query_size = query_size
        self.both = Linear(query_size + memory_size, attention_size, bias=False)  # W
        self.energy = Linear(attention_size, 1, bias=False)  # v

    def keys(self, states: Tensor) -> Tensor:
        """(B, S, M) -> (B, S, A)"""
        return affine(states, self.both.weight[:, self.query_size :])

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, A) -> (B, T, S)"""
        projected = F.linear(queries, self.both.weight[:, : self.query_size])
        return additive_scores(projected, keys, self.energy.weight[0])

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        return _additive_at_steps(self.both.weight[:, : self.query_size], keys, self.energy.weight[0], steps)


def _additive_at_steps(query: Tensor, keys: Tensor, energy: Tensor, steps: int) -> Map:
    """The additive score of a step loop, given W (A, Q), keys (B, S, A) and v (A,)."""
    project, scores = step_linear(query, None, len(keys), steps), additive_steps(keys, energy, steps)

    def score(queries: Tensor) -> Tensor:
        return scores(project(queries.flatten(0, 1)).unflatten(0, queries.shape[:2]))

    return score


class DotScore(Score):
    """q^T h (Luong et al. 2015, section 3.1). Query and memory must have the same size."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        if query_size != memory_size:
            raise ValueError(
                f"model.score: dot needs encoder states as large as decoder states, but they are {memory_size} "
                f"and {query_size}; choose general, or a unidirectional encoder"
            )

    def keys(self, states: Tensor) -> Tensor:
        """(B, S, M) -> (B, S, M)"""
        return states

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, Q) -> (B, T, S)"""
        return queries @ keys.transpose(1, 2)

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        return step_matmul(keys.transpose(1, 2), steps)


class ScaledDotScore(DotScore):
    """q^T h / sqrt(Q) (Vaswani et al. 2017, equation 1)."""

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, Q) -> (B, T, S)"""
        return super().forward(queries, keys) / math.sqrt(queries.shape[-1])

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        return super().at_steps(keys / math.sqrt(keys.shape[-1]), steps)


class GeneralScore(Score):
    """q^T W h (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.memory = Linear(memory_size, query_size, bias=False)  # W

    def keys(self, states: Tensor) -> Tensor:
        """(B, S, M) -> W h: (B, S, Q)"""
        return self.memory(states)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, Q) -> (B, T, S)"""
        return queries @ keys.transpose(1, 2)

    def at_steps(self, keys: Tensor, steps: int) -> Map:
        return step_matmul(keys.transpose(1, 2), steps)


class LocationScore(Score):
    """W q: one score for each of the first `positions` source positions, whatever stands there
    (Luong et al. 2015, equation 8). As in the paper, words behind the last of them are ignored."""

    def __init__(self, query_size: int, positions: int) -> None:
        super().__init__()
        if positions < 1:
            raise ValueError(f"model.location_positions: {positions} must be at least 1")
        self.positions = positions
        self.position = Linear(query_size, positions, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """(B, S, M) -> (B, S, M); only the number of positions is used."""
        return states

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, Q), (B, S, M) -> (B, T, S)"""
        width = keys.shape[1]
        scores = self.position(queries)[:, :, :width]
        return F.pad(scores, (0, max(0, width - self.positions)), value=-math.inf)


ScoreName = Literal["additive", "dot", "scaled-dot", "general", "concat", "location"]
SCORES = get_args(ScoreName)


def make_score(name: str, query_size: int, memory_size: int, attention_size: int, location_positions: int) -> Score:
    """The score of that name.

    Raises:
        ValueError: an unknown name, or sizes the score cannot work with.
    """
    match name:
        case "additive":
            return AdditiveScore(query_size, memory_size, attention_size)
        case "concat":
            return ConcatScore(query_size, memory_size, attention_size)
        case "dot":
            return DotScore(query_size, memory_size)
        case "scaled-dot":
            return ScaledDotScore(query_size, memory_size)
        case "general":
            return GeneralScore(query_size, memory_size)
        case "location":
            return LocationScore(query_size, location_positions)
    raise ValueError(f"model.score: '{name}' is unknown; the scores are {', '.join(SCORES)}")


def padding_added(memory: Memory) -> Tensor | None:
    """(B, 1, S) what is added to scores: -inf at padding, 0 at words. None where no row is padded."""
    if memory.blocked is None:
        return None
    return memory.states.new_zeros(memory.blocked.shape).masked_fill_(memory.blocked, -math.inf)[:, None]


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis of scores to which a mask is added, that of `padding_added`: exactly zero where it is
    -inf. Adding costs nothing in the backward pass.

    Every row needs at least one position that is not blocked.
    """
    return torch.softmax(scores if mask is None else scores + mask, dim=-1)
