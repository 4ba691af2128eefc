"""Luong's global attention: every source position is looked at."""

from typing import Any, Literal

from torch import Tensor

from lit_models.attention import masked_softmax
from lit_models.luong import LuongSeq2Seq, Source
from lit_models.recurrent import Cell


class LuongGlobal(LuongSeq2Seq):
    """Global attention (Luong et al. 2015, section 3.1): a_t = softmax(score(h_t, h_s)) over the whole source.

    The paper's model is `num_layers: 4`, `input_feeding: true`, `dropout: 0.2`, `reverse_source: true`.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        attention_size: size of the hidden layer of additive and concat scores; None takes hidden_size.
        num_layers: recurrent layers of the encoder, and of the decoder.
        cell: lstm as in the paper, gru or rnn.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning.
        score: how decoder state and source position are compared.
        location_positions: source positions a location score can tell apart.
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
        score: Literal["additive", "dot", "scaled-dot", "general", "concat", "location"] = "general",
        location_positions: int = 50,
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
            location_positions=location_positions,
            input_feeding=input_feeding,
            **kwargs,
        )

    def attend(self, queries: Tensor, taken: Tensor, source: Source) -> Tensor:
        return masked_softmax(self.score(queries, source.keys), source.blocked)
