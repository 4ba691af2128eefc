"""Additive alignment scores, faster than by torch's own tanh and without keeping their energies.

Shapes: B sequences, T target positions, S source positions, A attention size.

The energies tanh(q + k) are B x T x S x A numbers. Autograd would keep all of them until the backward pass; here they
are made in parts that fit the cache, and where they are many they are made again for the gradient. On a CPU torch's
sigmoid takes a sixth of the time of its tanh, hence tanh(x) = 2 sigmoid(2 x) - 1.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling

from lit_models.kernels.choice import faster_than
from lit_models.kernels.step_products import Map

PART = {"cpu": 2**19}  # energies made at a time
PART_ELSEWHERE = 2**26
KEPT = 2**20  # most energies of a call that are kept: a step loop makes so many calls as there are steps


def plain_additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """(B, T, A), (B, S, A), (A,) -> (B, T, S)"""
    return torch.tanh(queries[:, :, None, :] + keys[:, None, :, :]) @ energy


@faster_than(plain_additive_scores)
def additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """v^T tanh(q_t + k_s) (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        queries: (B, T, A) W q.
        keys: (B, S, A) U h.
        energy: (A,) v.

    Returns:
        (B, T, S), in the precision of the queries; computed in single precision where that is half.
    """
    return _AdditiveScores.apply(queries, keys, energy)  # type: ignore[no-any-return]


def plain_additive_steps(keys: Tensor, energy: Tensor, steps: int) -> Map:
    """(B, 1, A) -> (B, 1, S)"""
    return partial(plain_additive_scores, keys=keys, energy=energy)


@faster_than(plain_additive_steps)
def additive_steps(keys: Tensor, energy: Tensor, steps: int) -> Map:
    """`additive_scores` of a loop over so many steps, one query a step and sentence: (B, 1, A) -> (B, 1, S).

    What only keys and v decide is computed once, and their gradients are added up in place.

    Args:
        keys: (B, S, A)
        energy: (A,)
        steps: T
    """
    most = min(PART.get(keys.device.type, PART_ELSEWHERE), KEPT)
    once = steps == 1 or not torch.is_grad_enabled() or not keys.requires_grad
    if once or keys.numel() > most or keys.dtype.itemsize < 4 or is_compiling():
        return partial(additive_scores, keys=keys, energy=energy)
    return _AdditiveSteps(keys, energy, steps)


class _AdditiveSteps:
    """Each step adds its scores to a zero of its own, which a node has made that depends on keys and v: so that node
    comes last in the backward pass, when the steps have added up what keys and v get. See step_products.py."""

    def __init__(self, keys: Tensor, energy: Tensor, steps: int) -> None:
        self.shared = _Shared(keys, energy)
        self.zeros = iter(_ZerosOfSteps.apply(keys, energy, self.shared, steps).unbind(dim=0))  # type: ignore[union-attr]

    def __call__(self, queries: Tensor) -> Tensor:
        return _ScoresOfStep.apply(next(self.zeros), queries, self.shared)  # type: ignore[no-any-return]


class _Shared:
    """What the nodes of all steps know. It knows none of them: Python frees no circle that leads through autograd."""

    def __init__(self, keys: Tensor, energy: Tensor) -> None:
        self.doubled = 2 * keys.detach()
        self.energy = energy.detach().to(keys.dtype)
        self.twice, self.least = 2 * self.energy, -self.energy.sum()
        self.slope = (4 * self.energy).expand_as(self.doubled)
        self.gradients: tuple[Tensor, Tensor] | None = None  # of keys, and of v in part


class _ZerosOfSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keys: Tensor, energy: Tensor, shared: _Shared, steps: int) -> Tensor:
        ctx.shared, ctx.precision = shared, energy.dtype
        return keys.new_zeros(()).expand(steps, len(keys), 1, keys.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        assert ctx.shared.gradients is not None
        grad_keys, grad_energy = ctx.shared.gradients
        ctx.shared.gradients = None
        return grad_keys, (2 * grad_energy - grad_outputs[0].sum()).to(ctx.precision), None, None


class _ScoresOfStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, zero: Tensor, queries: Tensor, shared: _Shared) -> Tensor:
        gates = torch.add(shared.doubled, queries, alpha=2).sigmoid_()  # (B, S, A)
        ctx.save_for_backward(gates)
        ctx.shared = shared
        flat = gates.flatten(0, 1)
        return torch.addmv(shared.least.expand(len(flat)), flat, shared.twice).view(zero.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (gates,), shared, grad_scores = ctx.saved_tensors, ctx.shared, grad_outputs[0]
        if shared.gradients is None:
            shared.gradients = torch.zeros_like(shared.doubled), torch.zeros_like(shared.energy)
        grad_keys, grad_energy = shared.gradients
        change = torch.ops.aten.sigmoid_backward(shared.slope, gates)  # as below
        grad_keys.addcmul_(change, grad_scores.transpose(1, 2))
        grad_energy.addmv_(gates.flatten(0, 1).t(), grad_scores.flatten())
        return grad_scores, grad_scores @ change, None


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
        scores = queries.new_empty(*queries.shape[:2], keys.shape[1])
        parts, gates = _parts(queries, keys), None
        with torch.autocast(queries.device.type, enabled=False):
            wide = energy.to(_precision(queries))
            for rows, steps in parts:
                gates = _gates(queries[rows, steps], keys[rows])
                scores[rows, steps] = gates @ (2 * wide) - wide.sum()
        kept = gates is not None and len(parts) == 1 and gates.numel() <= KEPT
        ctx.save_for_backward(queries, keys, energy, gates if kept else None)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, energy, kept = ctx.saved_tensors
        grad_queries, grad_keys = torch.empty_like(queries), torch.zeros_like(keys)
        precision = _precision(queries)
        grad_scores, slope = grad_outputs[0].to(precision), 4 * energy.to(precision)
        grad_energy = torch.zeros_like(slope)
        for rows, steps in _parts(queries, keys):
            gates = _gates(queries[rows, steps], keys[rows]) if kept is None else kept
            grad_part = grad_scores[rows, steps]
            grad_energy += grad_part.flatten() @ gates.flatten(0, 2)
            # The derivative of tanh(x) is 4 sigmoid(2 x) (1 - sigmoid(2 x)).
            change = torch.ops.aten.sigmoid_backward(slope, gates)  # (B', T', S, A)
            grad_queries[rows, steps] = (grad_part[:, :, None, :] @ change).squeeze(2)
            change.mul_(grad_part[..., None])
            grad_keys[rows] += change.squeeze(1) if change.shape[1] == 1 else change.sum(dim=1)
        return grad_queries, grad_keys, (2 * grad_energy - grad_scores.sum()).to(energy.dtype)


def _precision(queries: Tensor) -> torch.dtype:
    return torch.promote_types(queries.dtype, torch.float32)


def _gates(queries: Tensor, keys: Tensor) -> Tensor:
    """sigmoid(2 (q + k)): (B', T', A), (B', S, A) -> (B', T', S, A)"""
    precision = _precision(queries)
    return ((2 * queries.to(precision))[:, :, None, :] + (2 * keys.to(precision))[:, None, :, :]).sigmoid_()


def _parts(queries: Tensor, keys: Tensor) -> list[tuple[slice, slice]]:
    """Rows and target positions whose energies are made together; parts of a row only where one is too large."""
    (batch, length, _), size = queries.shape, keys.shape[1] * keys.shape[2]
    budget = PART.get(queries.device.type, PART_ELSEWHERE)
    rows = max(1, budget // (length * size))
    steps = length if rows > 1 else max(1, min(length, budget // size))
    return [
        (slice(row, row + rows), slice(step, step + steps))
        for row in range(0, batch, rows)
        for step in range(0, length, steps)
    ]
