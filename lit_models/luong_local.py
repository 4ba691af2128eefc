"""Luong's local attention: a window of the source around one position is looked at."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lit_models.attention import masked_softmax
from lit_models.base import require
from lit_models.luong import LuongSeq2Seq, Source
from lit_models.recurrent import Cell


class LuongLocal(LuongSeq2Seq):
    """Local attention (Luong et al. 2015, section 3.2): a softmax over the positions s with |s - p_t| <= D.

    monotonic (local-m): p_t = t, at most the last source position.
    predictive (local-p): p_t = S sigmoid(v^T tanh(W_p h_t)), and the weights are multiplied by
    exp(-(s - p_t)^2 / (2 sigma^2)) with sigma = D / 2 behind the softmax. They are not renormalised, so they sum
    to less than one; p_t is real-valued and learns through this factor alone.

    Source and target positions are counted from 0. S is each row's own length.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        attention_size: size of the hidden layer of additive and concat scores; None takes hidden_size.
        num_layers: recurrent layers of the encoder, and of the decoder.
        cell: lstm as in the paper, gru or rnn.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning.
        score: how decoder state and source position are compared; the paper has no location score here.
        alignment: monotonic (local-m) or predictive (local-p).
        window: D, positions on each side of p_t.
        input_feeding: feed each attentional vector into the next step (section 3.3).
        **kwargs: training options, see LitSeq2Seq.
    """

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_size: int | None = None,
        attention_size: int | None = None,
        num_layers: int = 1,
        cell: Cell = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse_source: bool = False,
        score: Literal["additive", "dot", "scaled-dot", "general", "concat"] = "general",
        alignment: Literal["monotonic", "predictive"] = "predictive",
        window: int = 10,
        input_feeding: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            attention_size=attention_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            reverse_source=reverse_source,
            score=score,
            location_positions=1,
            input_feeding=input_feeding,
            **kwargs,
        )
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
            self.position = nn.Linear(hidden_size, hidden_size, bias=False)  # W_p
            self.position_energy = nn.Linear(hidden_size, 1, bias=False)  # v_p

    def attend(self, queries: Tensor, taken: Tensor, source: Source) -> Tensor:
        positions = torch.arange(source.states.shape[1], device=queries.device)
        centre = self.centre(queries, taken, source.lengths)
        distance = positions - centre[:, :, None]  # (B, T, S)
        outside = distance.abs() > self.window
        blocked = outside if source.blocked is None else outside | source.blocked
        weights = masked_softmax(self.score(queries, source.keys), blocked)
        if not self.predictive:
            return weights
        sigma = self.window / 2
        return weights * torch.exp(-(distance**2) / (2 * sigma**2))

    def centre(self, queries: Tensor, taken: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, H) top states and (B, T) target positions -> (B, T) window centres p_t."""
        if not self.predictive:
            return torch.minimum(taken, lengths[:, None] - 1)
        share = torch.sigmoid(self.position_energy(torch.tanh(self.position(queries)))).squeeze(-1)
        return lengths[:, None] * share
