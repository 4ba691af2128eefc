"""The decoder-only transformer: source and target are one sequence.

Shapes: B sequences, S source positions, T target positions, W positions of both, D hidden size, N heads, d = D / N.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from data.batch import PAD, Batch, OnHost
from lit_models.contract import Memory, SelfAttention, is_padded, padding_mask
from lit_models.kernels.target_cache import TargetCache
from lit_models.layers.transformer_layers import SelfAttentionLayer, weights_kept
from lit_models.layers.transformer_seq2seq import TransformerSeq2Seq, at, joined, padding_added, side_by_side


class DecoderOnlyState(NamedTuple):
    """For each layer the keys and values of the source and, behind them, of what all hypotheses have read.

    As in the transformer's state, `ancestors` says which of it each of a sentence's K hypotheses continues. Padding of
    the source is what none of them does.
    """

    cache: list[TargetCache]
    ancestors: Tensor  # (B x K, S + P) true at the cached positions that a hypothesis continues
    position: Tensor  # (B x K,) of the next step, behind the true end of the source
    stride: Tensor | None  # (B x K,) from one position to the next, where it is not 1
    source_size: int  # S
    padded: bool  # whether a source has padding
    steps: int  # taken so far

    per_sentence = ("cache",)


class DecoderOnly(TransformerSeq2Seq):
    """The decoder-only transformer (GPT, Radford et al. 2018), as a sequence-to-sequence model (Liu et al. 2018).

    Source, separator and target are one sequence in one stack, in which each token looks back:

        x_1 … x_n <bos> y_1 … y_m

    The separator is the BOS that every target begins with. The loss counts target positions alone. The target follows
    the true end of its source, so that padding stands behind both and nothing ever looks at it. Source and target
    share one table of embeddings where their vocabularies are of the same size; otherwise each has its own.

    What it reports as attention is the top layer's on the source alone, averaged over heads: the share of each source
    token among all that goes to the source. What goes to separator and target is left out.

    Deviations: rectified units where GPT has GELU, sinusoidal positions unless asked for others (GPT has learned
    ones), and embeddings scaled as in the transformer.

    Args:
        **kwargs: options of all transformers, see TransformerSeq2Seq, and of training, see LitSeq2Seq.
    """

    display_name = "Decoder-only"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention_positions = self.make_attention_positions(bidirectional=False)
        self.layers = nn.ModuleList(SelfAttentionLayer(*self.layer_options) for _ in range(self.options["num_layers"]))
        self.norm = self.make_norm()
        self.output = self.make_output(self.target_embedding)
        self.initialise()

    def make_target_embedding(self, tied: bool) -> nn.Embedding:
        one_table = tied or self.source_vocab_size == self.target_vocab_size
        return self.source_embedding if one_table else nn.Embedding(self.target_vocab_size, self.hidden_size)

    @staticmethod
    def longest_sequence(source: int, target: int) -> int:
        return source + target

    def room(self, lengths: Tensor) -> Tensor:
        return lengths + super().room(lengths)

    def teacher_forced(self, batch: Batch, shown: range) -> tuple[Tensor, list[Tensor]]:
        lengths, (source_size, target_size) = batch.source_lengths, (batch.source.shape[1], batch.target_in.shape[1])
        width, on_host = source_size + target_size, batch.on_host
        padded = is_padded(lengths, source_size, on_host)
        blocked = padding_mask(lengths, source_size, padded)
        if padded:  # no row need be as long as the longest source and the longest target together
            longest = (lengths + (batch.target_in != PAD).sum(dim=1)).max() if on_host is None else on_host.longest
            width = max(source_size, int(longest))
        source, target = (
            self.embed(self.source_embedding, batch.source),
            self.embed(self.target_embedding, batch.target_in),
        )
        positions = self.order(width, lengths, drawn=self.training)
        hidden = self.place(joined(source, target, lengths, width, padded), positions, width)
        mask = self.attention_positions.causal_mask(width, positions.device)
        rotation = self.attention_positions.rotation(positions)
        # Where the target tokens stand; those of its padding may not be there.
        places = (lengths[:, None] + torch.arange(target_size, device=lengths.device)).clamp(max=width - 1)  # (B, T)
        kept = []
        for index, layer in enumerate(self._layers):
            entering = hidden
            hidden, cache = layer.looking_back(hidden, None, None, mask, rotation)
            if index in shown:
                sources, added = torch.arange(source_size, device=lengths.device), padding_added(blocked, like=hidden)
                on_source = self.attention_positions.mask(places, sources, added)
                turned = self.attention_positions.rotation(places)
                kept.append(layer.weights_on(at(entering, places), cache.keys[:, :, :source_size], on_source, turned))
        return self.output(self.norm(at(hidden, places))), kept

    def self_attention(self, batch: Batch) -> list[SelfAttention]:
        with weights_kept(self.layers) as kept:
            self.teacher_forced(batch, range(0))
        return [SelfAttention("self", ("source", "target"), True, kept)]

    def encode(self, source: Tensor, source_lengths: Tensor, on_host: OnHost | None = None) -> Memory:
        """The prefill: the source passes through the stack, and leaves the keys and values of each layer."""
        size = source.shape[1]
        positions = self.order(size, source_lengths)
        hidden = self.place(self.embed(self.source_embedding, source), positions, size)
        mask = self.attention_positions.causal_mask(size, source.device)
        rotation = self.attention_positions.rotation(positions)
        caches = []
        for layer in self._layers:
            hidden, cache = layer.looking_back(hidden, None, None, mask, rotation)
            caches.append(cache.in_use())
        blocked = padding_mask(source_lengths, size, is_padded(source_lengths, size, on_host))
        return Memory(hidden, source_lengths, blocked, cache=tuple(caches))

    def start(self, memory: Memory) -> DecoderOnlyState:
        size, stride = memory.states.shape[1], self.stride(memory.lengths)
        words = torch.ones_like(memory.states[:, :, 0], dtype=torch.bool) if memory.blocked is None else ~memory.blocked
        return DecoderOnlyState(
            cache=[TargetCache(keys, values, filled=size) for keys, values in memory.cache],
            ancestors=words,
            position=memory.lengths * (1 if stride is None else stride),
            stride=stride,
            source_size=size,
            padded=memory.blocked is not None,
            steps=0,
        )

    def step(self, token: Tensor, state: DecoderOnlyState) -> tuple[Tensor, DecoderOnlyState, Tensor]:
        # The K hypotheses of a sentence pass through the layers side by side, as so many target positions would.
        sentences, size = len(state.cache[0].keys), state.source_size
        tokens, positions = token.view(sentences, -1), state.position.view(sentences, -1)  # (B, K)
        visible = side_by_side(state.ancestors, sentences)
        longest, past = size + state.steps + 1, state.ancestors.shape[1]
        alone = not state.padded and visible.shape[-1] == longest  # never more than one hypothesis a sentence
        mask = self.attention_positions.step_mask(visible, alone)
        rotation = self.attention_positions.rotation(positions)
        entering = hidden = self.place(self.embed(self.target_embedding, tokens), positions, longest)
        caches = []
        for layer, cache in zip(self._layers, state.cache, strict=True):
            entering = hidden
            hidden, grown = layer.looking_back(hidden, cache, past, mask, rotation)
            caches.append(grown)
        on_source = None if mask is None else mask[..., :size]
        weights = self._layers[-1].weights_on(entering, caches[-1].keys[:, :, :size], on_source, rotation)
        state = state._replace(
            cache=caches,
            ancestors=visible.flatten(0, 1),
            position=state.position + (1 if state.stride is None else state.stride),
            steps=state.steps + 1,
        )
        logits = self.output(self.norm(hidden))
        return logits.flatten(0, 1), state, weights.mean(dim=1).flatten(0, 1)

    @property
    def _layers(self) -> list[SelfAttentionLayer]:
        return [cast(SelfAttentionLayer, layer) for layer in self.layers]
