"""The transformer: attention in place of recurrence.

Shapes: B sequences, S source positions, T target positions, D hidden size (d_model), N heads, d = D / N.
"""

import math
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from data.batch import Batch
from lit_models.contract import Memory, Output, padding_mask, require
from lit_models.kernels.dropout import Dropout
from lit_models.kernels.like_lengths import encode_by_length
from lit_models.kernels.linear import Linear
from lit_models.kernels.scaled_dot_product import attention, attention_weights
from lit_models.kernels.target_cache import KeysAndValues, TargetCache
from lit_models.layers.positions import LearnedPositions, SinusoidalPositions
from lit_models.layers.word_dropout import drop_words
from lit_models.lit_module import LitSeq2Seq


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = [head_1; …; head_N] W^O with head = softmax(Q K^T / sqrt(d)) V
    (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(size, size)
        self.key_value = Linear(size, 2 * size)
        self.output = Linear(size, size)

    def keys_and_values(self, memory: Tensor) -> KeysAndValues:
        """(B, S, D) -> keys and values, each (B, N, S, d)"""
        keys, values = self.key_value(memory).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def forward(
        self, inputs: Tensor, memory: KeysAndValues, allowed: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """(B, T, D) -> (B, T, D). `allowed` (B, 1, 1 or T, S) is true at positions that may be looked at."""
        heads = attention(self._split(self.query(inputs)), *memory, allowed, causal)  # softmax(Q K^T / sqrt(d)) V
        return self.output(heads.transpose(1, 2).flatten(2))  # [head_1; …; head_N] W^O

    def with_weights(self, inputs: Tensor, memory: KeysAndValues, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> what `forward` gives, and the weights (B, N, T, S), which its fused product keeps to itself.

        For a few queries a sentence this is also faster, since the fused product has to start for every head.
        """
        keys, values = memory
        weights = attention_weights(self._split(self.query(inputs)), keys, allowed)  # softmax(Q K^T / sqrt(d))
        heads = weights @ values
        return self.output(heads.transpose(1, 2).flatten(2)), weights

    def _split(self, vectors: Tensor) -> Tensor:
        """(B, T, D) -> (B, N, T, d)"""
        return vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Sublayer(nn.Module):
    """Residual connection and layer normalisation around a function.

    post-norm: norm(x + f(x)) (Vaswani et al. 2017). pre-norm: x + f(norm(x)) (Xiong et al. 2020).
    """

    def __init__(self, size: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)
        self.pre_norm = pre_norm

    def before(self, inputs: Tensor) -> Tensor:
        """What the function reads."""
        return self.norm(inputs) if self.pre_norm else inputs

    def after(self, inputs: Tensor, result: Tensor) -> Tensor:
        """The sublayer's output, given what the function made."""
        total = inputs + self.dropout(result)
        return total if self.pre_norm else self.norm(total)


class FeedForward(nn.Sequential):
    """max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2)."""

    def __init__(self, size: int, inner_size: int) -> None:
        super().__init__(Linear(size, inner_size), nn.ReLU(), Linear(inner_size, size))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, size: int, heads: int, inner_size: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size, heads)
        self.attention_sublayer = Sublayer(size, dropout, pre_norm)
        self.feed_forward = FeedForward(size, inner_size)
        self.feed_forward_sublayer = Sublayer(size, dropout, pre_norm)

    def forward(self, inputs: Tensor, allowed: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, S, D)"""
        x = self.attention_sublayer.before(inputs)
        attended = self.attention(x, self.attention.keys_and_values(x), allowed)  # MultiHead(x, x, x)
        inputs = self.attention_sublayer.after(inputs, attended)
        x = self.feed_forward_sublayer.before(inputs)
        return self.feed_forward_sublayer.after(inputs, self.feed_forward(x))  # FFN(x)


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
        past: int,
        visible: Tensor | None,
        source: KeysAndValues,
        allowed: Tensor | None,
        need_weights: bool,
    ) -> tuple[Tensor, TargetCache, Tensor | None]:
        """New target positions through the layer.

        Args:
            inputs: (B, T, D) positions.
            cache: keys and values of the target positions before them, or None at the beginning.
            past: P, how many these are.
            visible: (B, 1, T, P + T) true where a new position may look back, at itself included; None where it may
                look at all before it.
            source: keys and values of the source for this layer.
            allowed: (B, 1, 1, S) true at source words; None where no row is padded.
            need_weights: whether to compute the source weights; a step computes them anyway.

        Returns:
            (B, T, D) outputs, the grown cache, and (B, N, T, S) weights or None.
        """
        at_once = visible is None and inputs.shape[1] > 1  # a whole target under teacher forcing, not one step
        x = self.attention_sublayer.before(inputs)
        new = self.attention.keys_and_values(x)
        cache = TargetCache(*new, filled=inputs.shape[1]) if cache is None else cache.extended(past, new)
        if at_once:
            # Padding stands behind every target, so looking back never meets it: no mask tensor is needed.
            attended = self.attention(x, cache.in_use(), causal=True)  # MultiHead(x, x, x), looking back only
        else:
            past_and_present, seen = cache.with_room() if visible is None else (cache.in_use(), visible)
            attended, _ = self.attention.with_weights(x, past_and_present, seen)
        inputs = self.attention_sublayer.after(inputs, attended)

        x, weights = self.cross_attention_sublayer.before(inputs), None
        if at_once and not need_weights:
            attended = self.cross_attention(x, source, allowed)  # MultiHead(x, h, h) with the encoder's output h
        else:
            attended, weights = self.cross_attention.with_weights(x, source, allowed)
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
    allowed: Tensor | None  # (B, 1, 1, S)
    target: list[TargetCache] | None
    ancestors: Tensor  # (B x K, P) true at the cached positions that a hypothesis continues
    position: Tensor  # (B x K,) target position of the next step, from 0
    steps: int  # the same, as a number

    per_sentence = ("source", "allowed", "target")


class Transformer(LitSeq2Seq):
    """The encoder-decoder of Vaswani et al. 2017.

    The attention it reports is that of the top decoder layer to the source, averaged over heads. The paper's model
    is `norm: post`, `tied_embeddings: true`, `schedule: inverse-sqrt`, `label_smoothing: 0.1`, `dropout: 0.1`.

    Args:
        hidden_size: d_model, divisible by num_heads.
        embedding_std: standard deviation of the initial embeddings; None takes 1 / sqrt(hidden_size), which makes them
            of unit size once scaled.
        num_layers: layers of the encoder, and of the decoder.
        num_heads: attention heads.
        feed_forward_size: size inside the feed-forward sublayers; None takes 4 x hidden_size.
        dropout: on embeddings and behind each sublayer (Vaswani et al. 2017, section 5.4).
        norm: pre trains without care for warm-up (Xiong et al. 2020); post as in the paper. pre adds one
            normalisation behind the last layer.
        positions: sinusoidal or learned.
        max_positions: longest sequence that learned positions can take.
        tied_embeddings: one matrix for source, target and output layer, as in the paper; the vocabularies must
            then be the same.
        word_dropout: share of words, of source and target, whose whole embedding is dropped in training (Sennrich &
            Zhang 2019); for small corpora.
        **kwargs: training options, see LitSeq2Seq.
    """

    attends = True
    work, sequential_operations, path_length = "n·d² + n²·d", "O(1)", "O(1)"

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_std: float | None = None,
        num_layers: int = 2,
        num_heads: int = 4,
        feed_forward_size: int | None = None,
        dropout: float = 0.0,
        norm: Literal["pre", "post"] = "pre",
        positions: Literal["sinusoidal", "learned"] = "sinusoidal",
        max_positions: int = 512,
        tied_embeddings: bool = False,
        word_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(num_heads >= 1, "num_heads", num_heads, "must be at least 1")
        require(
            hidden_size >= 1 and hidden_size % num_heads == 0,
            "hidden_size",
            hidden_size,
            f"must be a positive multiple of model.num_heads, which is {num_heads}",
        )
        require(embedding_std is None or embedding_std > 0, "embedding_std", embedding_std, "must be above 0")
        require(num_layers >= 1, "num_layers", num_layers, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must lie in [0, 1)")
        require(norm in ("pre", "post"), "norm", norm, "is unknown; choose pre or post")
        require(
            not tied_embeddings or self.source_vocab_size == self.target_vocab_size,
            "tied_embeddings",
            tied_embeddings,
            "needs one vocabulary for source and target",
        )
        require(0 <= word_dropout < 1, "word_dropout", word_dropout, "must lie in [0, 1)")
        self.hidden_size = hidden_size
        self.word_dropout = word_dropout
        self.source_embedding = nn.Embedding(self.source_vocab_size, hidden_size)
        self.target_embedding = self.source_embedding
        if not tied_embeddings:
            self.target_embedding = nn.Embedding(self.target_vocab_size, hidden_size)
        for table in dict.fromkeys([self.source_embedding, self.target_embedding]):
            nn.init.normal_(table.weight, std=embedding_std or hidden_size**-0.5)
        if positions == "sinusoidal":
            self.positions: nn.Module = SinusoidalPositions(hidden_size)
        elif positions == "learned":
            self.positions = LearnedPositions(hidden_size, max_positions)
        else:
            raise ValueError(f"model.positions: '{positions}' is unknown; choose sinusoidal or learned")
        inner = feed_forward_size or 4 * hidden_size
        pre_norm = norm == "pre"
        shape = (hidden_size, num_heads, inner, dropout, pre_norm)
        self.encoder_layers = nn.ModuleList(EncoderLayer(*shape) for _ in range(num_layers))
        self.decoder_layers = nn.ModuleList(DecoderLayer(*shape) for _ in range(num_layers))
        self.encoder_norm = nn.LayerNorm(hidden_size) if pre_norm else nn.Identity()
        self.decoder_norm = nn.LayerNorm(hidden_size) if pre_norm else nn.Identity()
        self.dropout = Dropout(dropout)
        self.output = Linear(hidden_size, self.target_vocab_size, bias=not tied_embeddings)
        if tied_embeddings:
            self.output.weight = self.target_embedding.weight
        self.apply(_xavier)

    def encode(self, source: Tensor, source_lengths: Tensor) -> Memory:
        blocked = padding_mask(source_lengths, source.shape[1])
        states = encode_by_length(self._encode, source, blocked, source_lengths)
        return Memory(states, source_lengths, blocked)

    def _encode(self, source: Tensor, blocked: Tensor | None) -> Tensor:
        """(B, S) ids, (B, S) true at padding -> (B, S, D)"""
        allowed = None if blocked is None else ~blocked[:, None, None, :]
        positions = torch.arange(source.shape[1], device=source.device)
        hidden = self._embed(self.source_embedding, source, positions, source.shape[1])
        for layer in self.encoder_layers:
            hidden = layer(hidden, allowed)
        return self.encoder_norm(hidden)

    def start(self, memory: Memory) -> TransformerState:
        state = self._start(memory)
        # Every step reads them all; laid out so, in half the time.
        return state._replace(source=[(keys.contiguous(), values.mT.contiguous()) for keys, values in state.source])

    def _start(self, memory: Memory) -> TransformerState:
        """As `start`, with the values (B, N, S, d) as they come."""
        allowed = None if memory.blocked is None else ~memory.blocked[:, None, None, :]
        layers = [cast(DecoderLayer, layer) for layer in self.decoder_layers]
        source = [layer.cross_attention.keys_and_values(memory.states) for layer in layers]
        nothing = torch.ones(len(memory.lengths), 0, dtype=torch.bool, device=memory.lengths.device)
        return TransformerState(source, allowed, None, nothing, torch.zeros_like(memory.lengths), 0)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self._start(self.encode(batch.source, batch.source_lengths))
        positions = torch.arange(batch.target_in.shape[1], device=batch.target_in.device)
        layers = range(len(self.decoder_layers))
        shown = layers[-1:] if need_attention else layers[:0]
        logits, _, weights = self._decode(batch.target_in, positions, len(positions), None, state, shown)
        return Output(logits, weights[-1].mean(dim=1) if weights else None)

    def attention_heads(self, batch: Batch) -> dict[str, Tensor]:
        state = self._start(self.encode(batch.source, batch.source_lengths))
        positions = torch.arange(batch.target_in.shape[1], device=batch.target_in.device)
        layers = range(len(self.decoder_layers))
        _, _, weights = self._decode(batch.target_in, positions, len(positions), None, state, layers)
        return {
            f"layer {layer} head {head}": of_head
            for layer, of_layer in enumerate(weights, start=1)
            for head, of_head in enumerate(of_layer.unbind(dim=1), start=1)
        }

    def step(self, token: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, Tensor | None]:
        # The K hypotheses of a sentence pass through the layers side by side, as so many target positions would.
        sentences = len(state.source[0][0])
        tokens, positions = token.view(sentences, -1), state.position.view(sentences, -1)  # (B, K)
        itself = torch.eye(tokens.shape[1], dtype=torch.bool, device=token.device)
        visible = torch.cat([state.ancestors.unflatten(0, tokens.shape), itself.expand(sentences, -1, -1)], dim=-1)
        alone = visible.shape[-1] == state.steps + 1  # never more than one hypothesis a sentence: all is visible
        mask = None if alone else visible[:, None]  # (B, 1, K, P + K)
        top = range(len(self.decoder_layers))[-1:]
        as_read = state._replace(source=[(keys, values.mT) for keys, values in state.source])
        logits, caches, [weights] = self._decode(tokens, positions, state.steps + 1, mask, as_read, top)
        state = state._replace(
            target=caches, ancestors=visible.flatten(0, 1), position=state.position + 1, steps=state.steps + 1
        )
        return logits.flatten(0, 1), state, weights.mean(dim=1).flatten(0, 1)

    def _decode(
        self,
        tokens: Tensor,
        positions: Tensor,
        longest: int,
        visible: Tensor | None,
        state: TransformerState,
        shown: range,
    ) -> tuple[Tensor, list[TargetCache], list[Tensor]]:
        """(B, T) tokens at their positions -> (B, T, V) logits, the grown caches, (B, N, T, S) of the layers shown."""
        hidden = self._embed(self.target_embedding, tokens, positions, longest)
        caches, kept = [], []
        for index, layer in enumerate(self.decoder_layers):
            cache = None if state.target is None else state.target[index]
            hidden, grown, weights = layer(
                hidden,
                cache,
                state.ancestors.shape[1],
                visible,
                state.source[index],
                state.allowed,
                index in shown,
            )
            caches.append(grown)
            if index in shown:
                kept.append(weights)
        logits = self.output(self.decoder_norm(hidden))
        return logits, caches, kept

    def _embed(self, table: nn.Embedding, tokens: Tensor, positions: Tensor, longest: int) -> Tensor:
        """(B, T) -> (B, T, D): embeddings scaled by sqrt(D), plus positions."""
        words = drop_words(table(tokens) * math.sqrt(self.hidden_size), self.word_dropout, self.training)
        return self.dropout(words + self.positions(positions, longest))


def _xavier(module: nn.Module) -> None:
    """The usual initialisation of a transformer's projections (Glorot & Bengio 2010)."""
    if isinstance(module, MultiHeadAttention | FeedForward):
        for part in module.modules():
            if isinstance(part, Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
