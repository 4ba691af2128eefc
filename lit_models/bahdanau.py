"""Bahdanau attention: an encoder-decoder that searches the source anew for every target token.

Shapes: B sequences, S source positions, T target positions, E embedding size, H hidden size, L layers, M memory size,
A attention size, V target vocabulary.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from data.batch import Batch
from lit_models.contract import Memory, Output
from lit_models.kernels.linear import Linear
from lit_models.kernels.step_products import step_matmul
from lit_models.layers.attention import ScoreName, make_score, masked_softmax, padding_added
from lit_models.layers.cells import State
from lit_models.layers.recurrent import Cell, DecoderSteps, make_layers
from lit_models.layers.recurrent_seq2seq import Readout, RecurrentSeq2Seq


class BahdanauState(NamedTuple):
    """The decoder's state, and what the attention needs of the source at every step.

    Where a sentence has K hypotheses, the layers have B x K rows and the source still B.
    """

    layers: list[State]  # s_i of each decoder layer, ((B, H),)
    source: Tensor  # h_j: (B, S, M)
    keys: Tensor  # U h_j: (B, S, A)
    mask: Tensor | None  # added to e_i: -inf at padding, (B, 1, S)

    per_sentence = ("source", "keys", "mask")


class Bahdanau(RecurrentSeq2Seq):
    """RNNsearch (Bahdanau et al. 2015, appendix A): a GRU decoder with additive attention.

    For target step i with previous state s_{i-1} and embedded token y_{i-1}:

        e_ij = v^T tanh(W s_{i-1} + U h_j)            alpha_i = softmax(e_i)          c_i = sum_j alpha_ij h_j
        s_i = GRU([y_{i-1}; c_i], s_{i-1})            s_0 = tanh(W_s h_1 of the backward direction)
        p(y_i) = softmax(W_o maxout(U_o s_{i-1} + V_o y_{i-1} + C_o c_i))

    The paper's section 3.1 has s_i in the last line (equation 4): `readout_state: current`. The prediction then knows
    y_{i-1} and c_i through the recurrent layer too.

    The encoder's states are h_j = [forward h_j; backward h_j], made by torch's GRU; a unidirectional encoder has the
    first half alone. With it, and with `reverse_source`, s_0 comes from the last state that was computed. With several
    layers the attention reads the top one, and all begin by the same W_s.

    Deviations: torch's GRU applies the reset gate behind the recurrent product, and its update gate keeps the old
    state where the paper's takes the new one. U, W_s, W_o and the maxout have biases, which the paper leaves out. The
    paper's model is `bidirectional: true`.

    The attention needs the state before the step, so steps cannot be fused. U h_j, what the gates get of the tokens,
    and the output layer are computed for all steps at once.

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
        # The last H entries are the state that the backward direction, or the only one, computed last.
        last = memory.final[0][:, :, -self.hidden_size :]  # (B, L, H)
        s = torch.tanh(self.first_state(last))  # s_0 = tanh(W_s h_1)
        layers: list[State] = [(of_layer,) for of_layer in s.unbind(dim=1)]
        return BahdanauState(layers, memory.states, self.score.keys(memory.states), padding_added(memory))

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths, batch.on_host))
        logits, attention, _ = self._decode(batch.target_in, state)
        return Output(logits, attention)

    def step(self, token: Tensor, state: BahdanauState) -> tuple[Tensor, BahdanauState, Tensor]:
        logits, attention, state = self._decode(token[:, None], state)
        return logits[:, 0], state, attention[:, 0]

    def _decode(self, tokens: Tensor, state: BahdanauState) -> tuple[Tensor, Tensor, BahdanauState]:
        """Target steps i = 1 … T: (B, T) tokens -> (B, T, V) logits, (B, T, S) attention, the last state."""
        y = self.embed(self.target_embedding, tokens)  # y_{i-1}: (B, T, E)
        steps, sentences, layers = y.shape[1], len(state.source), state.layers
        # The products of the loop. What their matrices get as gradients is computed behind it.
        score = self.score.at_steps(state.keys, steps)
        weighted_sum = step_matmul(state.source, steps)
        gru = DecoderSteps(self.decoder, y, self.dropout.p if self.training else 0.0)
        s, states, contexts, alignment = layers[-1][0], [layers[-1][0]], [], []
        for _ in range(steps):
            # The hypotheses of a sentence ask the same source, as so many target positions would: (B, K, H).
            e = score(s.unflatten(0, (sentences, -1)))  # e_ij = v^T tanh(W s_{i-1} + U h_j)
            alpha = masked_softmax(e, state.mask)  # alpha_ij = exp(e_ij) / sum_k exp(e_ik)
            c = weighted_sum(alpha).flatten(0, 1)  # c_i = sum_j alpha_ij h_j
            layers = gru(c, layers)  # s_i = GRU([y_{i-1}; c_i], s_{i-1})
            s = layers[-1][0]
            states.append(s)
            contexts.append(c)
            alignment.append(alpha.flatten(0, 1))
        read = torch.stack(states[:-1] if self.readout_state == "previous" else states[1:], dim=1)  # s_{i-1}, or s_i
        logits = self.readout(self.dropout(torch.cat([read, y, torch.stack(contexts, dim=1)], dim=-1)))
        return logits, torch.stack(alignment, dim=1), state._replace(layers=layers)
