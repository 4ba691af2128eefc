"""Stacked recurrent layers: fused over a whole sequence, or step by step with the same weights.

Shapes: B sequences, S source positions, T steps, E input size, H hidden size, L layers, G gates, M memory size (H, or
2H for a bidirectional encoder).

States are kept with the batch first, (B, L, H), as row selection wants it; torch's layers want (L, B, H).
"""

import contextlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.kernels.linear import affine
from lit_models.kernels.recurrence import FUSED, is_quicker, layer_over_steps
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


# Layers called one by one, or in another precision, have weights that are not one block; cuDNN then makes one.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")

HELD = 1e4  # what makes a gate 0 or 1 to the last bit


def run_layers(layers: nn.RNNBase, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps of rows that are all full: (B, T, E) inputs and a state give (B, T, H) outputs and the last state."""
    outputs, last = all_steps(layers, inputs, tuple(part.transpose(0, 1).contiguous() for part in state), None)
    return outputs, tuple(part.transpose(0, 1) for part in last)


def all_steps(layers: nn.RNNBase, inputs: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
    """torch's layers over all steps: in one call where that is all there is to it, else one layer after the other.

    On a GPU they come with the precision and the dropout that are asked for. Under autocast torch runs cuDNN's layers
    in float16, though bfloat16 be asked for. And cuDNN has random numbers of its own for the dropout between layers:
    whenever torch's are seeded, they are set up anew, which takes a wait.

    Args:
        layers: L layers, in one or both directions.
        inputs: (B, T, E)
        state: parts (L x directions, B, H), contiguous; None is zeros.
        lengths: (B,) of rows that may be padded; None where all are full.

    Returns:
        (B, T, H x directions), at padding of no meaning, and the state behind each row's last step, parts
        (L x directions, B, H).
    """
    device = inputs.device.type
    reduced = device != "cpu" and torch.is_autocast_enabled(device)
    dropped = device != "cpu" and layers.training and layers.dropout > 0 and layers.num_layers > 1
    by_layer = lengths is not None or dropped or is_quicker(layers.mode, inputs)
    if not (by_layer or reduced):
        outputs, last = layers(inputs, None if state is None else _as_torch_has_it(state))
        return outputs, last if isinstance(last, tuple) else (last,)
    with torch.autocast(device, enabled=False) if reduced else contextlib.nullcontext():
        inputs = inputs.to(torch.get_autocast_dtype(device)) if reduced else inputs
        weights = [weight.to(inputs.dtype) for weight in layers._flat_weights if weight is not None]
        if state is None:
            zeros = inputs.new_zeros(layers.num_layers * (1 + layers.bidirectional), len(inputs), layers.hidden_size)
            state = (zeros,) * (2 if layers.mode == "LSTM" else 1)
        state = tuple(part.to(inputs.dtype) for part in state)
        if by_layer:
            return _layer_by_layer(layers, inputs, state, weights, lengths)
        outputs, *end = FUSED[layers.mode](
            inputs, _as_torch_has_it(state), weights, layers.bias, layers.num_layers, 0.0, layers.training,
            layers.bidirectional, True,
        )  # fmt: skip
        return outputs, tuple(end)


def _as_torch_has_it(state: State) -> Tensor | State:
    return state if len(state) > 1 else state[0]  # type: ignore[misc]


def _layer_by_layer(
    layers: nn.RNNBase, outputs: Tensor, state: State, weights: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, State]:
    """As `all_steps`, with dropout by torch's own random numbers.

    The backward direction is the forward one over reversed rows. Padding stands behind every row: what a layer makes
    of it nobody reads, and the state behind the last word is the output there. An LSTM's c is no output. So c is held
    over the padding, by one more input that is 1 there: its weights keep the input gate closed and the forget gate
    open, c_t = 1 c_{t-1} + 0 g_t.
    """
    directions, last = 2 if layers.bidirectional else 1, []
    padding = None
    if lengths is not None and layers.mode == "LSTM":
        order = torch.arange(outputs.shape[1], device=outputs.device)
        padding = (order >= lengths[:, None])[:, :, None].to(outputs.dtype)  # (B, S, 1)
    for layer in range(layers.num_layers):
        if layer > 0:
            outputs = F.dropout(outputs, layers.dropout, layers.training)
        if padding is not None:
            outputs = torch.cat([outputs, padding], dim=2)
        sides = []
        for direction in range(directions):
            number = layer * directions + direction
            chosen = weights[4 * number : 4 * number + 4]
            if padding is not None:
                chosen[0] = torch.cat([chosen[0], _holding(chosen[0])], dim=1)
            read = outputs if direction == 0 else reverse_rows(outputs, lengths)
            side, end = layer_over_steps(
                layers.mode, read, tuple(part[number] for part in state), chosen, layers.training
            )
            if lengths is not None:
                end = (_at_end(side, lengths), *end[1:])
            last.append(end)
            sides.append(side if direction == 0 else reverse_rows(side, lengths))
        outputs = sides[0] if directions == 1 else torch.cat(sides, dim=2)
    return outputs, tuple(torch.stack(parts) if len(last) > 1 else parts[0][None] for parts in zip(*last, strict=True))


def _holding(weight: Tensor) -> Tensor:
    """(4H, 1) weights of the input that holds c: of the input, forget, cell and output gate."""
    holding = weight.new_zeros(4, len(weight) // 4)
    holding[0], holding[1] = -HELD, HELD
    return holding.view(-1, 1)


def _at_end(outputs: Tensor, lengths: Tensor) -> Tensor:
    """(B, S, H) at the last word of each row -> (B, H)"""
    ends = (lengths - 1)[:, None, None].expand(-1, 1, outputs.shape[2])
    return outputs.gather(1, ends)[:, 0]


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers over the embedded source, in one or both directions."""

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

    def forward(self, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, State]:
        """(B, S, E) inputs -> (B, S, M) outputs, at padding of no meaning, and the final state, parts (B, L, M).

        The backward direction starts at each row's own last word; its final state is the one at the first.

        Args:
            inputs: (B, S, E)
            lengths: (B,); None where no row is padded.
        """
        outputs, final = all_steps(self.layers, inputs, None, lengths)
        return outputs, tuple(self._join_directions(part) for part in final)

    def _join_directions(self, part: Tensor) -> Tensor:
        """(L x directions, B, H) -> (B, L, M) with the forward half first."""
        layers = part.shape[0] // self.directions
        return part.view(layers, self.directions, *part.shape[1:]).permute(2, 0, 1, 3).flatten(2)


def reverse_rows(rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the first `lengths` positions of each row of (B, S) or (B, S, M); padding stays behind. None is all."""
    if lengths is None:
        return rows.flip(1)
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
