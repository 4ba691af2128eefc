"""What all recurrent encoder-decoders share: embeddings and encoder, the way into the decoder and the way out of it.

Shapes: B sequences, S source positions, T target positions, E embedding size, H hidden size, L layers, M memory size
(H, or 2H for a bidirectional encoder), V target vocabulary.
"""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.batch import OnHost
from lit_models.contract import Memory, is_padded, padding_mask, require, require_common
from lit_models.kernels.choice import plain
from lit_models.kernels.dropout import Dropout
from lit_models.kernels.linear import Linear
from lit_models.layers.cells import State
from lit_models.layers.recurrent import (
    LAYERS,
    Cell,
    LayerSteps,
    RecurrentEncoder,
    RecurrentInit,
    initialise_layers,
    layer_weights,
    reverse_rows,
    stack,
    unstack,
)
from lit_models.layers.word_dropout import drop_words
from lit_models.lit_module import LitSeq2Seq


class RecurrentSeq2Seq(LitSeq2Seq):
    """What all recurrent architectures share: the embeddings and the encoder. A subclass names its cell.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        embedding_std: standard deviation of the initial embeddings; text wants about 0.1, so that a rare word is not
            mostly noise.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: read the source in both directions (Schuster & Paliwal 1997).
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning (Sutskever et al. 2014).
        recurrent_init: the recurrent weights of encoder and decoder, gate by gate: default as torch draws them,
            orthogonal (Saxe et al. 2014), or identity with zero biases (IRNN: Le, Jaitly & Hinton 2015).
        forget_bias: initial bias of an LSTM's forget gate (Gers et al. 2000; Jozefowicz et al. 2015); 0 leaves it as
            torch draws it.
        tied_embeddings: one matrix for source, target and output layer (Press & Wolf 2017); the vocabularies must be
            one, and the output layer as wide as the embeddings.
        word_dropout: share of words, of source and target, whose whole embedding is dropped in training (Sennrich &
            Zhang 2019); for small corpora.
        **kwargs: training options, see LitSeq2Seq.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        embedding_size: int | None,
        embedding_std: float,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        reverse_source: bool,
        recurrent_init: RecurrentInit = "default",
        forget_bias: float = 0.0,
        tied_embeddings: bool = False,
        word_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        embedding_size = hidden_size if embedding_size is None else embedding_size
        require(hidden_size >= 1, "hidden_size", hidden_size, "must be at least 1")
        require(embedding_size >= 1, "embedding_size", embedding_size, "must be at least 1")
        require(embedding_std > 0, "embedding_std", embedding_std, "must be above 0")
        require_common(
            self,
            num_layers=num_layers,
            dropout=dropout,
            tied_embeddings=tied_embeddings,
            word_dropout=word_dropout,
        )
        require(self.cell in LAYERS, "cell", self.cell, f"is unknown; the cells are {', '.join(LAYERS)}")
        require(
            recurrent_init in ("default", "orthogonal", "identity"),
            "recurrent_init",
            recurrent_init,
            "is unknown; choose default, orthogonal or identity",
        )
        require(forget_bias == 0 or self.cell == "lstm", "forget_bias", forget_bias, "needs an LSTM's forget gate")
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.num_layers = num_layers
        self.reverse_source = reverse_source
        self.source_embedding = nn.Embedding(self.source_vocab_size, embedding_size)
        self.target_embedding = self.source_embedding
        if not tied_embeddings:
            self.target_embedding = nn.Embedding(self.target_vocab_size, embedding_size)
        with torch.no_grad():
            for table in dict.fromkeys([self.source_embedding, self.target_embedding]):
                table.weight *= embedding_std  # torch draws them with a standard deviation of 1
        self.dropout = Dropout(dropout)
        self.encoder = RecurrentEncoder(self.cell, embedding_size, hidden_size, num_layers, bidirectional, dropout)
        self.initialise(self.encoder.layers)

    @property
    @abstractmethod
    def cell(self) -> Cell:
        """The recurrent cell of encoder and decoder: rnn, relu-rnn, lstm or gru."""

    def initialise(self, layers: nn.RNNBase) -> None:
        """Give recurrent layers the initial weights that the options ask for."""
        initialise_layers(layers, self.options["recurrent_init"], self.options["forget_bias"])

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As of torch; the encoder stays as it is: torch's compiler makes nothing better of a fused call."""
        self.encoder.forward = torch.compiler.disable(self.encoder.forward)  # type: ignore[method-assign]
        super().compile(*args, **kwargs)

    def tie(self, output: Linear) -> None:
        """Give the output layer the target embeddings for its weights, if the options ask for it."""
        if self.options["tied_embeddings"]:
            require(
                output.in_features == self.embedding_size,
                "embedding_size",
                self.embedding_size,
                f"must be {output.in_features}, the size of the output layer, with tied embeddings",
            )
            output.weight = self.target_embedding.weight

    def embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        """(B, …) tokens -> (B, …, E) their embeddings, with the dropout that the options ask for."""
        return drop_words(self.dropout(table(tokens)), self.options["word_dropout"], self.training)

    def encode(self, source: Tensor, source_lengths: Tensor, on_host: OnHost | None = None) -> Memory:
        padded = is_padded(source_lengths, source.shape[1], on_host)
        blocked = padding_mask(source_lengths, source.shape[1], padded)
        if self.reverse_source:
            source = reverse_rows(source, source_lengths)
        inputs = self.embed(self.source_embedding, source)  # (B, S, E)
        states, final = self.encoder(inputs, source_lengths if padded else None)
        if self.reverse_source:
            states = reverse_rows(states, source_lengths)
        return Memory(states, source_lengths, blocked, final)

    def transition(self, source: Tensor, source_lengths: Tensor, position: Tensor, state: State | None) -> State | None:
        """One step of the forward direction, its state parts (B, L, H); for an LSTM h and c together.

        None for stacked layers in both directions: an upper layer reads the whole source through the backward
        direction below, so that its forward direction is no recurrence by itself.
        """
        if self.encoder.directions == 2 and self.num_layers > 1:
            return None
        read = source_lengths - 1 - position if self.reverse_source else position
        inputs = self.source_embedding(source.gather(1, read[:, None])[:, 0])  # (B, E)
        projected = F.linear(inputs, *layer_weights(self.encoder.layers, "ih", 0))
        if state is None:
            parts = 2 if self.cell == "lstm" else 1
            state = (projected.new_zeros(len(source), self.num_layers, self.hidden_size),) * parts
        with plain():  # its derivative is differentiated again
            step = LayerSteps(self.encoder.layers, len(source), steps=1, dropout=0.0)
        return stack(step(projected, unstack(state)))


