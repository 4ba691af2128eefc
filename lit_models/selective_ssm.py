"""The selective state space model of Mamba: many slow and fast memories a channel, written by choice.

Shapes: B sequences, T steps, D hidden size, I inner size, R rank of the step size, N states a channel.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.contract import require
from lit_models.kernels.linear import Linear
from lit_models.layers.linear_recurrent_seq2seq import (
    LinearRecurrentSeq2Seq,
    Recurrence,
    ShortConvolution,
    State,
    draw_step_sizes,
)
from lit_models.layers.scan import selective_scan


class SelectiveSSMLayer(Recurrence):
    """Mamba's block: the state space model S6 behind a short convolution, and a gate beside both
    (Gu & Dao 2023, algorithm 2 and figure 3)."""

    def __init__(self, size: int, inner: int, states: int, conv_width: int, is_read: bool) -> None:
        super().__init__()
        self.is_read = is_read
        rank = math.ceil(size / 16)
        self.sizes = [rank, states, states] if is_read else [rank, states]  # of what step sizes are made from, B, C
        self.input = Linear(size, 2 * inner if is_read else inner, bias=False)
        self.convolution = ShortConvolution(inner, conv_width)
        self.selection = Linear(inner, sum(self.sizes), bias=False)
        self.step_size = Linear(rank, inner)
        self.log_rates = nn.Parameter(torch.arange(1.0, states + 1).log()[:, None].repeat(1, inner))  # A = -exp of it
        if is_read:
            self.skip = nn.Parameter(torch.ones(inner))
            self.output = Linear(inner, size, bias=False)
        self.shapes = [(states, inner), self.convolution.shape]
        nn.init.uniform_(self.step_size.weight, -(rank**-0.5), rank**-0.5)
        draw_step_sizes(self.step_size.bias)

    def forward(self, inputs: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        h, tail = state
        x, *gate = self.input(inputs).chunk(2 if self.is_read else 1, dim=-1)
        x, tail = self.convolution(x, tail, blocked)
        x = F.silu(x)  # (B, T, I)
        low_rank, write, *read = (part.to(h.dtype) for part in self.selection(x).split(self.sizes, dim=-1))
        steps = F.softplus(self.step_size(low_rank).to(h.dtype))  # Δ_t = softplus(W_Δ x_t + b)
        if blocked is not None:
            steps = steps.masked_fill(blocked[:, :, None], 0.0)
        rates = -torch.exp(self.log_rates)  # A: (N, I)
        y, h = selective_scan(steps, steps * x, rates, write, read[0] if self.is_read else None, h)
        if y is None:
            return inputs, (h, tail)
        y = torch.addcmul(y, self.skip, x)  # y_t = C_t h_t + D x_t
        return self.output(y * F.silu(gate[0])), (h, tail)


class SelectiveSSM(LinearRecurrentSeq2Seq):
    """The selective state space model S6 in Mamba's block (Gu & Dao 2023), joined by a fixed context. Each channel has
    N states with rates A < 0 of their own; step size Δ, write B and read C depend on the input:

        h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t x_t        y_t = C_t h_t + D x_t

    The context is the N states of each channel, and the last inputs of the short convolution: the first target tokens
    are told of the last source tokens directly.

    Args:
        state_size: N, states a channel.
        expansion: inner channels for each of hidden_size.
        conv_width: tokens that the short convolution sees, itself included.
        feed_forward_size: size inside a feed-forward part behind each block; Mamba has none, which is 0.
        **kwargs: options of the stacks, see LinearRecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    display_name = "Selective SSM"

    def __init__(
        self,
        *,
        state_size: int = 16,
        expansion: int = 2,
        conv_width: int = 4,
        feed_forward_size: int | None = 0,
        **kwargs: Any,
    ) -> None:
        require(state_size >= 1, "state_size", state_size, "must be at least 1")
        require(expansion >= 1, "expansion", expansion, "must be at least 1")
        require(conv_width >= 1, "conv_width", conv_width, "must be at least 1")
        super().__init__(feed_forward_size=feed_forward_size, **kwargs)

    def make_recurrence(self, is_read: bool) -> SelectiveSSMLayer:
        states, expansion, width = (self.options[name] for name in ("state_size", "expansion", "conv_width"))
        return SelectiveSSMLayer(self.hidden_size, expansion * self.hidden_size, states, width, is_read)
