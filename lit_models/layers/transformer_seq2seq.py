"""What all transformers share, of one stack or two: options, embeddings and positions.

Shapes: B sequences, T positions, D hidden size (d_model), N heads.
"""

import math
from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from data.batch import Batch
from lit_models.contract import Output, padding_mask, require, require_common
from lit_models.kernels.dropout import Dropout
from lit_models.kernels.linear import Linear
from lit_models.layers.positions import (
    AttentionPositions,
    Positions,
    RandomisedPositions,
    make_attention_positions,
    make_positions,
    require_positions,
)
from lit_models.layers.transformer_layers import xavier
from lit_models.layers.word_dropout import drop_words
from lit_models.lit_module import LitSeq2Seq


class TransformerSeq2Seq(LitSeq2Seq):
    """What all transformers share.

    Args:
        hidden_size: d_model, divisible by num_heads.
        embedding_std: standard deviation of the initial embeddings; None takes 1 / sqrt(hidden_size), which makes them
            of unit size once scaled.
        num_layers: layers of each stack.
        num_heads: attention heads.
        feed_forward_size: size inside the feed-forward sublayers; None takes 4 x hidden_size.
        dropout: on embeddings and behind each sublayer (Vaswani et al. 2017, section 5.4).
        norm: pre trains without care for warm-up (Xiong et al. 2020); post as in the paper. pre adds one
            normalisation behind the last layer.
        positions: how the order of tokens is told. Added to the embeddings: sinusoidal, learned, or sinusoidal at
            randomised positions (Ruoss et al. 2023). In the scores of self-attention: rope (Su et al. 2021), alibi
            (Press et al. 2022), or t5, a number for each bucket of distances (Raffel et al. 2020). Or none
            (Kazemnejad et al. 2023). Attention from one stack to another is told nothing in its scores.
        max_positions: how many learned positions there are, or the range that randomised ones are drawn from; without
            effect for the other kinds.
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
        positions: Positions = "sinusoidal",
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
        require_common(
            self,
            num_layers=num_layers,
            dropout=dropout,
            tied_embeddings=tied_embeddings,
            word_dropout=word_dropout,
        )
        require(norm in ("pre", "post"), "norm", norm, "is unknown; choose pre or post")
        require(
            positions != "randomised" or self.teacher_forcing == 1,
            "teacher_forcing",
            self.teacher_forcing,
            "must be 1 with randomised positions, which are drawn for whole sequences",
        )
        self.hidden_size = hidden_size
        self.word_dropout = word_dropout
        self.source_embedding = nn.Embedding(self.source_vocab_size, hidden_size)
        target = self.make_target_embedding(tied_embeddings)
        for table in dict.fromkeys([self.source_embedding, target or self.source_embedding]):
            nn.init.normal_(table.weight, std=embedding_std or hidden_size**-0.5)
        if target is not None:
            self.target_embedding = target
        self.positions = make_positions(positions, hidden_size, max_positions)
        self.dropout = Dropout(dropout)
        self.pre_norm = norm == "pre"
        self.layer_options = (hidden_size, num_heads, feed_forward_size or 4 * hidden_size, dropout, self.pre_norm)

    def make_target_embedding(self, tied: bool) -> nn.Embedding | None:
        """The table of target ids: that of the source where they are tied. None where no target is read."""
        return self.source_embedding if tied else nn.Embedding(self.target_vocab_size, self.hidden_size)

    def make_attention_positions(self, bidirectional: bool) -> AttentionPositions:
        """What the self-attention of a stack is told of positions."""
        options = self.options
        return make_attention_positions(options["positions"], options["num_heads"], self.hidden_size, bidirectional)

    def make_norm(self) -> nn.Module:
        """What stands behind the last layer of a stack."""
        return nn.LayerNorm(self.hidden_size) if self.pre_norm else nn.Identity()

    def make_output(self, tied: nn.Embedding) -> Linear:
        """The output layer, with the weights of a table where the options ask for it."""
        is_tied = self.options["tied_embeddings"]
        output = Linear(self.hidden_size, self.target_vocab_size, bias=not is_tied)
        if is_tied:
            output.weight = tied.weight
        return output

    def initialise(self) -> None:
        """Give the projections their usual initial weights; the last thing that a constructor does."""
        self.apply(xavier)

    @abstractmethod
    def teacher_forced(self, batch: Batch, shown: range) -> tuple[Tensor, list[Tensor]]:
        """(B, T, V) logits, and weights on the source (B, N, T, S) of the layers shown, which count from 0."""

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        layers = range(self.options["num_layers"])
        logits, weights = self.teacher_forced(batch, layers[-1:] if need_attention else layers[:0])
        return Output(logits, weights[-1].mean(dim=1) if weights else None)

    def attention_heads(self, batch: Batch) -> dict[str, Tensor]:
        return by_head(self.teacher_forced(batch, range(self.options["num_layers"]))[1])

    @classmethod
    def check_lengths(cls, source: int, target: int, options: dict[str, Any]) -> None:
        if options["positions"] in ("learned", "randomised"):
            require_positions(cls.longest_sequence(source, target), options["max_positions"], options["positions"])

    @staticmethod
    def longest_sequence(source: int, target: int) -> int:
        """Positions that a stack counts for a source and a target of so many tokens."""
        return max(source, target)

    def embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D): embeddings scaled by sqrt(D)."""
        return drop_words(table(tokens) * math.sqrt(self.hidden_size), self.word_dropout, self.training)

    def place(self, words: Tensor, positions: Tensor, longest: int) -> Tensor:
        """(B, T, D) embeddings, with their positions (T,) or (B, T) of fewer than `longest`, where they are added."""
        return self.dropout(self.positions.added(words, positions, longest))

    def room(self, lengths: Tensor) -> Tensor:
        """(B,) source lengths -> (B,) tokens for which evaluation spreads randomised positions: for a target twice as
        long as its source, EOS included."""
        return 2 * (lengths + 1)

    def order(self, count: int, lengths: Tensor, drawn: bool = False) -> Tensor:
        """(count,) or (B, count) positions of the first tokens of sequences: 0, 1, 2 … unless they are randomised.

        Args:
            count: number of tokens.
            lengths: (B,) tokens of each source.
            drawn: whether randomised ones are drawn, as for a training batch.
        """
        order = torch.arange(count, device=lengths.device)
        if not isinstance(self.positions, RandomisedPositions):
            return order
        return self.positions.drawn(count) if drawn else order * self.positions.stride(self.room(lengths))[:, None]

    def stride(self, lengths: Tensor) -> Tensor | None:
        """(B,) from one position to the next, in evaluation; None where that is 1."""
        return self.positions.stride(self.room(lengths)) if isinstance(self.positions, RandomisedPositions) else None