class Bridge(nn.Module):
    """From the encoder's final state to the decoder's first one.

    A unidirectional encoder hands its state over as it is (Sutskever et al. 2014). The two directions of a
    bidirectional one are joined by tanh(W [forward; backward]) for each part of the state.
    """

    def __init__(self, cell: Cell, memory_size: int, hidden_size: int) -> None:
        super().__init__()
        parts = 2 if cell == "lstm" else 1
        self.maps = nn.ModuleList()
        if memory_size != hidden_size:
            self.maps.extend(Linear(memory_size, hidden_size) for _ in range(parts))

    def forward(self, final: State) -> State:
        """Parts (B, L, M) -> parts (B, L, H)."""
        if not self.maps:
            return final
        return tuple(torch.tanh(join(part)) for join, part in zip(self.maps, final, strict=True))


class Readout(nn.Module):
    """From decoder vectors to logits: a linear layer, or one with a maxout layer before it.

    maxout: t = max over pairs of U x, logits = W t (Goodfellow et al. 2013; Cho et al. 2014, appendix A.1.1;
    Bahdanau et al. 2015, appendix A.2.2). The input is the concatenation of what the equations sum.
    """

    def __init__(self, kind: str, input_size: int, size: int, vocab_size: int) -> None:
        super().__init__()
        self.maxout = None
        if kind == "maxout":
            require(size >= 1, "readout_size", size, "must be at least 1")
            self.maxout = Linear(input_size, 2 * size)
            input_size = size
        elif kind != "linear":
            raise ValueError(f"model.readout: '{kind}' is unknown; choose linear or maxout")
        self.output = Linear(input_size, vocab_size)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, T, input) -> (B, T, V)"""
        if self.maxout is not None:
            vectors = self.maxout(vectors).unflatten(-1, (-1, 2)).amax(dim=-1)
        return self.output(vectors)
