"""The unfused reference of a model: layers, attention and loss as the single operations they consist of.

A fused kernel is one node of the autograd graph however many steps it takes inside. Unfused, every step is there to
be seen and counted. Shapes: B sequences, T positions, E input size, H hidden size, L layers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from data.batch import PAD
from lit_models import lit_module
from lit_models.kernels import linear, step_products
from lit_models.layers import attention

CELLS = {"RNN_TANH": torch.rnn_tanh_cell, "RNN_RELU": torch.rnn_relu_cell, "GRU": torch.gru_cell}
LAYERS = (nn.RNN, nn.GRU, nn.LSTM)


@contextmanager
def unfused() -> Iterator[None]:
    """While this lasts, torch's recurrent layers run step by step and its attention as products and a softmax.

    This holds for every model, whoever wrote it, as long as it calls torch.nn.RNN, GRU or LSTM and
    scaled_dot_product_attention. Additive scores and the loss, for which this package has functions of its own, are
    made as their equations say. On a CPU everything is then made of torch's own elementary operations.
    """
    plain = [(layer, "forward", _run) for layer in LAYERS] + PLAIN
    fused = [(owner, name, getattr(owner, name)) for owner, name, _ in plain]
    try:
        for owner, name, function in plain:
            setattr(owner, name, function)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for owner, name, function in fused:
            setattr(owner, name, function)


def _additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """(B, T, A), (B, S, A), (A,) -> (B, T, S)"""
    return torch.tanh(queries[:, :, None, :] + keys[:, None, :, :]) @ energy


def _smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float, count: Tensor | float, consume: bool
) -> Tensor:
    """(N, V), (N,) -> ()"""
    total = F.cross_entropy(logits, targets, ignore_index=PAD, label_smoothing=label_smoothing, reduction="sum")
    return total / count


def _step_linear(weight: Tensor, summand: Tensor | None, _rows: int, _steps: int) -> Callable[[Tensor], Tensor]:
    """(B, I) -> (B, O)"""
    if summand is None or summand.dim() == 1:
        return partial(F.linear, weight=weight, bias=summand)
    each = iter(summand)
    return lambda inputs: next(each) + F.linear(inputs, weight)


def _step_matmul(matrices: Tensor, _steps: int) -> Callable[[Tensor], Tensor]:
    """(B, 1, N) -> (B, 1, O)"""
    return lambda inputs: inputs @ matrices


PLAIN: list[tuple[Any, str, Any]] = [
    (step_products, "step_linear", _step_linear),
    (step_products, "step_matmul", _step_matmul),
    (attention, "additive_scores", _additive_scores),
    (linear, "affine", F.linear),
    (lit_module, "smoothed_cross_entropy", _smoothed_cross_entropy),
]


def _run(layers: nn.RNNBase, inputs: Any, state: Any = None) -> tuple[Any, Any]:
    """What the forward of torch's recurrent layers gives for a batch.

    Raises:
        ValueError: rows of different lengths, packed, or an LSTM with a projection.
    """
    if layers.proj_size:
        raise ValueError("recurrent layers with a projection have no unfused reference")
    if isinstance(inputs, PackedSequence):
        return _run_packed(layers, inputs, state)
    if not layers.batch_first:
        inputs = inputs.transpose(0, 1)
    outputs, last = _all_layers(layers, inputs, _first_states(layers, inputs, state))
    parts = tuple(torch.stack(part) for part in zip(*last, strict=True))  # each (L x directions, B, H)
    return outputs if layers.batch_first else outputs.transpose(0, 1), parts if len(parts) == 2 else parts[0]


def _run_packed(layers: nn.RNNBase, inputs: PackedSequence, state: Any) -> tuple[PackedSequence, Any]:
    padded, lengths = pad_packed_sequence(inputs, batch_first=layers.batch_first)
    if int(lengths.min()) != int(lengths.max()):
        raise ValueError("the unfused reference takes rows of one length only")
    outputs, last = _run(layers, padded, state)
    return pack_padded_sequence(outputs, lengths, batch_first=layers.batch_first, enforce_sorted=False), last


def _first_states(layers: nn.RNNBase, inputs: Tensor, state: Any) -> list[tuple[Tensor, ...]]:
    """For each layer and direction (h,) or (h, c), each (B, H)."""
    parts = 2 if layers.mode == "LSTM" else 1
    if state is None:
        count = layers.num_layers * (2 if layers.bidirectional else 1)
        state = tuple(inputs.new_zeros(count, len(inputs), layers.hidden_size) for _ in range(parts))
    state = state if isinstance(state, tuple) else (state,)
    return list(zip(*(part.unbind(0) for part in state), strict=True))


def _all_layers(
    layers: nn.RNNBase, inputs: Tensor, states: list[tuple[Tensor, ...]]
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """(B, T, E) -> (B, T, H x directions) and the last states, ordered as the first ones."""
    directions = ("", "_reverse") if layers.bidirectional else ("",)
    last = []
    for layer in range(layers.num_layers):
        if layer > 0:
            inputs = F.dropout(inputs, layers.dropout, layers.training)
        sides = []
        for number, direction in enumerate(directions):
            first = states[layer * len(directions) + number]
            outputs, final = _all_steps(layers, f"_l{layer}{direction}", inputs, first, backwards=bool(number))
            sides.append(outputs)
            last.append(final)
        inputs = torch.cat(sides, dim=-1)
    return inputs, last


def _all_steps(
    layers: nn.RNNBase, suffix: str, inputs: Tensor, state: tuple[Tensor, ...], backwards: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(B, T, E) -> (B, T, H) and the last state of one layer in one direction."""
    # Layers without a bias have no such attributes, and the cells then want None.
    weights: list[Any] = [
        getattr(layers, f"{name}{suffix}", None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    steps = list(inputs.unbind(dim=1))
    outputs = []
    for step in reversed(steps) if backwards else steps:
        if layers.mode == "LSTM":
            state = torch.lstm_cell(step, state, *weights)
        else:
            state = (CELLS[layers.mode](step, state[0], *weights),)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs, dim=1), state
