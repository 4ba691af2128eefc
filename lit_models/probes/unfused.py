"""A model as the single operations it consists of: the kernels of lit_models and of torch in their plain form.

A fused kernel is one node of the autograd graph however many steps it takes inside. Unfused, every step is there to
be seen and counted.

torch's recurrent layers and its attention are kernels, too. Their plain forms are here, and torch itself puts them in
place: a TorchFunctionMode sees every call of a function of torch. Shapes: B sequences, T positions, E input size,
H hidden size, L layers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from lit_models.kernels.choice import plain
from lit_models.layers.cells import CELLS, State


@contextmanager
def unfused() -> Iterator[None]:
    """While this lasts, recurrent layers run step by step, attention is products and a softmax, and every kernel of
    lit_models is its plain form.

    This holds for every model, whoever wrote it, as long as it calls torch.nn.RNN, GRU or LSTM and
    scaled_dot_product_attention. On a CPU everything is then made of torch's own elementary operations.
    """
    with plain(), sdpa_kernel(SDPBackend.MATH), _PlainRecurrence():
        yield


class _PlainRecurrence(TorchFunctionMode):
    """The functions that torch.nn.RNN, LSTM and GRU call take one step after the other."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return PLAIN.get(func, func)(*args, **(kwargs or {}))


def _recurrent_layers(mode: str, inputs: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    """As torch.rnn_tanh, rnn_relu, lstm or gru, which take rows of one length or packed ones.

    Returns:
        Outputs, and h or h and c, each (L x directions, B, H).

    Raises:
        ValueError: packed rows of different lengths.
    """
    if isinstance(arguments[2], bool):  # no sizes of packed rows come first
        state, *options, batch_first = arguments
        outputs, last = _all_layers(mode, inputs if batch_first else inputs.transpose(0, 1), state, *options)
        return (outputs if batch_first else outputs.transpose(0, 1), *last)
    sizes, state, *options = arguments
    if int(sizes.min()) != int(sizes.max()):
        raise ValueError("the unfused reference takes rows of one length only")
    outputs, last = _all_layers(mode, inputs.unflatten(0, (len(sizes), -1)).transpose(0, 1), state, *options)
    return (outputs.transpose(0, 1).flatten(0, 1), *last)


PLAIN: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.rnn_tanh: partial(_recurrent_layers, "RNN_TANH"),
    torch.rnn_relu: partial(_recurrent_layers, "RNN_RELU"),
    torch.lstm: partial(_recurrent_layers, "LSTM"),
    torch.gru: partial(_recurrent_layers, "GRU"),
}


def _all_layers(
    mode: str,
    inputs: Tensor,
    state: Any,
    weights: list[Tensor],
    biases: bool,
    count: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(B, T, E) -> (B, T, H x directions), and the last h or h and c, each (L x directions, B, H).

    Raises:
        ValueError: an LSTM with a projection.
    """
    directions = 2 if bidirectional else 1
    of_a_layer = len(weights) // (count * directions)  # W, U and their biases
    if of_a_layer != (4 if biases else 2):
        raise ValueError("recurrent layers with a projection have no unfused reference")
    state = tuple(state) if isinstance(state, list | tuple) else (state,)
    first: list[State] = list(zip(*(part.unbind(0) for part in state), strict=True))
    last = []
    for layer in range(count):
        if layer > 0:
            inputs = F.dropout(inputs, dropout, training)
        sides = []
        for direction in range(directions):
            number = layer * directions + direction
            chosen = weights[number * of_a_layer : (number + 1) * of_a_layer]
            outputs, final = _all_steps(mode, inputs, first[number], chosen, backwards=direction == 1)
            sides.append(outputs)
            last.append(final)
        inputs = torch.cat(sides, dim=-1)
    return inputs, tuple(torch.stack(part) for part in zip(*last, strict=True))


def _all_steps(mode: str, inputs: Tensor, state: State, weights: list[Tensor], backwards: bool) -> tuple[Tensor, State]:
    """(B, T, E) -> (B, T, H) and the last state of one layer in one direction."""
    weight_ih, weight_hh, *biases = weights
    bias_ih, bias_hh = biases or (None, None)
    steps = list(inputs.unbind(dim=1))
    outputs = []
    for step in reversed(steps) if backwards else steps:
        recurrent = F.linear(state[0], weight_hh, bias_hh)
        state = CELLS[mode](F.linear(step, weight_ih, bias_ih), recurrent, state)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs, dim=1), state
