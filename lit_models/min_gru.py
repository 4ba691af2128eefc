"""The minimal GRU: gates that see the input alone."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_models.contract import require
from lit_models.kernels.linear import Linear
from lit_models.layers.linear_recurrent_seq2seq import LinearRecurrentSeq2Seq, Recurrence, ShortConvolution, State
from lit_models.layers.scan import scan


class MinGRULayer(Recurrence):
    """h_t = (1 - z_t) * h_{t-1} + z_t * g(W_h x_t), behind a short convolution. Its outputs are its states."""

    def __init__(self, size: int, conv_width: int, candidate: str) -> None:
        super().__init__()
        self.convolution = ShortConvolution(size, conv_width) if conv_width else None
        self.gate = Linear(size, size)
        self.candidate = Linear(size, size)
        self.positive = candidate == "positive"
        self.shapes = [(size,)] + ([self.convolution.shape] if self.convolution else [])

    def forward(self, inputs: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        h, *tail = state
        x = inputs
        if self.convolution is not None:
            x, tail[0] = self.convolution(x, tail[0], blocked)
        z = torch.sigmoid(self.gate(x).to(h.dtype))  # z_t = sigmoid(W_z x_t)
        if blocked is not None:
            z = z.masked_fill(blocked[:, :, None], 0.0)
        candidate = self.candidate(x).to(h.dtype)
        if self.positive:
            candidate = torch.where(candidate >= 0, candidate + 0.5, F.sigmoid(candidate))
        states = scan(1 - z, z * candidate, h)
        return states, (states[:, -1], *tail)


class MinGRU(LinearRecurrentSeq2Seq):
    """minGRU (Feng et al. 2024), joined by a fixed context. Its gate does not read the state:

        z_t = sigmoid(W_z x_t + b_z)        h_t = (1 - z_t) h_{t-1} + z_t g(W_h x_t + b_h)

    A block is that of the paper's language model: a short convolution and minGRU, then a feed-forward part, each
    around a residual connection and behind a normalisation.

    Args:
        conv_width: tokens that the short convolution before a recurrence sees, itself included; 0 leaves it out.
        candidate: g, linear (section 3.1) or positive: x + 0.5 above zero and sigmoid(x) below, which the paper needs
            in log space (appendix B.2). The scan here is not in log space.
        **kwargs: options of the stacks, see LinearRecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    def __init__(
        self, *, conv_width: int = 4, candidate: Literal["linear", "positive"] = "linear", **kwargs: Any
    ) -> None:
        require(conv_width >= 0, "conv_width", conv_width, "must be at least 0")
        require(candidate in ("linear", "positive"), "candidate", candidate, "is unknown; choose linear or positive")
        super().__init__(**kwargs)

    def make_recurrence(self, is_read: bool) -> MinGRULayer:
        return MinGRULayer(self.hidden_size, self.options["conv_width"], self.options["candidate"])
