"""The scan of a selective state space model: many states a channel, which nothing outside needs to see.

Shapes: B sequences, T steps, I channels, N states a channel.

All states of all steps are N times as many numbers as inputs and outputs together. On a CPU the kernel goes over them
once, a step at a time, while they are in the cache. It keeps the states alone and makes the factors again for the
gradient, as Gu & Dao (2023, section 3.3.2) do for the memory of a GPU.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lit_models.kernels.choice import faster_than
from lit_models.layers.scan import scan

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
