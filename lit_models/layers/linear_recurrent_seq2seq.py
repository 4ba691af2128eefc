"""The encoder-decoder of recurrences that are linear in their state: a fixed context that is trained by a scan.

Shapes: B sequences, S source positions, T target positions, D hidden size, L layers, W width of a short convolution,
V target vocabulary.
"""

import math
from abc import abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn

from data.batch import Batch, OnHost
from lit_models.contract import Memory, Output, is_padded, padding_mask, require, require_common
from lit_models.kernels.dropout import Dropout
from lit_models.kernels.linear import Linear
from lit_models.layers.word_dropout import drop_words
from lit_models.lit_module import LitSeq2Seq

NORM_EPSILON = torch.finfo(torch.float32).eps  # in double precision too, where torch would take another

State = tuple[Tensor, ...]  # parts (B, …) of a layer; of several layers those of the first come first


class Recurrence(nn.Module):
    """A layer with a state of fixed size, in which it is linear: h_t = A_t h_{t-1} + b_t, where A_t and b_t depend on
    the input at t, or on the last few, alone.

    Attributes:
        shapes: of each part of the state, without the batch.
    """

    shapes: list[tuple[int, ...]]

    @abstractmethod
    def forward(self, inputs: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        """T steps at once.

        Args:
            inputs: (B, T, D)
            state: parts (B, …) before the first step.
            blocked: (B, T) true at padding, which stands behind the end and leaves the state as it is; None where no
                row is padded.

        Returns:
            (B, T, D) outputs and the state behind the last step. Of a layer whose outputs nobody reads, the inputs.
        """


class ShortConvolution(nn.Module):
    """y_t = sum over k < W of w_k * x_{t-k} + b, each channel by itself: what a token is told of the last few.

    Its state is the last W - 1 inputs.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.shape = (width - 1, size)
        self.weight = nn.Parameter(torch.empty(width, size))
        self.bias = nn.Parameter(torch.zeros(size))
        nn.init.uniform_(self.weight, -(width**-0.5), width**-0.5)  # as torch.nn.Conv1d

    def forward(self, inputs: Tensor, before: Tensor, blocked: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D) and the W - 1 inputs before them -> (B, T, D) and the last W - 1 inputs."""
        width, steps = len(self.weight), inputs.shape[1]
        x = torch.cat([before, inputs], dim=1)  # (B, W - 1 + T, D)
        y = self.bias
        for lag, weight in enumerate(self.weight.flip(0)):
            y = torch.addcmul(y, weight, x[:, lag : lag + steps])
        if blocked is None:
            return y, x[:, steps:]
        ends = (~blocked).sum(dim=1)[:, None] + torch.arange(width - 1, device=x.device)  # (B, W - 1) places in x
        return y, x.gather(1, ends[:, :, None].expand(-1, -1, x.shape[-1]))


def draw_step_sizes(bias: Tensor) -> None:
    """Give a bias values whose softplus lies between 0.001 and 0.1, evenly on a logarithmic scale: from the start some
    channels are slow and some are fast (Gu & Dao 2023, section 3.6)."""
    with torch.no_grad():
        drawn = nn.init.uniform_(bias, math.log(1e-3), math.log(1e-1)).exp()
        bias.copy_(drawn + torch.log(-torch.expm1(-drawn)))


class FeedForward(nn.Sequential):
    """W_2 gelu(W_1 x + b_1) + b_2"""

    def __init__(self, size: int, inner_size: int) -> None:
        super().__init__(Linear(size, inner_size), nn.GELU(), Linear(inner_size, size))


class Block(nn.Module):
    """x + f(norm(x)) for a recurrence, and again for a feed-forward part where there is one."""

    def __init__(self, size: int, recurrence: Recurrence, feed_forward: nn.Module | None, dropout: float) -> None:
        super().__init__()
        self.recurrence_norm, self.recurrence = nn.RMSNorm(size, eps=NORM_EPSILON), recurrence
        self.feed_forward_norm = None if feed_forward is None else nn.RMSNorm(size, eps=NORM_EPSILON)
        self.feed_forward = feed_forward
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        """(B, T, D), parts (B, …) -> (B, T, D) and the state behind the last step."""
        mixed, state = self.recurrence(self.recurrence_norm(inputs), state, blocked)
        x = inputs + self.dropout(mixed)
        if self.feed_forward is not None and self.feed_forward_norm is not None:
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x, state


class LinearRecurrentSeq2Seq(LitSeq2Seq):
    """An encoder and a decoder of blocks whose only link is the final state of each layer.

    Layer l of the decoder starts from the final state of layer l of the encoder. So the context is fixed, as that of
    an RNN, LSTM or GRU; but all steps of a layer are one scan. Of the encoder's last layer nothing is read but its
    state: it has neither outputs nor a feed-forward part.

    A subclass names its recurrence.

    Args:
        hidden_size: D, of embeddings and blocks.
        embedding_std: standard deviation of the initial embeddings.
        num_layers: layers of the encoder, and of the decoder.
        feed_forward_size: size inside the feed-forward parts; None takes 4 x hidden_size, 0 leaves them out.
        dropout: on embeddings and behind each part of a block.
        tied_embeddings: one matrix for source, target and output layer (Press & Wolf 2017); the vocabularies must be
            one.
        word_dropout: share of words, of source and target, whose whole embedding is dropped in training (Sennrich &
            Zhang 2019); for small corpora.
        **kwargs: training options, see LitSeq2Seq.
    """

    attends, recurrence = False, "linear"
    work, sequential_operations, path_length = "n·d²", "O(log n)", "O(log n)"

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_std: float = 1.0,
        num_layers: int = 2,
        feed_forward_size: int | None = None,
        dropout: float = 0.0,
        tied_embeddings: bool = False,
        word_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(hidden_size >= 1, "hidden_size", hidden_size, "must be at least 1")
        require(embedding_std > 0, "embedding_std", embedding_std, "must be above 0")
        require_common(
            self,
            num_layers=num_layers,
            dropout=dropout,
            tied_embeddings=tied_embeddings,
            word_dropout=word_dropout,
        )
        inner = 4 * hidden_size if feed_forward_size is None else feed_forward_size
        require(inner >= 0, "feed_forward_size", feed_forward_size, "must be at least 0")
        self.hidden_size, self.num_layers, self.feed_forward_size = hidden_size, num_layers, inner
        self.word_dropout = word_dropout
        self.source_embedding = nn.Embedding(self.source_vocab_size, hidden_size)
        self.target_embedding = self.source_embedding
        if not tied_embeddings:
            self.target_embedding = nn.Embedding(self.target_vocab_size, hidden_size)
        for table in dict.fromkeys([self.source_embedding, self.target_embedding]):
            nn.init.normal_(table.weight, std=embedding_std)
        self.dropout = Dropout(dropout)
        self.output_norm = nn.RMSNorm(hidden_size, eps=NORM_EPSILON)
        self.output = Linear(hidden_size, self.target_vocab_size, bias=not tied_embeddings)
        if tied_embeddings:
            self.output.weight = self.target_embedding.weight
        self.encoder = nn.ModuleList(self._block(layer < num_layers - 1) for layer in range(num_layers))
        self.decoder = nn.ModuleList(self._block(True) for _ in range(num_layers))
        self._shapes = cast(Block, self.decoder[0]).recurrence.shapes  # of the parts of a layer's state

    @abstractmethod
    def make_recurrence(self, is_read: bool) -> Recurrence:
        """The recurrence of a block; `is_read` says whether anything reads its outputs."""

    def _block(self, is_read: bool) -> Block:
        inner = FeedForward(self.hidden_size, self.feed_forward_size) if self.feed_forward_size and is_read else None
        return Block(self.hidden_size, self.make_recurrence(is_read), inner, self.dropout.p)

    @property
    def context_size(self) -> int:
        return self.num_layers * sum(torch.Size(shape).numel() for shape in self._shapes)

    def encode(self, source: Tensor, source_lengths: Tensor, on_host: OnHost | None = None) -> Memory:
        blocked = padding_mask(source_lengths, source.shape[1], is_padded(source_lengths, source.shape[1], on_host))
        inputs = self._embed(self.source_embedding, source)
        states, final = self._run(self.encoder, inputs, self._nothing(inputs), blocked)
        return Memory(states, source_lengths, blocked, final)

    def start(self, memory: Memory) -> State:
        return memory.final

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths, batch.on_host))
        return Output(self._decode(batch.target_in, state)[0], None)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State, None]:
        logits, state = self._decode(token[:, None], state)
        return logits[:, 0], state, None

    def transition(self, source: Tensor, source_lengths: Tensor, position: Tensor, state: State | None) -> State:
        """One step of all layers of the encoder."""
        inputs = self.source_embedding(source.gather(1, position[:, None]))  # (B, 1, D)
        return self._run(self.encoder, inputs, self._nothing(inputs) if state is None else state, None)[1]

    def _decode(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, T) tokens -> (B, T, V) logits and the state behind the last."""
        # Behind the end of a target nobody reads outputs or state, so that its padding needs no care.
        hidden, state = self._run(self.decoder, self._embed(self.target_embedding, tokens), state, None)
        return self.output(self.output_norm(hidden)), state

    def _run(self, blocks: nn.ModuleList, x: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        """(B, T, D) and a state -> (B, T, D) and the state behind the last step."""
        following: list[Tensor] = []
        parts = len(self._shapes)
        for layer, block in enumerate(blocks):
            x, after = block(x, state[layer * parts : (layer + 1) * parts], blocked)
            following.extend(after)
        return x, tuple(following)

    def _nothing(self, inputs: Tensor) -> State:
        """The state before the first step, zeros."""
        return tuple(inputs.new_zeros(len(inputs), *shape) for shape in self._shapes * self.num_layers)

    def _embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)"""
        return drop_words(self.dropout(table(tokens)), self.word_dropout, self.training)
