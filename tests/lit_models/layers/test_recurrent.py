"""An encoder reads padded rows without packing them, and gives what packing gives."""

import contextlib

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lit_models.layers.recurrent import Cell, RecurrentEncoder
from tests.helpers.pretend_device import IS_REAL, device, pretend_device

LENGTHS = torch.tensor([5, 2, 7, 1, 7])
SIZE = 4


def encoder_and_inputs(cell: Cell, layers: int, bidirectional: bool) -> tuple[RecurrentEncoder, Tensor]:
    torch.manual_seed(0)
    encoder = RecurrentEncoder(cell, 3, SIZE, layers, bidirectional, dropout=0.0)
    return encoder, torch.randn(len(LENGTHS), int(LENGTHS.max()), 3)


def by_packing(encoder: RecurrentEncoder, inputs: Tensor) -> tuple[Tensor, ...]:
    """(B, S, M) zero at padding, and the parts of the final state, (B, L, M)."""
    outputs, final = encoder.layers(pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False))
    parts = final if isinstance(final, tuple) else (final,)
    rows, _ = pad_packed_sequence(outputs, batch_first=True)
    return rows, *(part.view(-1, encoder.directions, *part.shape[1:]).permute(2, 0, 1, 3).flatten(2) for part in parts)


def without(encoder: RecurrentEncoder, inputs: Tensor) -> tuple[Tensor, ...]:
    outputs, final = encoder(inputs, LENGTHS.to(inputs.device))
    is_word = torch.arange(inputs.shape[1], device=inputs.device) < LENGTHS.to(inputs.device)[:, None]
    return outputs * is_word[:, :, None], *final


def gradients(encoder: RecurrentEncoder, values: tuple[Tensor, ...]) -> list[Tensor]:
    encoder.zero_grad()
    weights = (torch.linspace(-1, 2, one.numel(), dtype=one.dtype).view(one.shape).to(one.device) for one in values)
    torch.stack([(value * weight).sum() for value, weight in zip(values, weights, strict=True)]).sum().backward()
    return [parameter.grad.cpu() for parameter in encoder.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["rnn", "relu-rnn", "lstm", "gru"])
def test_outputs_final_state_and_gradients_are_those_of_packed_rows(
    cell: Cell, layers: int, bidirectional: bool
) -> None:
    encoder, inputs = encoder_and_inputs(cell, layers, bidirectional)
    for precision, tolerance in ((torch.double, 1e-12), (torch.float, 1e-5)):
        encoder, inputs = encoder.to(precision), inputs.to(precision)
        expected = by_packing(encoder, inputs)
        expected_gradients = gradients(encoder, expected)
        made = without(encoder, inputs)
        torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradients(encoder, made), expected_gradients, rtol=tolerance, atol=tolerance)
    with pretend_device() as seen:
        there, inputs = encoder_and_inputs(cell, layers, bidirectional)
        there, inputs_there = there.to(device()), inputs.to(device())
        seen.reset()
        made = without(there, inputs_there)
        assert not [name for name in seen.operations if "pack" in name]
        near = 1e-4 if IS_REAL else 1e-5
        torch.testing.assert_close([value.detach().cpu() for value in made], list(expected), rtol=near, atol=near)
        torch.testing.assert_close(gradients(there, made), expected_gradients, rtol=near, atol=near)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_full_rows_are_read_as_rows_that_may_be_padded(cell: Cell) -> None:
    encoder, inputs = encoder_and_inputs(cell, 2, True)
    full = torch.full((len(inputs),), inputs.shape[1])
    for graph in (contextlib.nullcontext(), torch.no_grad()):
        with graph:
            torch.testing.assert_close(encoder(inputs, full), encoder(inputs, None), rtol=1e-6, atol=1e-6)
