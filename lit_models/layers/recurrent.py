"""Stacked recurrent layers: fused over a whole sequence, or step by step with the same weights.

Shapes: B sequences, S source positions, T steps, E input size, H hidden size, L layers, G gates, M memory size (H, or
2H for a bidirectional encoder).

States are kept with the batch first, (B, L, H), as row selection wants it; torch's layers want (L, B, H).
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lit_models.kernels.linear import affine
from lit_models.kernels.step_products import Map, step_linear
from lit_models.layers.cells import State, cell_of

Cell = Literal["rnn", "relu-rnn", "lstm", "gru"]
LAYERS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "relu-rnn": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
RecurrentInit = Literal["default", "orthogonal", "identity"]


def make_layers(
    cell: Cell, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool = False
) -> nn.RNNBase:
    """One of torch's fused recurrent layers, batch first. Dropout stands between layers (Zaremba et al. 2014)."""
    between = dropout if num_layers > 1 else 0.0
    return LAYERS[cell](
        input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
    )


def layer_weights(layers: nn.RNNBase, side: Literal["ih", "hh"], layer: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer's input (ih) or recurrence (hh): (G x H, input or H) and (G x H,)."""
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


# ---------------------------------------------------------------------- all steps at once


FUSED: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru
}  # fmt: skip

# Layers called one by one, or in another precision, have weights that are not one block; cuDNN then makes one.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")


