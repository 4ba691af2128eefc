"""How a transformer knows the order of its tokens.

Vectors are added to the embeddings: sinusoidal, learned, or sinusoidal at randomised positions. Self-attention is told
in its scores: rotary positions turn queries and keys, ALiBi and the buckets of T5 add a number to each score.

Shapes: B sequences, T positions that look, S positions that are looked at, D hidden size, N heads, d = D / N.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lit_models.contract import require

Positions = Literal["sinusoidal", "learned", "none", "rope", "alibi", "t5", "randomised"]
Rotation = tuple[Tensor, Tensor]  # cosines and sines, each (B or 1, 1, T, d / 2)


# ------------------------------------------------------------------ added to the embeddings


class NoPositions(nn.Module):
    """Adds nothing: no vector tells the order (NoPE, Kazemnejad et al. 2023; and whatever scores tell it)."""

    def added(self, words: Tensor, positions: Tensor, longest: int) -> Tensor:
        """(B, T, D) -> the same."""
        return words


class SinusoidalPositions(nn.Module):
    """PE(p, 2i) = sin(p / 10000^(2i / D)), PE(p, 2i + 1) = cos of the same angle (Vaswani et al. 2017, 3.5)."""

    table: Tensor

    def __init__(self, size: int, length: int = 64) -> None:
        super().__init__()
        require(size % 2 == 0, "hidden_size", size, "must be even for sinusoidal positions")
        self.size = size
        self.register_buffer("table", self._make(length), persistent=False)

    def _make(self, length: int) -> Tensor:
        """(length, D)"""
        rates = 10000.0 ** (-torch.arange(0, self.size, 2).double() / self.size)
        angles = torch.arange(length).double()[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()

    def forward(self, positions: Tensor, longest: int) -> Tensor:
        """Any shape of positions below `longest` -> the same shape with D appended."""
        return self._first(longest)[positions]

    def _first(self, count: int) -> Tensor:
        """(count or more, D) vectors of the first positions."""
        if count > len(self.table):
            with torch.inference_mode(False):  # a table first grown while decoding serves training as well
                self.table = self._make(2 * count).to(self.table)
        return self.table

    def added(self, words: Tensor, positions: Tensor, longest: int) -> Tensor:
        """Embeddings (B, T, D) with the vectors of their positions added: of (T,), which are 0 … T - 1 and not looked
        up, or of (B, T), which are below `longest`."""
        return words + (self._first(longest)[: len(positions)] if positions.dim() == 1 else self(positions, longest))


class LearnedPositions(nn.Module):
    """A trained vector for each position (Gehring et al. 2017)."""

    def __init__(self, size: int, max_positions: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_positions, size)
        nn.init.normal_(self.table.weight, std=0.02)

    def added(self, words: Tensor, positions: Tensor, longest: int) -> Tensor:
        """Embeddings (B, T, D) with the vectors of their positions (T,) or (B, T), fewer than `longest`, added.

        Raises:
            ValueError: a sequence is longer than the table.
        """
        require_positions(longest, self.table.num_embeddings, "learned")
        return words + self.table(positions)


class RandomisedPositions(SinusoidalPositions):
    """Sinusoidal vectors at sorted random positions out of a range beyond every length tested (Ruoss et al. 2023).

    So a longer sequence than those of training meets no new position. Training draws anew for each batch, without
    repetition, and takes the same positions for all of its sequences. Ruoss et al. draw in evaluation as well. Here
    evaluation spreads the tokens of a sequence evenly, so that its result is always the same.
    """

    def __init__(self, size: int, range_size: int) -> None:
        super().__init__(size, range_size)
        self.range_size = range_size

    def drawn(self, count: int) -> Tensor:
        """(count,) positions, ascending.

        Raises:
            ValueError: there are not so many.
        """
        require_positions(count, self.range_size, "randomised")
        return torch.randperm(self.range_size, device=self.table.device)[:count].sort().values

    def stride(self, room: Tensor) -> Tensor:
        """(B,) distance of neighbours where sequences have room for so many tokens (B,)."""
        return (self.range_size // room).clamp(min=1)

    def added(self, words: Tensor, positions: Tensor, longest: int) -> Tensor:
        """Embeddings (B, T, D) with the vectors of their positions (T,) or (B, T) added.

        What lies behind the range, in an output longer than there was room for, gets its last position.

        Raises:
            ValueError: a sequence is longer than the range.
        """
        require_positions(longest, self.range_size, "randomised")
        return words + self(positions.clamp(max=self.range_size - 1), self.range_size)


def require_positions(needed: int, available: int, kind: str) -> None:
    """Refuse a sequence longer than learned positions or the range of randomised ones.

    Raises:
        ValueError: in one line.
    """
    require(
        needed <= available,
        "max_positions",
        available,
        f"{kind} positions are too few for a sequence of {needed} tokens",
    )


def make_positions(
    kind: Positions, size: int, max_positions: int
) -> NoPositions | SinusoidalPositions | LearnedPositions:
    """What is added to embeddings of this size.

    Raises:
        ValueError: no such kind, or a size or number of positions that it cannot have.
    """
    known = get_args(Positions)
    if kind not in known:
        raise ValueError(f"model.positions: '{kind}' is unknown; choose {', '.join(known[:-1])} or {known[-1]}")
    require(max_positions >= 1, "max_positions", max_positions, "must be at least 1")
    if kind == "sinusoidal":
        return SinusoidalPositions(size)
    if kind == "learned":
        return LearnedPositions(size, max_positions)
    return RandomisedPositions(size, max_positions) if kind == "randomised" else NoPositions()


# ------------------------------------------------------------------ told in the scores of self-attention


class AttentionPositions(nn.Module):
    """What self-attention itself is told of positions: nothing, unless a subclass says more."""

    def rotation(self, positions: Tensor) -> Rotation | None:
        """Of queries and keys at positions (T,) or (B, T)."""
        return None

    def mask(self, queries: Tensor, keys: Tensor, allowed: Tensor | None) -> Tensor | None:
        """What a `mask` of attention is, see MultiHeadAttention.

        Args:
            queries: (T,) or (B, T) positions.
            keys: (S,) or (B, T, S) positions.
            allowed: (B, 1, 1 or T, S) or (T, S) true at what may be looked at, or 0 there and -inf elsewhere; None for
                all.
        """
        return allowed

    def causal_mask(self, length: int, device: torch.device) -> Tensor | None:
        """The mask of a whole sequence in which each looks back; None where that is all it says."""
        return None

    def step_mask(self, visible: Tensor, alone: bool) -> Tensor | None:
        """The mask of K hypotheses side by side.

        Args:
            visible: (B, K, P + K) true at what each continues, itself included, in the order of reading.
            alone: whether everything is.
        """
        return None if alone else visible[:, None]


class RotaryPositions(AttentionPositions):
    """The pair (2i, 2i + 1) of queries and keys turned by the angle p · 10000^(-2i / d) (Su et al. 2021, equation 34):
    the product of a query and a key then depends on the distance of their positions p alone."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def rotation(self, positions: Tensor) -> Rotation:
        pairs = torch.arange(0, self.size, 2, device=positions.device, dtype=torch.float32)
        angles = positions[..., None] * 10000.0 ** (-pairs / self.size)  # (T, d / 2) or (B, T, d / 2)
        angles = angles.view(-1, 1, *angles.shape[-2:])
        return angles.cos(), angles.sin()


