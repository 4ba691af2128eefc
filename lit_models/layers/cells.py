"""One step of a recurrent layer, each cell beside its equations.

Shapes: B sequences, H hidden size, G gates (1 in an RNN, 4 in an LSTM, 3 in a GRU).

All gates of W x_t and of U h_{t-1}, biases included, come in one tensor each: W x_t is often known for all steps before
the first of them. The cells have the weights and the order of gates of torch.nn.RNN, LSTM and GRU.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lit_models.kernels.choice import is_plain
from lit_models.kernels.recurrence import GRUStep, differentiates_on_cpu

State = tuple[Tensor, ...]  # (h,) or, for an LSTM, (h, c)


def rnn_cell(inputs: Tensor, recurrent: Tensor, state: State, squash: Callable[[Tensor], Tensor]) -> State:
    """Elman 1990, with f for the squashing function.

    Args:
        inputs: (B, H) W x_t.
        recurrent: (B, H) U h_{t-1}.
        state: (h_{t-1},), (B, H); the equation needs it in `recurrent` alone.
        squash: f, tanh or relu.

    Returns:
        (h_t,)
    """
    return (squash(inputs + recurrent),)  # h_t = f(W x_t + U h_{t-1})


def lstm_cell(inputs: Tensor, recurrent: Tensor, state: State) -> State:
    """Hochreiter & Schmidhuber 1997, with forget gate (Gers et al. 2000) and without peepholes.

    Args:
        inputs: (B, 4H) W_i x_t, W_f x_t, W_g x_t, W_o x_t.
        recurrent: (B, 4H) U_i h_{t-1}, U_f h_{t-1}, U_g h_{t-1}, U_o h_{t-1}.
        state: (h_{t-1}, c_{t-1}), each (B, H).

    Returns:
        (h_t, c_t)
    """
    _, c = state
    i, f, g, o = (inputs + recurrent).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)  # c_t = f_t c_{t-1} + i_t g_t
    return torch.sigmoid(o) * torch.tanh(c), c  # h_t = o_t tanh(c_t)


def gru_cell(inputs: Tensor, recurrent: Tensor, state: State) -> State:
    """Cho et al. 2014, with the reset gate behind the recurrent product.

    Args:
        inputs: (B, 3H) W_r x_t, W_z x_t, W_n x_t.
        recurrent: (B, 3H) U_r h_{t-1}, U_z h_{t-1}, U_n h_{t-1}.
        state: (h_{t-1},), (B, H).

    Returns:
        (h_t,)
    """
    (h,) = state
    input_gates, input_new = inputs.tensor_split([2 * h.shape[1]], dim=1)
    recurrent_gates, recurrent_new = recurrent.tensor_split([2 * h.shape[1]], dim=1)
    r, z = torch.sigmoid(input_gates + recurrent_gates).chunk(2, dim=1)  # r_t, z_t = sigmoid(W x_t + U h_{t-1})
    n = torch.tanh(input_new + r * recurrent_new)  # n_t = tanh(W_n x_t + r_t (U_n h_{t-1}))
    return (n + z * (h - n),)  # h_t = (1 - z_t) n_t + z_t h_{t-1}


CELLS: dict[str, Callable[[Tensor, Tensor, State], State]] = {
    "RNN_TANH": partial(rnn_cell, squash=torch.tanh),
    "RNN_RELU": partial(rnn_cell, squash=torch.relu),
    "LSTM": lstm_cell,
    "GRU": gru_cell,
}
"""Cells by the `mode` of torch's recurrent layers."""

FUSED_ON = {"cuda"}
"""Kinds of devices on which torch has what is behind the products of an LSTM's or GRU's step as one kernel."""


def cell_of(mode: str, device: torch.device) -> Callable[[Tensor, Tensor, State], State]:
    """The cell of a mode; as one kernel where there is one, in fewer operations where there are some."""
    if is_plain():
        return CELLS[mode]
    if device.type in FUSED_ON:
        return {"LSTM": fused_lstm_cell, "GRU": fused_gru_cell}.get(mode, CELLS[mode])
    return gru_cell_in_training if mode == "GRU" and differentiates_on_cpu(device) else CELLS[mode]


def fused_lstm_cell(inputs: Tensor, recurrent: Tensor, state: State) -> State:
    """As `lstm_cell`."""
    return torch.ops.aten._thnn_fused_lstm_cell.default(inputs, recurrent, state[1])[:2]


def fused_gru_cell(inputs: Tensor, recurrent: Tensor, state: State) -> State:
    """As `gru_cell`."""
    return torch.ops.aten._thnn_fused_gru_cell.default(inputs, recurrent, state[0])[:1]


def gru_cell_in_training(inputs: Tensor, recurrent: Tensor, state: State) -> State:
    """As `gru_cell`."""
    return (GRUStep.apply(inputs, recurrent, state[0]),)
