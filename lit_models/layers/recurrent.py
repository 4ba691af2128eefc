"""Stacked recurrent layers: fused over a whole sequence, or step by step with the same weights.

Shapes: B sequences, S source positions, T steps, E input size, H hidden size, L layers, G gates, M memory size (H, or
2H for a bidirectional encoder).

States are kept with the batch first, (B, L, H), as row selection wants it; torch's layers want (L, B, H).
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lit_models.kernels.linear import affine
from lit_models.kernels.step_products import Map, step_linear
from lit_models.layers.cells import CELLS, State

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


def run_layers(layers: nn.RNNBase, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps in one fused call: (B, T, E) inputs and a state give (B, T, H) outputs and the last state."""
    hidden, *memory = (part.transpose(0, 1).contiguous() for part in state)
    outputs, last = layers(inputs, (hidden, *memory) if memory else hidden)
    last = last if isinstance(last, tuple) else (last,)
    return outputs, tuple(part.transpose(0, 1) for part in last)


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
        self.cell = CELLS[layers.mode]
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