def rotated(vectors: Tensor, rotation: Rotation | None) -> Tensor:
    """(B, N, T, d) with its pairs (2i, 2i + 1) turned, or as it is."""
    if rotation is None:
        return vectors
    cos, sin = rotation
    even, odd = vectors.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).to(vectors.dtype)


class _BiasedPositions(AttentionPositions, ABC):
    """A number for each distance, added to the scores."""

    @abstractmethod
    def bias(self, distances: Tensor) -> Tensor:
        """(…, T, S) position of the key less that of the query -> (…, N, T, S)"""

    def mask(self, queries: Tensor, keys: Tensor, allowed: Tensor | None) -> Tensor:
        bias = self.bias(keys - queries[..., None])
        bias = bias if bias.dim() == 4 else bias[None]
        if allowed is None:
            return bias
        return bias.masked_fill(~allowed, -math.inf) if allowed.dtype == torch.bool else bias + allowed

    def causal_mask(self, length: int, device: torch.device) -> Tensor:
        order = torch.arange(length, device=device)
        return self.mask(order, order, order <= order[:, None])

    def step_mask(self, visible: Tensor, alone: bool) -> Tensor:
        # The position of a key is the number of those before it that the hypothesis continues; its own is the last.
        order = visible.cumsum(dim=-1) - 1
        return self.mask(order[..., -1], order, visible[:, None])


class LinearBiases(_BiasedPositions):
    """ALiBi: -m_h |i - j| with the slope m_h = 2^(-8h / N) of head h = 1 … N (Press et al. 2022), which in an encoder
    counts to both sides."""

    slopes: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes", 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads), persistent=False)

    def bias(self, distances: Tensor) -> Tensor:
        return -self.slopes[:, None, None] * distances.abs()[..., None, :, :]


class BucketBiases(_BiasedPositions):
    """T5: a trained number for each head and bucket of distances, shared by all layers (Raffel et al. 2020, 2.1).

    Of the 32 buckets half are for single distances, half for ranges that grow with the logarithm, the last one for 128
    tokens and more. An encoder has half of the buckets for each direction.
    """

    BUCKETS, FARTHEST = 32, 128

    def __init__(self, heads: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.table = nn.Embedding(self.BUCKETS, heads)
        nn.init.normal_(self.table.weight, std=hidden_size**-0.5)

    def bias(self, distances: Tensor) -> Tensor:
        return self.table(self.bucket(distances)).movedim(-1, -3)

    def bucket(self, distances: Tensor) -> Tensor:
        """Any shape of distances, position of the key less that of the query -> the same of buckets."""
        count, first = self.BUCKETS, torch.zeros_like(distances)
        if self.bidirectional:
            count //= 2
            first = torch.where(distances > 0, count, 0)
            back = distances.abs()
        else:
            back = (-distances).clamp(min=0)
        single = count // 2
        spread = (back.clamp(min=1) / single).log() / math.log(self.FARTHEST / single) * (count - single)
        return first + torch.where(back < single, back, (single + spread.long()).clamp(max=count - 1))


def make_attention_positions(kind: Positions, heads: int, hidden_size: int, bidirectional: bool) -> AttentionPositions:
    """What self-attention of an encoder, or of a decoder that looks back, is told of positions.

    Raises:
        ValueError: a size of heads that it cannot have.
    """
    if kind == "rope":
        size = hidden_size // heads
        message = f"gives {heads} heads of {size} numbers; rope turns pairs and needs an even size of heads"
        require(size % 2 == 0, "hidden_size", hidden_size, message)
        return RotaryPositions(size)
    if kind == "alibi":
        return LinearBiases(heads)
    return BucketBiases(heads, hidden_size, bidirectional) if kind == "t5" else AttentionPositions()
