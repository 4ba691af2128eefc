"""What Luong's global and local attention share: everything but where the attention looks.

Shapes: B sequences, S source positions, T target positions, H hidden size, L layers, M memory size.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from data.batch import Batch
from lit_models.contract import Memory, Output
from lit_models.kernels import linear, step_products
from lit_models.kernels.linear import Linear
from lit_models.layers.attention import ScoreName, make_score
from lit_models.layers.recurrent import (
    Bridge,
    Cell,
    RecurrentSeq2Seq,
    State,
    layer_weights,
    make_layers,
    run_layers,
    stack,
    step_layers,
    step_maps,
    unstack,
)

Map = Callable[[Tensor], Tensor]


class Source(NamedTuple):
    """What the attention needs of the source, computed once a sentence."""

    states: Tensor  # (B, S, M)
    keys: Tensor  # as the score wants them
    lengths: Tensor  # (B,)
    blocked: Tensor | None  # (B, 1, S)


class LuongState(NamedTuple):
    """The decoder's layers, parts (B, L, H); the attentional vector fed to the next step, (B, H), or None without
    input feeding; the number of steps taken, (B,). Where a sentence has K hypotheses, these have B x K rows and the
    source still B."""

    layers: State
    fed: Tensor | None
    taken: Tensor
    source: Source

    per_sentence = ("source",)


class LuongSeq2Seq(RecurrentSeq2Seq):
    """Luong et al. 2015: stacked recurrent layers, attention with the *current* top state h_t.

        a_t = align(h_t, source)     c_t = sum_s a_t(s) h_s     h~_t = tanh(W_c [c_t; h_t])     p = softmax(W_s h~_t)

    With input feeding h~_{t-1} joins the next step's input (section 3.3) and steps cannot be fused; keys, the
    embedded tokens' share of the gates, and the output layer are computed for all steps at once. Without it the
    decoder is one fused call and attention one batched product.

    A subclass says in `attend` where the attention looks. The paper's models have `num_layers: 4`,
    `input_feeding: true`, `dropout: 0.2` and `reverse_source: true`.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        embedding_std: standard deviation of the initial embeddings; text wants about 0.1, so that a rare word is not
            mostly noise.
        attention_size: size of the hidden layer of additive and concat scores; None takes hidden_size.
        num_layers: recurrent layers of the encoder, and of the decoder.
        cell: lstm as in the paper, gru or rnn.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning.
        score: how decoder state and source position are compared.
        location_positions: source positions a location score can tell apart.
        input_feeding: feed each attentional vector into the next step (section 3.3).
        **kwargs: options of initialisation, see RecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

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
        cell: Cell = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse_source: bool = False,
        score: ScoreName = "general",
        location_positions: int = 50,
        input_feeding: bool = False,
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
        hidden, memory = hidden_size, self.encoder.output_size
        self.input_feeding = input_feeding
        self.bridge = Bridge(self.cell, memory, hidden)
        self.score = make_score(score, hidden, memory, attention_size or hidden, location_positions)
        decoder_input = self.embedding_size + (hidden if input_feeding else 0)
        self.decoder = make_layers(self.cell, decoder_input, hidden, self.num_layers, self.dropout.p)
        self.initialise(self.decoder)
        self.combine = Linear(memory + hidden, hidden, bias=False)  # W_c
        self.output = Linear(hidden, self.target_vocab_size)  # W_s
        self.tie(self.output)

    @property
    def cell(self) -> Cell:
        return self.options["cell"]  # which is known before the constructor runs

    @abstractmethod
    def attend(self, queries: Tensor, taken: Tensor, source: Source, score: Map) -> Tensor:
        """Weights of the source positions.

        Args:
            queries: (B, T, H) top states of the decoder.
            taken: (B, T) number of steps taken before each of them: its target position, from 0.
            source: what is known of the source.
            score: (B, T, H) queries -> (B, T, S) scores.

        Returns:
            (B, T, S)
        """

    def start(self, memory: Memory) -> LuongState:
        blocked = None if memory.blocked is None else memory.blocked[:, None, :]
        source = Source(
            memory.states,
            self.score.keys(memory.states),
            memory.lengths,
            blocked,
        )
        layers = self.bridge(memory.final)
        fed = torch.zeros_like(layers[0][:, -1]) if self.input_feeding else None
        return LuongState(layers, fed, torch.zeros_like(memory.lengths), source)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths))
        attentional, _, attention = self._decode(batch.target_in, state)
        return Output(self.output(self.dropout(attentional)), attention)

    def step(self, token: Tensor, state: LuongState) -> tuple[Tensor, LuongState, Tensor]:
        attentional, state, attention = self._decode(token[:, None], state)
        return self.output(self.dropout(attentional[:, 0])), state, attention[:, 0]

    def _decode(self, tokens: Tensor, state: LuongState) -> tuple[Tensor, LuongState, Tensor]:
        """(B, T) tokens -> (B, T, H) attentional vectors, the last state, (B, T, S) attention."""
        inputs = self.embed(self.target_embedding, tokens)  # (B, T, E)
        if state.fed is not None:
            return self._decode_feeding(inputs, state.fed, state)
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        top, layers = run_layers(self.decoder, inputs, state.layers)
        score, mix = self.score.at_steps(state.source.keys, 1), step_products.step_matmul(state.source.states, 1)
        context, attention = self._context(top, state.taken[:, None] + steps, state.source, score, mix)
        attentional = torch.tanh(self.combine(torch.cat([context, top], dim=-1)))
        return attentional, state._replace(layers=layers, taken=state.taken + len(steps)), attention

    def _decode_feeding(self, inputs: Tensor, fed: Tensor, state: LuongState) -> tuple[Tensor, LuongState, Tensor]:
        """The same, step by step, each reading the attentional vector of the one before."""
        rows, steps, _ = inputs.shape
        weight, bias = layer_weights(self.decoder, "ih", 0)
        embedded = linear.affine(inputs.transpose(0, 1), weight[:, : self.embedding_size], bias)  # (T, B, gates x H)
        feed = step_products.step_linear(weight[:, self.embedding_size :], embedded, rows, steps)
        combine = step_products.step_linear(self.combine.weight, None, rows, steps)
        maps = step_maps(self.decoder, rows, steps)
        score = self.score.at_steps(state.source.keys, steps)
        mix = step_products.step_matmul(state.source.states, steps)
        layers, taken = unstack(state.layers), state.taken
        vectors, attention = [], []
        for _ in range(steps):
            top, layers = step_layers(self.decoder, maps, feed(fed), layers, self.dropout.p, self.training)
            context, weights = self._context(top[:, None], taken[:, None], state.source, score, mix)
            fed, taken = torch.tanh(combine(torch.cat([context[:, 0], top], dim=-1))), taken + 1
            vectors.append(fed)
            attention.append(weights[:, 0])
        state = state._replace(layers=stack(layers), fed=fed, taken=taken)
        return torch.stack(vectors, dim=1), state, torch.stack(attention, dim=1)

    def _context(self, top: Tensor, taken: Tensor, source: Source, score: Map, mix: Map) -> tuple[Tensor, Tensor]:
        """(B, T, H) top states -> (B, T, M) contexts and (B, T, S) weights."""
        # The hypotheses of a sentence ask the same source, as so many target positions would.
        sentences = len(source.states)
        queries = top.reshape(sentences, -1, top.shape[2])
        weights = self.attend(queries, taken.reshape(sentences, -1), source, score)
        return mix(weights).view(*top.shape[:2], -1), weights.view(*top.shape[:2], -1)