def run_layers(layers: nn.RNNBase, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps in one fused call: (B, T, E) inputs and a state give (B, T, H) outputs and the last state."""
    outputs, last = all_steps(layers, inputs, tuple(part.transpose(0, 1).contiguous() for part in state))
    return outputs, tuple(part.transpose(0, 1) for part in last)


Inputs = TypeVar("Inputs", Tensor, PackedSequence)


def all_steps(layers: nn.RNNBase, inputs: Inputs, state: State | None) -> tuple[Inputs, State]:
    """torch's layers over all steps, in the precision and with the dropout that are asked for on a GPU too.

    Under autocast torch runs cuDNN's layers in float16, though bfloat16 be asked for. And cuDNN has random numbers of
    its own for the dropout between layers: whenever torch's are seeded, they are set up anew, which takes a wait.

    Args:
        layers: L layers, in one or both directions.
        inputs: (B, T, E), or packed.
        state: parts (L x directions, B, H), contiguous; None is zeros.

    Returns:
        (B, T, H x directions), or packed, and the last state, parts (L x directions, B, H).
    """
    numbers = inputs if isinstance(inputs, Tensor) else inputs.data
    device = numbers.device.type
    reduced = torch.is_autocast_enabled(device)
    dropped = layers.training and layers.dropout > 0 and layers.num_layers > 1
    if device == "cpu" or not (reduced or dropped):
        outputs, last = layers(inputs, None if state is None else _as_torch_has_it(state))
        return outputs, last if isinstance(last, tuple) else (last,)
    with torch.autocast(device, enabled=False):
        precision = torch.get_autocast_dtype(device) if reduced else numbers.dtype
        return _called(layers, inputs, numbers.to(precision), state, one_by_one=dropped)


def _as_torch_has_it(state: State) -> Tensor | State:
    return state if len(state) > 1 else state[0]  # type: ignore[misc]


def _called(
    layers: nn.RNNBase, inputs: Inputs, numbers: Tensor, state: State | None, one_by_one: bool
) -> tuple[Inputs, State]:
    """As `all_steps`, of inputs whose numbers are given in the precision of the result."""
    sizes = () if isinstance(inputs, Tensor) else (inputs.batch_sizes,)
    directions, calls = 2 if layers.bidirectional else 1, layers.num_layers if one_by_one else 1
    if state is None:
        rows = len(numbers) if isinstance(inputs, Tensor) else int(inputs.batch_sizes[0])
        parts = 2 if layers.mode == "LSTM" else 1
        state = (numbers.new_zeros(layers.num_layers * directions, rows, layers.hidden_size),) * parts
    weights = [weight.to(numbers.dtype) for weight in layers._flat_weights if weight is not None]
    groups = [part.to(numbers.dtype).chunk(calls) for part in state]
    each, last = len(weights) // calls, []
    for call in range(calls):
        if call > 0:
            numbers = F.dropout(numbers, layers.dropout)
        first = tuple(group[call] for group in groups)
        numbers, *final = FUSED[layers.mode](
            numbers, *sizes, _as_torch_has_it(first), weights[call * each : (call + 1) * each],
            layers.bias, layers.num_layers // calls, 0.0, layers.training, layers.bidirectional,
            *(() if sizes else (True,)),
        )  # fmt: skip
        last.append(final)
    end = tuple(torch.cat(parts) for parts in zip(*last, strict=True))
    if isinstance(inputs, Tensor):
        return numbers, end
    return inputs._replace(data=numbers), tuple(_unsorted(part, inputs, 1) for part in end)


def packed(inputs: Tensor, lengths: Tensor, on_host: Tensor) -> PackedSequence:
    """Inputs without their padding, as by torch's `pack_padded_sequence`. That one sorts on the host and waits until
    the device has the order.

    Args:
        inputs: (B, S, E)
        lengths: (B,) beside them.
        on_host: the same in memory of the host.
    """
    in_order, order = on_host.sort(descending=True)
    if lengths.device != on_host.device:
        order = lengths.argsort(descending=True)  # rows of equal length may stand in another order
    numbers, sizes = torch._VF._pack_padded_sequence(inputs.index_select(0, order), in_order, True)  # type: ignore
    return PackedSequence(numbers, sizes, order, order.argsort())


def padded(sequence: PackedSequence, width: int) -> Tensor:
    """The inverse of `packed`, zero at padding: (B, width, H). That of torch asks the device for the lengths too."""
    rows, _ = torch._VF._pad_packed_sequence(sequence.data, sequence.batch_sizes, True, 0.0, width)  # type: ignore
    return _unsorted(rows, sequence, 0)


def _unsorted(rows: Tensor, sequence: PackedSequence, dimension: int) -> Tensor:
    assert sequence.unsorted_indices is not None
    return rows.index_select(dimension, sequence.unsorted_indices)


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

    def forward(self, inputs: Tensor, lengths: Tensor, on_host: Tensor | None) -> tuple[Tensor, State]:
        """(B, S, E) inputs -> (B, S, M) outputs, at padding of no meaning, and the final state, parts (B, L, M).

        The backward direction starts at each row's own last word; its final state is the one at the first.

        Args:
            inputs: (B, S, E)
            lengths: (B,)
            on_host: the same in memory of the host; None where no row is padded.
        """
        if on_host is None:
            outputs, final = all_steps(self.layers, inputs, None)
        elif self._shows_its_state and inputs.device.type != "cpu":
            outputs, _ = all_steps(self.layers, inputs, None)
            ends = (lengths - 1)[:, None, None].expand(-1, 1, outputs.shape[2])
            return outputs, (outputs.gather(1, ends),)
        else:
            sequence = packed(inputs, lengths, on_host)
            outputs, final = all_steps(self.layers, sequence, None)
            outputs = padded(outputs, inputs.shape[1])
        return outputs, tuple(self._join_directions(part) for part in final)

    @property
    def _shows_its_state(self) -> bool:
        """Whether the output at a row's last word is all of its final state: then padding may be read on a device that
        takes as long for it, and a few dozen kernels are spared. An LSTM's c and the lower layers are not shown."""
        return self.layers.mode != "LSTM" and self.layers.num_layers == self.directions == 1

    def _join_directions(self, part: Tensor) -> Tensor:
        """(L x directions, B, H) -> (B, L, M) with the forward half first."""
        layers = part.shape[0] // self.directions
        return part.view(layers, self.directions, *part.shape[1:]).permute(2, 0, 1, 3).flatten(2)


def reverse_rows(rows: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first `lengths` positions of each row of (B, S) or (B, S, M); padding stays behind."""
    positions = torch.arange(rows.shape[1], device=rows.device)[None, :]
    mirrored = lengths[:, None] - 1 - positions
    mirrored = torch.where(mirrored >= 0, mirrored, positions)
    return rows[torch.arange(len(rows), device=rows.device)[:, None], mirrored]


# ---------------------------------------------------------------------- one step after the other


class LayerSteps:
    """Recurrent layers in a loop over T steps, with the weights of the fused call.

    Args:
        layers: one direction.
        rows: B
        steps: T
        dropout: between layers.
    """

    def __init__(self, layers: nn.RNNBase, rows: int, steps: int, dropout: float) -> None:
        self.cell = cell_of(layers.mode, layer_weights(layers, "hh", 0)[0].device)
        self.dropout = dropout
        first_layer, *upper_layers = range(layers.num_layers)
        self.inputs = [step_linear(*layer_weights(layers, "ih", layer), rows, steps) for layer in upper_layers]  # W
        self.recurrent = [  # U
            step_linear(*layer_weights(layers, "hh", layer), rows, steps) for layer in (first_layer, *upper_layers)
        ]

    def __call__(self, inputs: Tensor, states: list[State]) -> list[State]:
        """The next step.

        Args:
            inputs: (B, G x H) input of the first layer times its weights W, bias included.
            states: for each layer (h,) or (h, c), each (B, H).

        Returns:
            The next states; the output is h of the last one.
        """
        following: list[State] = []
        for layer, state in enumerate(states):
            if layer > 0:
                inputs = self.inputs[layer - 1](F.dropout(following[-1][0], self.dropout))
            following.append(self.cell(inputs, self.recurrent[layer](state[0]), state))
        return following


class DecoderSteps:
    """Recurrent layers of a decoder whose input at a step is [y; x], where only y is known before the loop.

    What the gates of the first layer get of y is computed for all steps at once.

    Args:
        layers: one direction.
        known: (B, T, E) y of all steps.
        dropout: between layers.
    """

    def __init__(self, layers: nn.RNNBase, known: Tensor, dropout: float) -> None:
        rows, steps, size = known.shape
        weight, bias = layer_weights(layers, "ih", 0)
        of_known = affine(known.transpose(0, 1), weight[:, :size], bias)  # (T, B, G x H)
        self.first: Map = step_linear(weight[:, size:], of_known, rows, steps)
        self.layers = LayerSteps(layers, rows, steps, dropout)

    def __call__(self, inputs: Tensor, states: list[State]) -> list[State]:
        """(B, I) x, and for each layer (h,) or (h, c), each (B, H) -> the next of these."""
        return self.layers(self.first(inputs), states)


def unstack(state: State) -> list[State]:
    """(B, L, H) parts -> for each layer its (B, H) parts."""
    return [tuple(part[:, layer] for part in state) for layer in range(state[0].shape[1])]


def stack(states: list[State]) -> State:
    """The inverse of `unstack`."""
    return tuple(torch.stack(parts, dim=1) for parts in zip(*states, strict=True))
