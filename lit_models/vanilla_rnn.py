"""The vanilla RNN encoder-decoder."""

from typing import Any, Literal

from lit_models.recurrent import Cell, FixedContextSeq2Seq


class VanillaRNN(FixedContextSeq2Seq):
    """A fixed-context encoder-decoder of simple recurrent layers, h_t = tanh(W x_t + U h_{t-1} + b) (Elman 1990).

    The defaults are those of Sutskever et al. 2014 made small: the decoder starts from the encoder's final state.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning (Sutskever et al. 2014).
        context: the decoder sees the source in its initial-state only, or at every-step (Cho et al. 2014).
        readout: the output layer, linear or maxout (Cho et al. 2014).
        readout_size: pairs of a maxout layer; None takes hidden_size.
        **kwargs: training options, see LitSeq2Seq.
    """

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse_source: bool = False,
        context: Literal["initial-state", "every-step"] = "initial-state",
        readout: Literal["linear", "maxout"] = "linear",
        readout_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            reverse_source=reverse_source,
            context=context,
            readout=readout,
            readout_size=readout_size,
            **kwargs,
        )

    @property
    def cell(self) -> Cell:
        return "rnn"
