"""Recurrent layers, the recurrent encoder, and the fixed-context encoder-decoder of RNN, LSTM and GRU.

Shapes: B sequences, S source positions, T target positions, E embedding size, H hidden size, L layers,
M memory size (H, or 2H for a bidirectional encoder), V target vocabulary.

States are kept with the batch first, (B, L, H), as row selection wants it; torch's layers want (L, B, H).
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from data.batch import Batch
from lit_models.contract import Memory, Output, padding_mask, require
from lit_models.kernels import step_products
from lit_models.kernels.linear import Linear
from lit_models.layers.dropout import Dropout, drop_words
from lit_models.lit_module import LitSeq2Seq

Cell = Literal["rnn", "relu-rnn", "lstm", "gru"]
LAYERS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "relu-rnn": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
RecurrentInit = Literal["default", "orthogonal", "identity"]
State = tuple[Tensor, ...]  # (h,) or, for an LSTM, (h, c); each (B, L, H)


def make_layers(
    cell: Cell, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool = False
) -> nn.RNNBase:
    """One of torch's fused recurrent layers, batch first. Dropout stands between layers (Zaremba et al. 2014)."""
    between = dropout if num_layers > 1 else 0.0
    return LAYERS[cell](
        input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
    )


def run_layers(layers: nn.RNNBase, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps in one fused call: (B, T, E) inputs and a state give (B, T, H) outputs and the last state."""
    hidden, *memory = (part.transpose(0, 1).contiguous() for part in state)
    outputs, last = layers(inputs, (hidden, *memory) if memory else hidden)
    last = last if isinstance(last, tuple) else (last,)
    return outputs, tuple(part.transpose(0, 1) for part in last)


def layer_weights(layers: nn.RNNBase, side: Literal["ih", "hh"], layer: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer's input (ih) or recurrence (hh): (gates x H, input or H) and (gates x H,)."""
    return getattr(layers, f"weight_{side}_l{layer}"), getattr(layers, f"bias_{side}_l{layer}")


@torch.no_grad()
def initialise_layers(layers: nn.RNNBase, recurrent_init: RecurrentInit, forget_bias: float) -> None:
    """Change what torch has drawn for recurrent layers; `default` and 0 leave all of it and draw nothing.

    Args:
        recurrent_init: what the recurrence of each gate becomes, see RecurrentSeq2Seq.
        forget_bias: what an LSTM's two biases of the forget gate sum to.
    """
    for name, parameter in layers.named_parameters():
        if name.startswith("weight_hh") and recurrent_init != "default":
            fill = nn.init.orthogonal_ if recurrent_init == "orthogonal" else nn.init.eye_
            for gate in parameter.split(layers.hidden_size):
                fill(gate)
        if name.startswith("bias"):
            if recurrent_init == "identity":
                parameter.zero_()
            if forget_bias != 0:
                _, forget, _, _ = parameter.chunk(4)  # torch's order: input, forget, cell, output
                forget.fill_(forget_bias if name.startswith("bias_ih") else 0.0)


class StepMaps(NamedTuple):
    """The linear maps of recurrent layers that a step loop calls in every step, a function for each layer."""

    inputs: list[Callable[[Tensor], Tensor]]  # of the layers above the first: (B, H) -> (B, gates x H)
    recurrent: list[Callable[[Tensor], Tensor]]  # (B, H) -> (B, gates x H)


def step_maps(layers: nn.RNNBase, rows: int, steps: int) -> StepMaps:
    """The maps for a loop over so many steps with so many rows."""
    maps: dict[str, list[Callable[[Tensor], Tensor]]] = {}
    for side in ("ih", "hh"):
        first = 1 if side == "ih" else 0
        weights = [layer_weights(layers, side, layer) for layer in range(first, layers.num_layers)]
        maps[side] = [step_products.step_linear(*each, rows, steps) for each in weights]
    return StepMaps(maps["ih"], maps["hh"])


def step_cell(layers: nn.RNNBase, recurrent: Tensor, projected: Tensor, state: State) -> State:
    """One step of one layer with the same weights as the fused call, for loops that cannot be fused.

    Args:
        recurrent: (B, gates x H) the layer's state h times its recurrent weights, bias included.
        projected: (B, gates x H) the layer's input times its input weights, bias included.
        state: (h,) or (h, c), each (B, H).

    Returns:
        The next (h,) or (h, c). The gates are those of torch.nn.RNN, LSTM and GRU.
    """
    hidden = state[0]
    if isinstance(layers, nn.LSTM):
        i, f, g, o = (projected + recurrent).chunk(4, dim=1)
        memory = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(memory), memory
    if isinstance(layers, nn.GRU):
        input_gates, input_new = projected.tensor_split([2 * hidden.shape[1]], dim=1)
        recurrent_gates, recurrent_new = recurrent.tensor_split([2 * hidden.shape[1]], dim=1)
        reset, update = torch.sigmoid(input_gates + recurrent_gates).chunk(2, dim=1)
        new = torch.tanh(input_new + reset * recurrent_new)
        return (new + update * (hidden - new),)
    squash = torch.relu if layers.nonlinearity == "relu" else torch.tanh
    return (squash(projected + recurrent),)


def step_layers(
    layers: nn.RNNBase, maps: StepMaps, projected: Tensor, states: list[State], dropout: float, training: bool
) -> tuple[Tensor, list[State]]:
    """One step through all layers.

    Args:
        maps: from `step_maps`.
        projected: (B, gates x H) input of the first layer times its input weights, bias included.
        states: for each layer (h,) or (h, c), each (B, H).

    Returns:
        (B, H) output of the top layer, and the next states.
    """
    following = []
    for layer, state in enumerate(states):
        if layer > 0:
            below = F.dropout(following[-1][0], dropout, training)
            projected = maps.inputs[layer - 1](below)
        following.append(step_cell(layers, maps.recurrent[layer](state[0]), projected, state))
    return following[-1][0], following


def unstack(state: State) -> list[State]:
    """(B, L, H) parts -> for each layer its (B, H) parts."""
    return [tuple(part[:, layer] for part in state) for layer in range(state[0].shape[1])]


def stack(states: list[State]) -> State:
    """The inverse of `unstack`."""
    return tuple(torch.stack(parts, dim=1) for parts in zip(*states, strict=True))


def reverse_rows(rows: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first `lengths` positions of each row of (B, S) or (B, S, M); padding stays behind."""
    positions = torch.arange(rows.shape[1], device=rows.device)[None, :]
    mirrored = lengths[:, None] - 1 - positions
    mirrored = torch.where(mirrored >= 0, mirrored, positions)
    return rows[torch.arange(len(rows), device=rows.device)[:, None], mirrored]


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers over the embedded source, in one or both directions, as one fused call."""

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.output_size = self.directions * hidden_size
        self.layers = make_layers(cell, input_size, hidden_size, num_layers, dropout, bidirectional)

    def forward(self, inputs: Tensor, lengths: Tensor, padded: bool) -> tuple[Tensor, State]:
        """(B, S, E) inputs -> (B, S, M) outputs, zero at padding, and the final state, parts (B, L, M).

        The backward direction starts at each row's own last word; its final state is the one at the first.
        """
        if padded:
            packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
            outputs, final = self.layers(packed)
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
        else:
            outputs, final = self.layers(inputs)
        final = final if isinstance(final, tuple) else (final,)
        return outputs, tuple(self._join_directions(part) for part in final)

    def _join_directions(self, part: Tensor) -> Tensor:
        """(L x directions, B, H) -> (B, L, M) with the forward half first."""
        layers = part.shape[0] // self.directions
        return part.view(layers, self.directions, *part.shape[1:]).permute(2, 0, 1, 3).flatten(2)


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
            orthogonal (Saxe et al. 2014), or identity with zero biases (IRNN, Le, Jaitly & Hinton 2015).
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
        require(num_layers >= 1, "num_layers", num_layers, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must lie in [0, 1)")
        require(self.cell in LAYERS, "cell", self.cell, f"is unknown; the cells are {', '.join(LAYERS)}")
        require(
            recurrent_init in ("default", "orthogonal", "identity"),
            "recurrent_init",
            recurrent_init,
            "is unknown; choose default, orthogonal or identity",
        )
        require(0 <= word_dropout < 1, "word_dropout", word_dropout, "must lie in [0, 1)")
        require(
            not tied_embeddings or self.source_vocab_size == self.target_vocab_size,
            "tied_embeddings",
            tied_embeddings,
            "needs one vocabulary for source and target",
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

    def encode(self, source: Tensor, source_lengths: Tensor) -> Memory:
        blocked = padding_mask(source_lengths, source.shape[1])
        if self.reverse_source:
            source = reverse_rows(source, source_lengths)
        inputs = self.embed(self.source_embedding, source)  # (B, S, E)
        states, final = self.encoder(inputs, source_lengths, padded=blocked is not None)
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
        maps = step_maps(self.encoder.layers, len(source), steps=1)
        _, states = step_layers(self.encoder.layers, maps, projected, unstack(state), dropout=0.0, training=False)
        return stack(states)


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


class FixedContextState(NamedTuple):
    """The decoder's state, parts (B, L, H), and the context (B, H) that every step reads, or None."""

    hidden: State
    context: Tensor | None


class FixedContextSeq2Seq(RecurrentSeq2Seq):
    """An encoder-decoder whose decoder sees the source only through the encoder's final state.

    `initial-state` starts the decoder from that state (Sutskever et al. 2014). `every-step` makes of it a context
    c = tanh(V h_S), starts the decoder from tanh(V' c), and feeds c into every decoder step and into the output
    layer (Cho et al. 2014, appendix A.1). Deviation for the GRU: torch's candidate is
    tanh(W x + r * (U h) + C c), with the context outside the reset gate, where Cho et al. have r * (U h + C c).

    The decoder's input never depends on its own output, so all steps are one fused call.

    The defaults are those of Sutskever et al. 2014 made small.

    Args:
        hidden_size: size of the recurrent layers, in each direction.
        embedding_size: size of source and target embeddings; None takes hidden_size.
        embedding_std: standard deviation of the initial embeddings; text wants about 0.1, so that a rare word is not
            mostly noise.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: read the source in both directions.
        dropout: on embeddings, between layers and before the output layer.
        reverse_source: read the source from its end to its beginning (Sutskever et al. 2014).
        context: the decoder sees the source in its initial-state only, or at every-step (Cho et al. 2014).
        readout: the output layer, linear or maxout (Cho et al. 2014).
        readout_size: pairs of a maxout layer; None takes hidden_size.
        **kwargs: options of initialisation, see RecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    attends = False
    work, sequential_operations, path_length = "n·d²", "O(n)", "O(n)"

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        embedding_size: int | None = None,
        embedding_std: float = 1.0,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse_source: bool = False,
        context: Literal["initial-state", "every-step"] = "initial-state",
        readout: Literal["linear", "maxout"] = "linear",
        readout_size: int | None = None,
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
        hidden, embedding = self.hidden_size, self.embedding_size
        memory = self.encoder.output_size
        require(
            context in ("initial-state", "every-step"),
            "context",
            context,
            "is unknown; choose initial-state or every-step",
        )
        self.every_step = context == "every-step"
        decoder_input, readout_input = embedding, hidden
        if self.every_step:
            self.to_context = Linear(memory, hidden)
            parts = 2 if self.cell == "lstm" else 1
            self.from_context = Linear(hidden, parts * num_layers * hidden)
            decoder_input, readout_input = embedding + hidden, hidden + embedding + hidden
        else:
            self.bridge = Bridge(self.cell, memory, hidden)
        self.decoder = make_layers(self.cell, decoder_input, hidden, num_layers, self.dropout.p)
        self.initialise(self.decoder)
        self.readout = Readout(readout, readout_input, readout_size or hidden, self.target_vocab_size)
        self.tie(self.readout.output)

    @property
    def context_size(self) -> int:
        if self.every_step:
            return self.hidden_size
        return (2 if self.cell == "lstm" else 1) * self.num_layers * self.hidden_size

    def start(self, memory: Memory) -> FixedContextState:
        if not self.every_step:
            return FixedContextState(self.bridge(memory.final), None)
        context = torch.tanh(self.to_context(memory.final[0][:, -1]))  # (B, H)
        layers = memory.final[0].shape[1]
        first = torch.tanh(self.from_context(context)).unflatten(1, (-1, layers, self.hidden_size))
        return FixedContextState(tuple(first.unbind(dim=1)), context)

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state = self.start(self.encode(batch.source, batch.source_lengths))
        logits, _ = self._decode(batch.target_in, state)
        return Output(logits, None)

    def step(self, token: Tensor, state: FixedContextState) -> tuple[Tensor, FixedContextState, None]:
        logits, state = self._decode(token[:, None], state)
        return logits[:, 0], state, None

    def _decode(self, tokens: Tensor, state: FixedContextState) -> tuple[Tensor, FixedContextState]:
        """(B, T) tokens -> (B, T, V) logits and the last state."""
        inputs = self.embed(self.target_embedding, tokens)  # (B, T, E)
        context = state.context
        if context is None:
            outputs, hidden = run_layers(self.decoder, inputs, state.hidden)
            read = outputs
        else:
            everywhere = context[:, None, :].expand(-1, inputs.shape[1], -1)
            outputs, hidden = run_layers(self.decoder, torch.cat([inputs, everywhere], -1), state.hidden)
            read = torch.cat([outputs, inputs, everywhere], dim=-1)
        return self.readout(self.dropout(read)), FixedContextState(hidden, context)
