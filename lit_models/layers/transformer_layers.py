"""The layers that all transformers are made of.

Shapes: B sequences, S positions that are looked at, T positions that look, D hidden size (d_model), N heads, d = D / N.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lit_models.kernels.dropout import Dropout
from lit_models.kernels.linear import Linear, affine
from lit_models.kernels.scaled_dot_product import attention, attention_weights
from lit_models.kernels.target_cache import KeysAndValues, TargetCache
from lit_models.layers.positions import Rotation, rotated


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = [head_1; …; head_N] W^O with head = softmax(Q K^T / sqrt(d)) V
    (Vaswani et al. 2017, section 3.2). The matrices have biases; W^K and W^V of all heads are one product.

    A `mask` is true at positions that may be looked at, (B, 1, 1 or T, S), or holds what is added to the scores,
    (1 or B, 1 or N, 1 or T, S), with -inf at all others. A `rotation` turns queries and keys of rotary positions.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(size, size)  # W^Q
        self.key_value = Linear(size, 2 * size)  # W^K, W^V
        self.output = Linear(size, size)  # W^O

    def keys_and_values(self, memory: Tensor, rotation: Rotation | None = None) -> KeysAndValues:
        """(B, S, D) -> keys and values, each (B, N, S, d)"""
        keys, values = self.key_value(memory).chunk(2, dim=-1)
        return rotated(self._split(keys), rotation), self._split(values)

    def forward(
        self, queries: Tensor, memory: KeysAndValues, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """(B, N, T, d) -> (B, T, D)"""
        heads = attention(queries, *memory, mask, causal)  # softmax(Q K^T / sqrt(d)) V
        return self.output(heads.transpose(1, 2).flatten(2))  # [head_1; …; head_N] W^O

    def weights(
        self, queries: Tensor, memory: KeysAndValues, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """(B, N, T, d) -> the weights (B, N, T, S) by which `forward`, given the same, sums values."""
        return attention_weights(queries, memory[0], mask, causal)

    def with_weights(self, queries: Tensor, memory: KeysAndValues, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, N, T, d) -> what `forward` gives, and the weights (B, N, T, S), which its fused product keeps to itself.

        For a few queries a sentence this is also faster, since the fused product has to start for every head.
        """
        keys, values = memory
        weights = attention_weights(queries, keys, mask)  # softmax(Q K^T / sqrt(d))
        heads = weights @ values
        return self.output(heads.transpose(1, 2).flatten(2)), weights

    def looking_back(
        self,
        x: Tensor,
        cache: TargetCache | None,
        past: int | None,
        mask: Tensor | None,
        rotation: Rotation | None = None,
    ) -> tuple[Tensor, TargetCache]:
        """MultiHead(x, x, x), looking back only, from new positions behind those in a cache.

        Args:
            x: (B, T, D) new positions.
            cache: keys and values of the positions before them, or None at the beginning.
            past: P, how many these are; None for a whole sequence at once, as in teacher forcing.
            mask: over (T, P + T) positions, the new ones included; None where each may look at all before it.
            rotation: of the new positions.

        Returns:
            (B, T, D) and the grown cache.
        """
        queries, new = self.of_itself(x, rotation)
        cache = TargetCache(*new, filled=x.shape[1]) if cache is None else cache.extended(past or 0, new)
        if past is None and x.shape[1] > 1:
            # Padding stands behind every sequence, so looking back never meets it: no mask tensor is needed.
            return self(queries, cache.in_use(), mask, causal=mask is None), cache
        past_and_present, seen = cache.with_room() if mask is None else (cache.in_use(), mask)
        attended, _ = self.with_weights(queries, past_and_present, seen)
        return attended, cache

    def queries(self, inputs: Tensor, rotation: Rotation | None = None) -> Tensor:
        """(B, T, D) -> (B, N, T, d)"""
        return rotated(self._split(self.query(inputs)), rotation)

    def of_itself(self, x: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, KeysAndValues]:
        """(B, T, D) -> queries, keys and values of the same vectors; in training all of them in one product."""
        if not torch.is_grad_enabled():
            return self.queries(x, rotation), self.keys_and_values(x, rotation)
        queries, keys, values = map(self._split, in_one_product([self.query, self.key_value], x).chunk(3, dim=-1))
        return rotated(queries, rotation), (rotated(keys, rotation), values)

    def _split(self, vectors: Tensor) -> Tensor:
        """(B, T, D) -> (B, N, T, d)"""
        return vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def in_one_product(layers: list[Linear], x: Tensor) -> Tensor:
    """(B, T, D) -> (B, T, …) what linear layers give of the same vectors, one behind the other."""
    weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
    return affine(x, weight, bias)


