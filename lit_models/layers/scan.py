"""Recurrences that are linear in their state, over all steps at once.

Shapes: B sequences, T steps, … the state of one sequence, K x V a state that is a matrix, I channels of N states each.

h_t = a_t h_{t-1} + b_t is an associative operation on pairs: (a, b) then (a', b') is (a' a, a' b + b'). So neighbouring
steps are joined, the joined ones again, and so on, until one is left; on the way back every state between is filled in
(Blelloch 1990, "Prefix sums and their applications"). Of n steps, 2 log2(n) have to follow each other, and all of them
together are some 3 n. Nothing is divided and no logarithm is taken: where |a_t| <= 1 nothing can overflow, and a_t may
be zero or negative.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lit_models.kernels.choice import faster_than

Product = Callable[[Tensor, Tensor], Tensor]
MultiplyAdd = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain_scan(factors: Tensor, summands: Tensor, initial: Tensor) -> Tensor:
    """As `scan`, every operation a node of the graph."""
    return _tree(factors, summands, initial, torch.mul, torch.addcmul)


@faster_than(plain_scan)
def scan(factors: Tensor, summands: Tensor, initial: Tensor) -> Tensor:
    """h_t = a_t * h_{t-1} + b_t, element by element.

    On a CPU, which does one thing at a time anyway, one step follows the other; elsewhere it is the tree of
    `plain_scan`. Either way only factors and states are kept for the gradient, which is a scan itself, backwards.

    Args:
        factors: (B, T, …) a_t.
        summands: (B, T, …) b_t, of the same shape.
        initial: (B, …) h_0.

    Returns:
        (B, T, …) h_1 … h_T.
    """
    if factors.shape[1] == 1:
        return torch.addcmul(summands, factors, initial[:, None])
    return _Scan.apply(factors, summands, initial)  # type: ignore[no-any-return]


def scan_matrices(factors: Tensor, summands: Tensor, initial: Tensor) -> Tensor:
    """H_t = A_t H_{t-1} + B_t, products of matrices.

    Args:
        factors: (B, T, K, K) A_t.
        summands: (B, T, K, V) B_t.
        initial: (B, K, V) H_0.

    Returns:
        (B, T, K, V) H_1 … H_T.
    """
    return _tree(factors, summands, initial, torch.matmul, _multiply_add)


def _multiply_add(summand: Tensor, factor: Tensor, value: Tensor) -> Tensor:
    """(…, K, V), (…, K, K), (…, K, V) -> (…, K, V)"""
    joined = torch.baddbmm(*(part.flatten(0, -3) for part in (summand, factor, value)))
    return joined.reshape(summand.shape)


def _tree(factors: Tensor, summands: Tensor, initial: Tensor, multiply: Product, multiply_add: MultiplyAdd) -> Tensor:
    """The states, for elements or matrices. The initial state goes into the first summand."""
    first = multiply_add(summands[:, :1], factors[:, :1], initial[:, None])
    return _tree_from_nothing(factors, torch.cat([first, summands[:, 1:]], dim=1), multiply, multiply_add)


def _tree_from_nothing(factors: Tensor, summands: Tensor, multiply: Product, multiply_add: MultiplyAdd) -> Tensor:
    """The same with h_0 = 0, so that the first state is the first summand."""
    steps = factors.shape[1]
    if steps == 1:
        return summands
    even = slice(0, steps - 1, 2)  # the first of each pair; of an odd number of steps the last has no partner
    joined = multiply_add(summands[:, 1::2], factors[:, 1::2], summands[:, even])
    second = _tree_from_nothing(multiply(factors[:, 1::2], factors[:, even]), joined, multiply, multiply_add)
    before = second[:, : (steps - 1) // 2]
    first = torch.cat([summands[:, :1], multiply_add(summands[:, 2::2], factors[:, 2::2], before)], dim=1)
    pairs = torch.stack([first[:, : steps // 2], second], dim=2).flatten(1, 2)
    return torch.cat([pairs, first[:, -1:]], dim=1) if steps % 2 else pairs


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factors: Tensor, summands: Tensor, initial: Tensor) -> Tensor:
        states = _states(factors, summands, initial)
        ctx.save_for_backward(factors, states, initial)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The gradient g_t at h_t is a recurrence as well: g_t = a_{t+1} g_{t+1} + what comes from outside.
        factors, states, initial = ctx.saved_tensors
        [outside] = grad_outputs
        gradients = _states_backwards(factors[:, 1:], outside)
        grad_factors = torch.empty_like(factors)
        torch.mul(gradients[:, 1:], states[:, :-1], out=grad_factors[:, 1:])
        torch.mul(gradients[:, 0], initial, out=grad_factors[:, 0])
        return grad_factors, gradients, factors[:, 0] * gradients[:, 0]


def _one_at_a_time(steps: Tensor) -> bool:
    """Whether the device gains nothing from steps side by side."""
    return steps.device.type == "cpu"


def _states(factors: Tensor, summands: Tensor, initial: Tensor) -> Tensor:
    if not _one_at_a_time(summands):
        return plain_scan(factors, summands, initial)
    states = torch.empty_like(summands)
    before = initial
    for a, b, h in zip(factors.unbind(1), summands.unbind(1), states.unbind(1), strict=True):
        before = torch.addcmul(b, a, before, out=h)
    return states


def _states_backwards(factors: Tensor, summands: Tensor) -> Tensor:
    """g_T = b_T and g_t = a_t g_{t+1} + b_t: (B, T - 1, …) and (B, T, …) -> (B, T, …)"""
    if not _one_at_a_time(summands):
        later = plain_scan(factors.flip(1), summands[:, :-1].flip(1), summands[:, -1])  # g_{T-1} … g_1
        return torch.cat([later.flip(1), summands[:, -1:]], dim=1)
    states = summands.clone(memory_format=torch.contiguous_format)
    steps = states.unbind(1)
    for a, g, before in zip(reversed(factors.unbind(1)), reversed(steps[:-1]), reversed(steps[1:]), strict=True):
        g.addcmul_(a, before)
    return states


# ---------------------------------------------------------------------- many states a channel
#
# All states of a selective state space model are N times as many numbers as its inputs and outputs together. On a CPU
# the kernel goes over them once, a step at a time, while they are in the cache. It keeps the states alone and makes the
# factors again for the gradient, as Gu & Dao (2023, section 3.3.2) do for the memory of a GPU.

Result = tuple[Tensor | None, Tensor]


def plain_selective_scan(
    steps: Tensor, driven: Tensor, rates: Tensor, write: Tensor, read: Tensor | None, initial: Tensor
) -> Result:
    """As `selective_scan`, with all states at once."""
    factors = torch.exp(steps[:, :, None] * rates)  # (B, T, N, I)
    states = scan(factors, driven[:, :, None] * write[..., None], initial)
    outputs = None if read is None else (states * read[..., None]).sum(dim=2)
    return outputs, states[:, -1]


@faster_than(plain_selective_scan)
def selective_scan(
    steps: Tensor, driven: Tensor, rates: Tensor, write: Tensor, read: Tensor | None, initial: Tensor
) -> Result:
    """h_t = exp(Δ_t A) h_{t-1} + B_t (Δ_t x_t) and y_t = C_t h_t for each channel (Gu & Dao 2023, equation 2).

    Args:
        steps: (B, T, I) Δ_t, at least 0.
        driven: (B, T, I) Δ_t x_t.
        rates: (N, I) A, below 0.
        write: (B, T, N) B_t.
        read: (B, T, N) C_t; None where nobody reads.
        initial: (B, N, I) h_0.

    Returns:
        (B, T, I) y_1 … y_T, or None where nobody reads; and (B, N, I) h_T.
    """
    if steps.device.type != "cpu" or steps.shape[1] == 1:
        return plain_selective_scan(steps, driven, rates, write, read, initial)
    return _SelectiveScan.apply(steps, driven, rates, write, read, initial)  # type: ignore[no-any-return]


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, steps: Tensor, driven: Tensor, rates: Tensor, write: Tensor, read: Tensor | None, initial: Tensor
    ) -> Result:
        exponents = rates * math.log2(math.e)  # powers of 2 take half the time of powers of e
        states = initial.new_empty(steps.shape[1], *initial.shape)
        outputs = None if read is None else torch.empty_like(driven)
        scratch, before = torch.empty_like(initial), initial
        for t, h in enumerate(states):
            torch.exp2(torch.mul(steps[:, t, None], exponents, out=scratch), out=scratch)
            torch.mul(driven[:, t, None], write[:, t, :, None], out=h).addcmul_(scratch, before)
            if read is not None and outputs is not None:
                torch.sum(torch.mul(h, read[:, t, :, None], out=scratch), dim=1, out=outputs[:, t])
            before = h
        ctx.save_for_backward(steps, driven, rates, write, read, initial, states)
        ctx.set_materialize_grads(False)
        return outputs, states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        steps, driven, rates, write, read, initial, states = ctx.saved_tensors
        at_outputs, at_last = grad_outputs
        exponents = rates * math.log2(math.e)
        g = torch.zeros_like(initial) if at_last is None else at_last.clone()  # at h_t
        scratch, factors, at_rates = torch.empty_like(g), torch.empty_like(g), torch.zeros_like(g)
        at_steps, at_driven, at_write = (torch.empty_like(tensor) for tensor in (steps, driven, write))
        at_read = None if read is None else torch.zeros_like(read)
        for t in reversed(range(len(states))):
            delta, before = steps[:, t, None], states[t - 1] if t else initial
            if read is not None and at_read is not None and at_outputs is not None:
                g.addcmul_(at_outputs[:, t, None], read[:, t, :, None])
                torch.sum(torch.mul(states[t], at_outputs[:, t, None], out=scratch), dim=2, out=at_read[:, t])
            torch.sum(torch.mul(g, write[:, t, :, None], out=scratch), dim=1, out=at_driven[:, t])
            torch.sum(torch.mul(g, driven[:, t, None], out=scratch), dim=2, out=at_write[:, t])
            g.mul_(torch.exp2(torch.mul(delta, exponents, out=factors), out=factors))  # at h_{t-1}
            torch.mul(g, before, out=scratch)  # at the exponent Δ_t A
            at_rates.addcmul_(scratch, delta)
            torch.sum(scratch.mul_(rates), dim=1, out=at_steps[:, t])
        return at_steps, at_driven, at_rates.sum(dim=0), at_write, at_read, g
