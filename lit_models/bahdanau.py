"""Bahdanau attention: an encoder-decoder that searches the source anew for every target token."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from data.batch import Batch
from lit_models.contract import Memory, Output
from lit_models.kernels import linear, step_products
from lit_models.kernels.linear import Linear
from lit_models.layers.attention import ScoreName, make_score, masked_softmax
from lit_models.layers.recurrent import (
    Cell,
    Readout,
    RecurrentSeq2Seq,
    State,
    StepMaps,
    layer_weights,
    make_layers,
    step_layers,
    step_maps,
)


class BahdanauState(NamedTuple):
    """One entry a decoder layer, each ((B, H),), and what the attention needs of the source at every step.

    Where a sentence has K hypotheses, the layers have B x K rows and the source still B.
    """

    layers: list[State]
    source: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, A)
    blocked: Tensor | None  # (B, 1, S)

    per_sentence = ("source", "keys", "blocked")


class LoopMaps(NamedTuple):
    """The products that every step makes."""

    score: Callable[[Tensor], Tensor]  # (B, K, H) -> (B, K, S)
    context: Callable[[Tensor], Tensor]  # (B, K, S) -> (B, K, M)
    gates: Callable[[Tensor], Tensor]  # (B x K, M) contexts -> (B x K, 3H), input of the first layer times its weights
    decoder: StepMaps


class Bahdanau(RecurrentSeq2Seq):
    """RNNsearch (Bahdanau et al. 2015, appendix A): a GRU decoder with additive attention.

    For target step i with previous state s_{i-1} and embedded token y_{i-1}:

        e_ij = v^T tanh(W s_{i-1} + U h_j)            alpha_i = softmax(e_i)          c_i = sum_j alpha_ij h_j
        s_i = GRU([y_{i-1}; c_i], s_{i-1})            s_0 = tanh(W_s h_1 of the backward direction)
        p(y_i) = softmax(W_o maxout(U_o s_{i-1} + V_o y_{i-1} + C_o c_i))

    The paper's section 3.1 has s_i in the last line (equation 4): `readout_state: current`. The prediction then knows
    y_{i-1} and c_i through the recurrent layer too.

    With a unidirectional encoder s_0 comes from its last state. With several layers the attention reads the top
    one. Deviation: torch's GRU applies the reset gate behind the recurrent product, and its update gate keeps the
    old state where the paper's takes the new one. The paper's model is `bidirectional: true`.

    The attention needs the state before the step, so steps cannot be fused; keys, the embedded tokens' share of
    the gates, and the output layer are computed for all steps at once.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        embedding_std: standard deviation of the initial embeddings; text wants about 0.1, so that a rare word is not
            mostly noise.
        attention_size: size of the attention's hidden layer; None takes hidden_size.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: read the source in both directions, as in the paper.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning.
        score: how decoder state and source position are compared; additive in the paper.
        location_positions: source positions a location score can tell apart.
        readout: the output layer, maxout as in the paper or linear.
        readout_size: pairs of the maxout layer; None takes hidden_size.
        readout_state: the decoder state that the output layer reads, previous as in the paper's appendix, or current.
        **kwargs: options of initialisation, see RecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    display_name = "Bahdanau attention"
    attends = True
    work, sequential_operations, path_length = "n·d² + n²·d", "O(n)", "O(1)"

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_size: int | None = None,
        embedding_std: float = 1.0,
        attention_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse_source: bool = False,
        score: ScoreName = "additive",
        location_positions: int = 50,
        readout: Literal["linear", "maxout"] = "maxout",
        readout_size: int | None = None,
        readout_state: Literal["previous", "current"] = "previous",
        **kwargs: Any,
    ) -> None:
        if readout_state not in ("previous", "current"):
            raise ValueError(f"model.readout_state: '{readout_state}' is unknown; choose previous or current")
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
        memory_size = self.encoder.output_size
        self.first_state = Linear(hidden_size, hidden_size)  # W_s
        self.score = make_score(score, hidden_size, memory_size, attention_size or hidden_size, location_positions)
        self.decoder = make_layers(self.cell, self.embedding_size + memory_size, hidden_size, num_layers, dropout)
        self.initialise(self.decoder)
        self.readout = Readout(
            readout,
            hidden_size + self.embedding_size + memory_size,
            readout_size or hidden_size,
            self.target_vocab_size,
        )
        self.readout_state = readout_state
        self.tie(self.readout.output)

    @property
    def cell(self) -> Cell:
        return "gru"

    def start(self, memory: Memory) -> BahdanauState:
        # The last H entries are the backward direction's state at the first word, or the only direction's.
        last = memory.final[0][:, :, -self.hidden_size :]  # (B, L, H)
        layers = [(state,) for state in torch.tanh(self.first_state(last)).unbind(dim=1)]
        blocked = None if memory.blocked is None else memory.blocked[:, None, :]
        return BahdanauState(layers, memory.states, self.score.keys(memory.states), blocked)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths))
        inputs = self.embed(self.target_embedding, batch.target_in)  # (B, T, E)
        maps = self._maps(state, inputs.transpose(0, 1))
        hidden, contexts, attention = [state.layers[-1][0]], [], []
        for _ in range(inputs.shape[1]):
            state, context, weights = self._advance(maps, state)
            hidden.append(state.layers[-1][0])
            contexts.append(context)
            attention.append(weights)
        states = hidden[:-1] if self.readout_state == "previous" else hidden[1:]
        read = torch.cat([torch.stack(states, 1), inputs, torch.stack(contexts, 1)], dim=-1)
        return Output(self.readout(self.dropout(read)), torch.stack(attention, dim=1))

    def step(self, token: Tensor, state: BahdanauState) -> tuple[Tensor, BahdanauState, Tensor]:
        inputs = self.embed(self.target_embedding, token)  # (B, E)
        previous = state.layers[-1][0]
        state, context, weights = self._advance(self._maps(state, inputs[None]), state)
        hidden = previous if self.readout_state == "previous" else state.layers[-1][0]
        logits = self.readout(self.dropout(torch.cat([hidden, inputs, context], dim=-1)))
        return logits, state, weights

    def _maps(self, state: BahdanauState, inputs: Tensor) -> LoopMaps:
        """The products of a loop over embedded tokens (T, B, E), whose share of the gates is computed at once."""
        steps, rows, size = inputs.shape
        weight, bias = layer_weights(self.decoder, "ih", 0)
        embedded = linear.affine(inputs, weight[:, :size], bias)  # (T, B, 3H)
        return LoopMaps(
            self.score.at_steps(state.keys, steps),
            step_products.step_matmul(state.source, steps),
            step_products.step_linear(weight[:, size:], embedded, rows, steps),
            step_maps(self.decoder, rows, steps),
        )

    def _advance(self, maps: LoopMaps, state: BahdanauState) -> tuple[BahdanauState, Tensor, Tensor]:
        """One step: the next state, the context (B, M) and the weights (B, S)."""
        # The hypotheses of a sentence ask the same source, as so many target positions would: (B, K, H).
        queries = state.layers[-1][0].unflatten(0, (len(state.source), -1))
        weights = masked_softmax(maps.score(queries), state.blocked)  # (B, K, S)
        context = maps.context(weights).flatten(0, 1)
        _, layers = step_layers(
            self.decoder, maps.decoder, maps.gates(context), state.layers, self.dropout.p, self.training
        )
        return state._replace(layers=layers), context, weights.flatten(0, 1)