def keys_and_values_of_all(attentions: list[MultiHeadAttention], memory: Tensor) -> list[KeysAndValues]:
    """(B, S, D) -> keys and values for each attention, each (B, N, S, d); in training all of them in one product."""
    if not torch.is_grad_enabled() or len(attentions) == 1:
        return [attention.keys_and_values(memory) for attention in attentions]
    parts = in_one_product([attention.key_value for attention in attentions], memory).chunk(2 * len(attentions), dim=-1)
    keys, values = ([attentions[0]._split(part) for part in parts[first::2]] for first in (0, 1))
    return list(zip(keys, values, strict=True))


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


class SelfAttentionLayer(nn.Module):
    """Self-attention and feed-forward: over a whole sequence at once, or looking back from new positions."""

    def __init__(self, size: int, heads: int, inner_size: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size, heads)
        self.attention_sublayer = Sublayer(size, dropout, pre_norm)
        self.feed_forward = FeedForward(size, inner_size)
        self.feed_forward_sublayer = Sublayer(size, dropout, pre_norm)

    def forward(self, inputs: Tensor, mask: Tensor | None, rotation: Rotation | None = None) -> Tensor:
        """(B, S, D) -> (B, S, D), every position reading all that the mask allows."""
        x = self.attention_sublayer.before(inputs)
        attended = self.attention(*self.attention.of_itself(x, rotation), mask)
        return self._feed(self.attention_sublayer.after(inputs, attended))  # MultiHead(x, x, x), then FFN(x)

    def looking_back(
        self,
        inputs: Tensor,
        cache: TargetCache | None,
        past: int | None,
        mask: Tensor | None,
        rotation: Rotation | None,
    ) -> tuple[Tensor, TargetCache]:
        """(B, T, D) -> (B, T, D) and the grown cache, see `MultiHeadAttention.looking_back`."""
        x = self.attention_sublayer.before(inputs)
        attended, cache = self.attention.looking_back(x, cache, past, mask, rotation)
        return self._feed(self.attention_sublayer.after(inputs, attended)), cache

    def keys(self, inputs: Tensor, rotation: Rotation | None = None) -> Tensor:
        """Of what enters the layer: (B, S, D) -> (B, N, S, d)"""
        return self.attention.keys_and_values(self.attention_sublayer.before(inputs), rotation)[0]

    def weights_on(self, inputs: Tensor, keys: Tensor, mask: Tensor | None, rotation: Rotation | None = None) -> Tensor:
        """Weights (B, N, T, S) of positions that enter the layer, (B, T, D), on some of the keys, (B, N, S, d), alone.

        They are the share of each among all that these get: the softmax of their scores.
        """
        return attention_weights(self.attention.queries(self.attention_sublayer.before(inputs), rotation), keys, mask)

    def _feed(self, inputs: Tensor) -> Tensor:
        x = self.feed_forward_sublayer.before(inputs)
        return self.feed_forward_sublayer.after(inputs, self.feed_forward(x))  # FFN(x)


@contextmanager
def weights_kept(layers: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """While this lasts, keep the weights (B, N, S, S) of the self-attention of layers, in the order they are called.

    They are computed in plain form from what the fused product is given, so that mask and positions are the same.
    """
    kept: list[Tensor] = []

    def keep(attention: MultiHeadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append(attention.weights(*args, **kwargs))

    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.attention.register_forward_pre_hook(keep, with_kwargs=True))  # type: ignore
        yield kept


def xavier(module: nn.Module) -> None:
    """The usual initialisation of a transformer's projections (Glorot & Bengio 2010)."""
    if isinstance(module, MultiHeadAttention | FeedForward):
        for part in module.modules():
            if isinstance(part, Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
