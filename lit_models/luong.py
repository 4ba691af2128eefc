"""What Luong's global and local attention share: everything but where the attention looks.

Shapes: B sequences, S source positions, T target positions, E embedding size, H hidden size, L layers, M memory size,
V target vocabulary.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from data.batch import Batch
from lit_models.contract import Memory, Output
from lit_models.kernels.linear import Linear
from lit_models.kernels.step_products import Map, step_linear, step_matmul
from lit_models.layers.attention import ScoreName, make_score, padding_added
from lit_models.layers.cells import State
from lit_models.layers.recurrent import Cell, DecoderSteps, make_layers, run_layers, stack, unstack
from lit_models.layers.recurrent_seq2seq import Bridge, RecurrentSeq2Seq


class Source(NamedTuple):
    """What the attention needs of the source, computed once a sentence."""

    states: Tensor  # h_s: (B, S, M)
    keys: Tensor  # W h_s, or whatever the score computes once a sentence
    lengths: Tensor  # (B,)
    mask: Tensor | None  # added to scores: -inf at padding, (B, 1, S)


class LuongState(NamedTuple):
    """The decoder's state. Where a sentence has K hypotheses, it has B x K rows, but the source still B."""

    layers: State  # h_t of all layers, parts (B, L, H)
    fed: Tensor | None  # h~_t, which the next step reads, (B, H); None without input feeding
    position: Tensor  # target position of the next step, from 0, (B,)
    source: Source

    per_sentence = ("source",)


class Maps(NamedTuple):
    """The products of a step by their matrices, all steps at once or one in a loop."""

    score: Map  # h_t -> its scores with all h_s: (B, T, H) -> (B, T, S)
    weighted_sum: Map  # a_t -> sum_s a_t(s) h_s: (B, T, S) -> (B, T, M)
    combine: Map  # W_c: (B, T, M + H) -> (B, T, H)


class LuongSeq2Seq(RecurrentSeq2Seq):
    """Luong et al. 2015: stacked recurrent layers, attention with the *current* top state h_t.

        a_t = align(h_t, source)     c_t = sum_s a_t(s) h_s     h~_t = tanh(W_c [c_t; h_t])     p = softmax(W_s h~_t)

    Without input feeding the decoder is one fused call and attention one batched product. With it h~_{t-1} joins the
    input of step t (section 3.3), so steps cannot be fused; what the gates get of the tokens, and the output layer are
    computed for all steps at once.

    Deviations: W_s has a bias. The halves of a bidirectional encoder's last states, of which the paper has one, pass
    tanh(W [forward; backward]) to become the decoder's first.

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
    def attend(self, h: Tensor, position: Tensor, source: Source, score: Map) -> Tensor:
        """Weights a_t of the source positions.

        Args:
            h: (B, T, H) top states h_t of the decoder.
            position: (B, T) their target positions t, from 0.
            source: what is known of the source.
            score: (B, T, H) states -> (B, T, S) their scores with all source positions.

        Returns:
            (B, T, S)
        """

    def start(self, memory: Memory) -> LuongState:
        source = Source(memory.states, self.score.keys(memory.states), memory.lengths, padding_added(memory))
        layers = self.bridge(memory.final)
        fed = torch.zeros_like(layers[0][:, -1]) if self.input_feeding else None
        return LuongState(layers, fed, torch.zeros_like(memory.lengths), source)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths, batch.on_host))
        logits, attention, _ = self._decode(batch.target_in, state)
        return Output(logits, attention)

    def step(self, token: Tensor, state: LuongState) -> tuple[Tensor, LuongState, Tensor]:
        logits, attention, state = self._decode(token[:, None], state)
        return logits[:, 0], state, attention[:, 0]

    def _decode(self, tokens: Tensor, state: LuongState) -> tuple[Tensor, Tensor, LuongState]:
        """(B, T) tokens -> (B, T, V) logits, (B, T, S) attention, the last state."""
        y = self.embed(self.target_embedding, tokens)  # y_{t-1}: (B, T, E)
        if state.fed is None:
            attentional, attention, state = self._all_steps(y, state)
        else:
            attentional, attention, state = self._step_by_step(y, state.fed, state)
        return self.output(self.dropout(attentional)), attention, state  # W_s h~_t

    def _all_steps(self, y: Tensor, state: LuongState) -> tuple[Tensor, Tensor, LuongState]:
        """(B, T, E) tokens -> (B, T, H) attentional vectors, (B, T, S) attention, the last state."""
        steps = torch.arange(y.shape[1], device=y.device)
        h, layers = run_layers(self.decoder, y, state.layers)  # h_t = LSTM(y_{t-1}, h_{t-1})
        maps = self._maps(state.source, 1, self.combine)
        attentional, attention = self._attentional(h, state.position[:, None] + steps, state.source, maps)
        return attentional, attention, state._replace(layers=layers, position=state.position + len(steps))

    def _step_by_step(self, y: Tensor, fed: Tensor, state: LuongState) -> tuple[Tensor, Tensor, LuongState]:
        """The same with input feeding: a step reads the attentional vector (B, H) of the one before."""
        rows, steps, _ = y.shape
        recurrent = DecoderSteps(self.decoder, y, self.dropout.p if self.training else 0.0)
        maps = self._maps(state.source, steps, step_linear(self.combine.weight, None, rows, steps))
        layers, position = unstack(state.layers), state.position
        vectors, attention = [], []
        for _ in range(steps):
            layers = recurrent(fed, layers)  # h_t = LSTM([y_{t-1}; h~_{t-1}], h_{t-1})
            fed, weights = self._attentional(layers[-1][0], position, state.source, maps)
            position = position + 1
            vectors.append(fed)
            attention.append(weights)
        state = state._replace(layers=stack(layers), fed=fed, position=position)
        return torch.stack(vectors, dim=1), torch.stack(attention, dim=1), state

    def _maps(self, source: Source, steps: int, combine: Map) -> Maps:
        """The products of a loop of so many steps; their gradients are computed behind it."""
        return Maps(self.score.at_steps(source.keys, steps), step_matmul(source.states, steps), combine)

    def _attentional(self, h: Tensor, position: Tensor, source: Source, maps: Maps) -> tuple[Tensor, Tensor]:
        """States h_t (B, T, H) at positions (B, T) -> attentional vectors (B, T, H), attention (B, T, S).

        In a loop, one step: (B, H) at (B,) -> (B, H), (B, S).
        """
        # The hypotheses of a sentence ask the same source, as so many target positions would.
        queries = h.reshape(len(source.states), -1, h.shape[-1])
        a = self.attend(queries, position.reshape(len(source.states), -1), source, maps.score)  # a_t = align(h_t, h_s)
        c = maps.weighted_sum(a).view(*h.shape[:-1], -1)  # c_t = sum_s a_t(s) h_s
        attentional = torch.tanh(maps.combine(torch.cat([c, h], dim=-1)))  # h~_t = tanh(W_c [c_t; h_t])
        return attentional, a.view(*h.shape[:-1], -1)
