"""Luong's local attention: a window of the source around one position is looked at."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

from lit_models.contract import require
from lit_models.kernels.linear import Linear
from lit_models.kernels.step_products import Map
from lit_models.layers.attention import masked_softmax
from lit_models.luong import LuongSeq2Seq, Source


class LuongLocal(LuongSeq2Seq):
    """Local attention (Luong et al. 2015, section 3.2): a softmax over the positions s with |s - p_t| <= D.

    monotonic (local-m): p_t = t, at most the last source position.
    predictive (local-p): p_t = S sigmoid(v^T tanh(W_p h_t)), and the weights are multiplied by
    exp(-(s - p_t)^2 / (2 sigma^2)) with sigma = D / 2 behind the softmax. They are not renormalised, so they sum
    to less than one; p_t is real-valued and learns through this factor alone.

    Source and target positions are counted from 0. S is each row's own length.

    Args:
        alignment: monotonic (local-m) or predictive (local-p).
        window: D, positions on each side of p_t.
        **kwargs: the options of LuongSeq2Seq, of which a location score has no local form, and LitSeq2Seq.
    """

    display_name = "Luong local"
    windowed = True
    path_length = "O(n)"  # outside its window the way leads through the encoder

    def __init__(
        self,
        *,
        alignment: Literal["monotonic", "predictive"] = "predictive",
        window: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        score, hidden_size = self.options["score"], self.hidden_size
        require(score != "location", "score", score, "has no local form; choose another score or LuongGlobal")
        require(window >= 1, "window", window, "must be at least 1")
        require(
            alignment in ("monotonic", "predictive"),
            "alignment",
            alignment,
            "is unknown; choose monotonic or predictive",
        )
        self.window = window
        self.predictive = alignment == "predictive"
        if self.predictive:
            self.position = Linear(hidden_size, hidden_size, bias=False)  # W_p
            self.position_energy = Linear(hidden_size, 1, bias=False)  # v_p

    def attend(self, h: Tensor, position: Tensor, source: Source, score: Map) -> Tensor:
        p = self.centre(h, position, source.lengths)  # p_t: (B, T)
        distance = torch.arange(source.states.shape[1], device=h.device) - p[:, :, None]  # s - p_t: (B, T, S)
        outside = distance.abs() > self.window
        a = masked_softmax(score(h).masked_fill(outside, -math.inf), source.mask)  # align(h_t, h_s), |s - p_t| <= D
        if not self.predictive:
            return a
        sigma = self.window / 2
        return a * torch.exp(-(distance**2) / (2 * sigma**2))  # align(h_t, h_s) exp(-(s - p_t)^2 / (2 sigma^2))

    def centre(self, h: Tensor, position: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, H) top states and (B, T) target positions -> (B, T) window centres p_t."""
        if not self.predictive:
            return torch.minimum(position, lengths[:, None] - 1)  # p_t = t
        share = torch.sigmoid(self.position_energy(torch.tanh(self.position(h)))).squeeze(-1)
        return lengths[:, None] * share  # p_t = S sigmoid(v_p^T tanh(W_p h_t))
