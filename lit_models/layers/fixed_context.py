"""The encoder-decoder with a fixed context, of which the RNN, the LSTM and the GRU are three kinds.

Shapes: B sequences, T target positions, E embedding size, H hidden size, L layers, V target vocabulary.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from data.batch import Batch
from lit_models.contract import Memory, Output, require
from lit_models.kernels.linear import Linear
from lit_models.layers.cells import State
from lit_models.layers.recurrent import make_layers, run_layers
from lit_models.layers.recurrent_seq2seq import Bridge, Readout, RecurrentSeq2Seq


class FixedContextState(NamedTuple):
    """The decoder's state, parts (B, L, H), and the context (B, H) that every step reads, or None."""

    hidden: State  # s_t
    context: Tensor | None  # c


class FixedContextSeq2Seq(RecurrentSeq2Seq):
    """An encoder-decoder whose decoder sees the source only through the encoder's final state.

    `initial-state` starts the decoder from that state (Sutskever et al. 2014). `every-step` makes of it a context
    c = tanh(V h_S), starts the decoder from tanh(V' c), and feeds c into every decoder step and into the output
    layer (Cho et al. 2014, appendix A.1). Deviation for the GRU: torch's candidate is
    tanh(W x + r * (U h) + C c), with the context outside the reset gate, where Cho et al. have r * (U h + C c).

    The decoder's input never depends on its own output, so all steps are one fused call.

    The defaults are those of Sutskever et al. 2014 made small.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        embedding_std: standard deviation of the initial embeddings; text wants about 0.1, so that a rare word is not
            mostly noise.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning (Sutskever et al. 2014).
        context: the decoder sees the source in its initial-state only, or at every-step (Cho et al. 2014).
        readout: the output layer, linear or maxout (Cho et al. 2014).
        readout_size: pairs of a maxout layer; None takes hidden_size.
        **kwargs: options of initialisation, see RecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    attends = False
    work, sequential_operations, path_length = "n·d²", "O(n)", "O(n)"

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_size: int | None = None,
        embedding_std: float = 1.0,
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
            embedding_std=embedding_std,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            reverse_source=reverse_source,
            **kwargs,
        )
        hidden, embedding = self.hidden_size, self.embedding_size
        memory = self.encoder.output_size
        require(
            context in ("initial-state", "every-step"),
            "context",
            context,
            "is unknown; choose initial-state or every-step",
        )
        self.every_step = context == "every-step"
        decoder_input, readout_input = embedding, hidden
        if self.every_step:
            self.to_context = Linear(memory, hidden)
            parts = 2 if self.cell == "lstm" else 1
            self.from_context = Linear(hidden, parts * num_layers * hidden)
            decoder_input, readout_input = embedding + hidden, hidden + embedding + hidden
        else:
            self.bridge = Bridge(self.cell, memory, hidden)
        self.decoder = make_layers(self.cell, decoder_input, hidden, num_layers, self.dropout.p)
        self.initialise(self.decoder)
        self.readout = Readout(readout, readout_input, readout_size or hidden, self.target_vocab_size)
        self.tie(self.readout.output)

    @property
    def context_size(self) -> int:
        if self.every_step:
            return self.hidden_size
        return (2 if self.cell == "lstm" else 1) * self.num_layers * self.hidden_size

    def start(self, memory: Memory) -> FixedContextState:
        if not self.every_step:
            return FixedContextState(self.bridge(memory.final), None)  # s_0 = h_S
        c = torch.tanh(self.to_context(memory.final[0][:, -1]))  # c = tanh(V h_S): (B, H)
        s = torch.tanh(self.from_context(c))  # s_0 = tanh(V' c)
        return FixedContextState(tuple(s.unflatten(1, (-1, self.num_layers, self.hidden_size)).unbind(dim=1)), c)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths, batch.on_host))
        logits, _ = self._decode(batch.target_in, state)
        return Output(logits, None)

    def step(self, token: Tensor, state: FixedContextState) -> tuple[Tensor, FixedContextState, None]:
        logits, state = self._decode(token[:, None], state)
        return logits[:, 0], state, None

    def _decode(self, tokens: Tensor, state: FixedContextState) -> tuple[Tensor, FixedContextState]:
        """(B, T) tokens -> (B, T, V) logits and the last state. All target steps t are one fused call."""
        y = self.embed(self.target_embedding, tokens)  # y_{t-1}: (B, T, E)
        if state.context is None:
            s, last = run_layers(self.decoder, y, state.hidden)  # s_t = f(y_{t-1}, s_{t-1})
            read = s
        else:
            c = state.context[:, None, :].expand(-1, y.shape[1], -1)
            s, last = run_layers(self.decoder, torch.cat([y, c], -1), state.hidden)  # s_t = f([y_{t-1}; c], s_{t-1})
            read = torch.cat([s, y, c], dim=-1)
        return self.readout(self.dropout(read)), state._replace(hidden=last)
