"""The transformer: attention in place of recurrence.

Shapes: B sequences, S source positions, T target positions, D hidden size (d_model), N heads, d = D / N.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from data.batch import Batch, OnHost
from lit_models.contract import Memory, SelfAttention, is_padded, padding_mask
from lit_models.kernels.choice import plain
from lit_models.kernels.like_lengths import encode_by_length
from lit_models.kernels.target_cache import KeysAndValues, TargetCache
from lit_models.layers.positions import Rotation
from lit_models.layers.transformer_layers import (
    FeedForward,
    MultiHeadAttention,
    SelfAttentionLayer,
    Sublayer,
    keys_and_values_of_all,
    weights_kept,
)
from lit_models.layers.transformer_seq2seq import TransformerSeq2Seq, padding_added, side_by_side


class DecoderLayer(nn.Module):
    """Self-attention over the target so far, attention to the source, and feed-forward."""

    def __init__(self, size: int, heads: int, inner_size: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size, heads)
        self.attention_sublayer = Sublayer(size, dropout, pre_norm)
        self.cross_attention = MultiHeadAttention(size, heads)
        self.cross_attention_sublayer = Sublayer(size, dropout, pre_norm)
        self.feed_forward = FeedForward(size, inner_size)
        self.feed_forward_sublayer = Sublayer(size, dropout, pre_norm)

    def forward(
        self,
        inputs: Tensor,
        cache: TargetCache | None,
        past: int | None,
        visible: Tensor | None,
        rotation: Rotation | None,
        source: KeysAndValues,
        added: Tensor | None,
        need_weights: bool,
    ) -> tuple[Tensor, TargetCache, Tensor | None]:
        """New target positions through the layer.

        Args:
            inputs: (B, T, D) positions.
            cache: keys and values of the target positions before them, or None at the beginning.
            past: P, how many these are; None for a whole target at once.
            visible: mask over (T, P + T) target positions, the new ones included; None where each may look at all
                before it.
            rotation: of the new positions, where they are rotary.
            source: keys and values of the source for this layer.
            added: (B, 1, 1, S) to the scores of the source: -inf at padding; None where no row is padded.
            need_weights: whether to compute the source weights; a step computes them anyway.

        Returns:
            (B, T, D) outputs, the grown cache, and (B, N, T, S) weights or None.
        """
        x = self.attention_sublayer.before(inputs)
        attended, cache = self.attention.looking_back(x, cache, past, visible, rotation)  # MultiHead(x, x, x)
        inputs = self.attention_sublayer.after(inputs, attended)

        x, weights = self.cross_attention_sublayer.before(inputs), None
        queries = self.cross_attention.queries(x)  # MultiHead(x, h, h) with the encoder's output h
        if past is None and inputs.shape[1] > 1 and not need_weights:
            attended = self.cross_attention(queries, source, added)
        else:
            attended, weights = self.cross_attention.with_weights(queries, source, added)
        inputs = self.cross_attention_sublayer.after(inputs, attended)

        x = self.feed_forward_sublayer.before(inputs)
        return self.feed_forward_sublayer.after(inputs, self.feed_forward(x)), cache, weights  # FFN(x)


class TransformerState(NamedTuple):
    """For each layer the keys (B, N, S, d) and values (B, N, d, S) of the source, and those of the target so far; the
    latter None at the start.

    Where a sentence has K hypotheses, the target caches hold what all of them have read, side by side, and `ancestors`
    says which of it each hypothesis continues: reordering hypotheses moves no keys and values.
    """

    source: list[KeysAndValues]
    added: Tensor | None  # (B, 1, 1, S) to the scores of the source: -inf at padding
    target: list[TargetCache] | None
    ancestors: Tensor  # (B x K, P) true at the cached positions that a hypothesis continues
    position: Tensor  # (B x K,) target position of the next step
    stride: Tensor | None  # (B x K,) from one position to the next, where it is not 1
    steps: int  # taken so far

    per_sentence = ("source", "added", "target")


class Transformer(TransformerSeq2Seq):
    """The encoder-decoder of Vaswani et al. 2017.

        Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V       MultiHead(Q, K, V) = [head_1; …; head_N] W^O
        FFN(x) = max(0, x W_1 + b_1) W_2 + b_2                head_i = Attention(Q W^Q_i, K W^K_i, V W^V_i)

        encoder layer:   x = x + MultiHead(x, x, x)           x = x + FFN(x)
        decoder layer:   y = y + MultiHead(y, y, y), masked   y = y + MultiHead(y, x, x)       y = y + FFN(y)

    with a layer normalisation before each of these, or after it as in the paper, and embeddings times sqrt(D) plus
    positions below the first. Deviation: W^Q, W^K, W^V and W^O have biases, as in most implementations.

    The attention it reports is that of the top decoder layer to the source, averaged over heads. The paper's model
    is `norm: post`, `tied_embeddings: true`, `schedule: inverse-sqrt`, `label_smoothing: 0.1`, `dropout: 0.1`.

    Positions in the scores (rope, alibi, t5) belong to self-attention: in the encoder to both sides, in the decoder
    looking back. Attention from target to source has none, since the two count from beginnings of their own.

    Args:
        **kwargs: options of all transformers, see TransformerSeq2Seq, and of training, see LitSeq2Seq.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        layers = range(self.options["num_layers"])
        self.encoder_positions = self.make_attention_positions(bidirectional=True)
        self.decoder_positions = self.make_attention_positions(bidirectional=False)
        self.encoder_layers = nn.ModuleList(SelfAttentionLayer(*self.layer_options) for _ in layers)
        self.decoder_layers = nn.ModuleList(DecoderLayer(*self.layer_options) for _ in layers)
        self.encoder_norm, self.decoder_norm = self.make_norm(), self.make_norm()
        self.output = self.make_output(self.target_embedding)
        self.initialise()

    def encode(
        self,
        source: Tensor,
        source_lengths: Tensor,
        on_host: OnHost | None = None,
        positions: Tensor | None = None,
    ) -> Memory:
        """As in the contract; at positions (S,) of a training batch, or at those of evaluation."""
        blocked = padding_mask(source_lengths, source.shape[1], is_padded(source_lengths, source.shape[1], on_host))
        states = encode_by_length(partial(self._encoder, positions=positions), source, blocked, source_lengths)
        return Memory(states, source_lengths, blocked)

    def _encoder(self, source: Tensor, blocked: Tensor | None, positions: Tensor | None) -> Tensor:
        """(B, S) ids, (B, S) true at padding -> (B, S, D)"""
        if positions is None:
            lengths = source.new_full((len(source),), source.shape[1]) if blocked is None else (~blocked).sum(dim=1)
            positions = self.order(source.shape[1], lengths)
        hidden = self.place(self.embed(self.source_embedding, source), positions, source.shape[1])
        mask = self.encoder_positions.mask(positions, positions, padding_added(blocked, like=hidden))
        rotation = self.encoder_positions.rotation(positions)
        for layer in self.encoder_layers:
            hidden = layer(hidden, mask, rotation)
        return self.encoder_norm(hidden)

    def start(self, memory: Memory) -> TransformerState:
        source, added = self._of_source(memory)
        # Every step reads them all; laid out so, in half the time.
        source = [(keys.contiguous(), values.mT.contiguous()) for keys, values in source]
        nothing = torch.ones(len(memory.lengths), 0, dtype=torch.bool, device=memory.lengths.device)
        first, stride = torch.zeros_like(memory.lengths), self.stride(memory.lengths)
        return TransformerState(source, added, None, nothing, first, stride, 0)

    def _of_source(self, memory: Memory) -> tuple[list[KeysAndValues], Tensor | None]:
        """Keys and values of the source for each layer, each (B, N, S, d), and the mask of its padding."""
        attentions = [cast(DecoderLayer, layer).cross_attention for layer in self.decoder_layers]
        return keys_and_values_of_all(attentions, memory.states), padding_added(memory.blocked, like=memory.states)

    def teacher_forced(self, batch: Batch, shown: range) -> tuple[Tensor, list[Tensor]]:
        source_size, target_size = batch.source.shape[1], batch.target_in.shape[1]
        positions = self.order(max(source_size, target_size), batch.source_lengths, drawn=self.training)
        drawn = positions[:source_size] if self.training else None
        source, added = self._of_source(self.encode(batch.source, batch.source_lengths, batch.on_host, drawn))
        mask = self.decoder_positions.causal_mask(target_size, positions.device)
        positions = positions[..., :target_size]
        logits, _, weights = self._decode(
            batch.target_in, positions, target_size, None, mask, source, added, None, shown
        )
        return logits, weights

    def self_attention(self, batch: Batch) -> list[SelfAttention]:
        # In the plain form of kernels sources of different lengths pass through the encoder together.
        with plain(), weights_kept(self.encoder_layers) as encoder, weights_kept(self.decoder_layers) as decoder:
            self.teacher_forced(batch, range(0))
        if batch.target_in.shape[1] == 1:  # the only position looks at itself, and no fused product is made of it
            decoder = [layer.new_ones(*layer.shape[:2], 1, 1) for layer in encoder]
        return [
            SelfAttention("encoder", ("source",), False, encoder),
            SelfAttention("decoder", ("target",), True, decoder),
        ]

    def step(self, token: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, Tensor | None]:
        # The K hypotheses of a sentence pass through the layers side by side, as so many target positions would.
        sentences = len(state.source[0][0])
        tokens, positions = token.view(sentences, -1), state.position.view(sentences, -1)  # (B, K)
        visible = side_by_side(state.ancestors, sentences)
        alone = visible.shape[-1] == state.steps + 1  # never more than one hypothesis a sentence: all is visible
        mask = self.decoder_positions.step_mask(visible, alone)
        top = range(len(self.decoder_layers))[-1:]
        source = [(keys, values.mT) for keys, values in state.source]
        past = state.ancestors.shape[1]
        logits, caches, [weights] = self._decode(
            tokens, positions, state.steps + 1, past, mask, source, state.added, state.target, top
        )
        state = state._replace(
            target=caches,
            ancestors=visible.flatten(0, 1),
            position=state.position + (1 if state.stride is None else state.stride),
            steps=state.steps + 1,
        )
        return logits.flatten(0, 1), state, weights.mean(dim=1).flatten(0, 1)

    def _decode(
        self,
        tokens: Tensor,
        positions: Tensor,
        longest: int,
        past: int | None,
        visible: Tensor | None,
        source: list[KeysAndValues],
        added: Tensor | None,
        target: list[TargetCache] | None,
        shown: range,
    ) -> tuple[Tensor, list[TargetCache], list[Tensor]]:
        """(B, T) tokens at their positions -> (B, T, V) logits, the grown caches, (B, N, T, S) of the layers shown."""
        hidden = self.place(self.embed(self.target_embedding, tokens), positions, longest)
        rotation = self.decoder_positions.rotation(positions)
        caches, kept = [], []
        for index, layer in enumerate(self.decoder_layers):
            cache = None if target is None else target[index]
            hidden, grown, weights = layer(hidden, cache, past, visible, rotation, source[index], added, index in shown)
            caches.append(grown)
            if index in shown:
                kept.append(weights)
        return self.output(self.decoder_norm(hidden)), caches, kept
