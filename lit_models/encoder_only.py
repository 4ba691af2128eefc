"""The encoder-only transformer: every output at once.

Shapes: B sequences, S source positions, T target positions, V target vocabulary, D hidden size, N heads.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from data.batch import EOS, Batch, OnHost
from lit_models.contract import Memory, SelfAttention, is_padded, padding_mask
from lit_models.layers.transformer_layers import SelfAttentionLayer, weights_kept
from lit_models.layers.transformer_seq2seq import TransformerSeq2Seq, at, joined, padding_added


class EncoderOnlyState(NamedTuple):
    """All outputs, made before the first step, and which one comes next."""

    logits: Tensor  # (B, S + 1, V)
    attention: Tensor  # (B, S + 1, S)
    lengths: Tensor  # (B,) of the sources
    position: Tensor  # (B x K,) target position of the next step, from 0

    per_sentence = ("logits", "attention", "lengths")


class EncoderOnly(TransformerSeq2Seq):
    """The encoder-only transformer (BERT, Devlin et al. 2019), for targets with a token for each source token, or one.

    The source and an end token are one sequence in one stack, in which each token looks to both sides:

        x_1 … x_n <eos>        the output at x_i is y_i, that at <eos> is EOS

    With one token in all, y_1 is the output at x_1, as in BERT that at its first token, and that at x_2 is EOS. No
    output reads another, nor any of the target: teacher forcing and decoding give the same. Behind EOS there is
    nothing more to say; whoever goes on gets the output at the end token again.

    What it reports as attention is the top layer's, averaged over heads, from where an output is made to the source:
    the share of each source token among all that goes to the source. What goes to the end token is left out.

    Deviations: rectified units where BERT has GELU, pre-norm unless asked for post-norm, sinusoidal positions unless
    asked for others (BERT has learned ones), and no layer between the stack and the output layer.

    Args:
        **kwargs: options of all transformers, see TransformerSeq2Seq, and of training, see LitSeq2Seq.
    """

    display_name = "Encoder-only"
    outputs = ("each", "one")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention_positions = self.make_attention_positions(bidirectional=True)
        self.layers = nn.ModuleList(SelfAttentionLayer(*self.layer_options) for _ in range(self.options["num_layers"]))
        self.norm = self.make_norm()
        self.output = self.make_output(self.source_embedding)
        self.initialise()

    def make_target_embedding(self, tied: bool) -> None:
        return None

    @staticmethod
    def longest_sequence(source: int, target: int) -> int:
        return source + 1

    def room(self, lengths: Tensor) -> Tensor:
        return lengths + 1

    def teacher_forced(self, batch: Batch, shown: range) -> tuple[Tensor, list[Tensor]]:
        padded = is_padded(batch.source_lengths, batch.source.shape[1], batch.on_host)
        states, weights = self._read(batch.source, batch.source_lengths, padded, shown)
        # Where each output is made: at its source token, or at the end token behind them all.
        places = torch.arange(batch.target_in.shape[1], device=batch.source.device).minimum(
            batch.source_lengths[:, None]
        )
        return self.output(at(states, places)), [at(of_layer, places) for of_layer in weights]

    def self_attention(self, batch: Batch) -> list[SelfAttention]:
        with weights_kept(self.layers) as kept:
            self.teacher_forced(batch, range(0))
        return [SelfAttention("self", ("source", "end"), False, kept)]

    def encode(self, source: Tensor, source_lengths: Tensor, on_host: OnHost | None = None) -> Memory:
        padded = is_padded(source_lengths, source.shape[1], on_host)
        states, weights = self._read(source, source_lengths, padded, range(len(self.layers))[-1:])
        blocked = padding_mask(source_lengths, source.shape[1], padded)
        attention = weights[-1].mean(dim=1)  # (B, S + 1, S)
        end = at(states, source_lengths[:, None])  # (B, 1, D)
        return Memory(states[:, :-1], source_lengths, blocked, final=(end,), cache=(states, attention))

    def start(self, memory: Memory) -> EncoderOnlyState:
        states, attention = memory.cache
        return EncoderOnlyState(self.output(states), attention, memory.lengths, torch.zeros_like(memory.lengths))

    def step(self, token: Tensor, state: EncoderOnlyState) -> tuple[Tensor, EncoderOnlyState, Tensor]:
        # The K hypotheses of a sentence read its outputs side by side.
        places = state.position.view(len(state.logits), -1).minimum(state.lengths[:, None])  # (B, K)
        following = state._replace(position=state.position + 1)
        return at(state.logits, places).flatten(0, 1), following, at(state.attention, places).flatten(0, 1)

    def _read(self, source: Tensor, lengths: Tensor, padded: bool, shown: range) -> tuple[Tensor, list[Tensor]]:
        """(B, S) ids -> (B, S + 1, D), the end token behind the true end of each row, and (B, N, S + 1, S) weights of
        the layers shown."""
        size = source.shape[1]
        words = self.embed(self.source_embedding, source)
        end = self.embed(self.source_embedding, source.new_full((len(source), 1), EOS))
        positions = self.order(size + 1, lengths, drawn=self.training)
        hidden = self.place(joined(words, end, lengths, size + 1, padded), positions, size + 1)
        order = torch.arange(size + 1, device=source.device)
        mask = self._mask(order, order, lengths + 1, padded, hidden)
        rotation, of_source = (self.attention_positions.rotation(some) for some in (order, order[:size]))
        kept = []
        for index, layer in enumerate(self.layers):
            layer = cast(SelfAttentionLayer, layer)
            if index in shown:
                on_source = self._mask(order, order[:size], lengths, padded, hidden)
                kept.append(layer.weights_on(hidden, layer.keys(hidden[:, :size], of_source), on_source, rotation))
            hidden = layer(hidden, mask, rotation)
        return self.norm(hidden), kept

    def _mask(self, places: Tensor, order: Tensor, lengths: Tensor, padded: bool, like: Tensor) -> Tensor | None:
        """Of positions that look and positions in order that are looked at, the first `lengths` (B,) of a row."""
        added = padding_added(padding_mask(lengths, len(order), padded), like)
        return self.attention_positions.mask(places, order, added)