def padding_added(blocked: Tensor | None, like: Tensor) -> Tensor | None:
    """(B, S) true at padding -> (B, 1, 1, S) what is added to scores: -inf at padding, 0 at words, in the precision of
    another tensor. None where no row is padded. Of a mask that is true or false each layer would make this anew."""
    if blocked is None:
        return None
    return like.new_zeros(blocked.shape).masked_fill_(blocked, -math.inf)[:, None, None]


def by_head(weights: list[Tensor]) -> dict[str, Tensor]:
    """Of each layer (B, N, T, S), of the lowest first -> (B, T, S) of each head by name."""
    return {
        f"layer {layer} head {head}": of_head
        for layer, of_layer in enumerate(weights, start=1)
        for head, of_head in enumerate(of_layer.unbind(dim=1), start=1)
    }


def side_by_side(ancestors: Tensor, sentences: int) -> Tensor:
    """What each of K hypotheses a sentence may look at in a cache that holds what all of them have read.

    Args:
        ancestors: (B x K, P) true at the cached positions that a hypothesis continues.
        sentences: B

    Returns:
        (B, K, P + K): those, and behind them itself.
    """
    of_sentence = ancestors.unflatten(0, (sentences, len(ancestors) // sentences))
    itself = torch.eye(of_sentence.shape[1], dtype=torch.bool, device=ancestors.device)
    return torch.cat([of_sentence, itself.expand(sentences, -1, -1)], dim=-1)


def joined(source: Tensor, behind: Tensor, lengths: Tensor, width: int, padded: bool | None = None) -> Tensor:
    """Two parts of each row, the second right behind the true end of the first, so that padding stands behind both.

    Args:
        source: (B, S, D)
        behind: (B, T, D)
        lengths: (B,) tokens of the first part.
        width: of the result, W.
        padded: whether the first part has padding, where that is known.

    Returns:
        (B, W, D)
    """
    both = torch.cat([source, behind], dim=1)
    if width == both.shape[1] and padding_mask(lengths, source.shape[1], padded) is None:
        return both
    order, lengths = torch.arange(width, device=lengths.device), lengths[:, None]
    places = torch.where(order < lengths, order, order - lengths + source.shape[1])
    return at(both, places.clamp(max=both.shape[1] - 1))


def at(vectors: Tensor, places: Tensor) -> Tensor:
    """(B, W, D) or (B, N, W, D) vectors at places (B, T) -> (B, T, D) or (B, N, T, D)"""
    index = places.view(len(places), *[1] * (vectors.dim() - 3), -1, 1)
    return vectors.gather(-2, index.expand(*vectors.shape[:-2], -1, vectors.shape[-1]))
