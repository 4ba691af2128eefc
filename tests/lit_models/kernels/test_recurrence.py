"""Recurrent layers and cells in few operations equal those of torch and the equations, in value and gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lit_models.kernels.recurrence import GRUStep, layer_over_steps, plain_layer
from lit_models.layers.cells import gru_cell

ROWS, STEPS, SIZE, INPUTS = 3, 5, 4, 6
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.double).requires_grad_() for shape in shapes]


def layer_arguments(mode: str) -> list[Tensor]:
    """Inputs, weights and the parts of the state before the first step."""
    gates = GATES[mode] * SIZE
    weights = [(gates, INPUTS), (gates, SIZE), (gates,), (gates,)]
    return drawn((ROWS, STEPS, INPUTS), *weights, *[(ROWS, SIZE)] * (2 if mode == "LSTM" else 1))


def run(layer: Any, mode: str, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    outputs, last = layer(mode, inputs, tuple(rest[4:]), list(rest[:4]), True)
    return outputs, *last


@pytest.mark.parametrize("mode", GATES)
def test_a_layer_has_the_outputs_the_last_state_and_the_gradients_of_torch(mode: str) -> None:
    given = layer_arguments(mode)
    results = []
    for layer in (layer_over_steps, plain_layer):
        values = run(layer, mode, *given)
        weighted = [(value * torch.linspace(-1, 2, value.numel()).view_as(value)).sum() for value in values]
        results.append((values, torch.autograd.grad(weighted, given)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["RNN_TANH", "GRU"])
def test_finite_differences_confirm_the_gradient(mode: str) -> None:
    assert torch.autograd.gradcheck(lambda *given: run(layer_over_steps, mode, *given), layer_arguments(mode))


@pytest.mark.parametrize("mode", GATES)
def test_without_a_gradient_torch_computes_to_the_last_bit(mode: str) -> None:
    given = [one.detach().float() for one in layer_arguments(mode)]
    with torch.no_grad():
        for made, expected in zip(run(layer_over_steps, mode, *given), run(plain_layer, mode, *given), strict=True):
            assert torch.equal(made, expected)


def test_a_step_of_a_gru_is_the_equation() -> None:
    given = drawn((ROWS, 3 * SIZE), (ROWS, 3 * SIZE), (ROWS, SIZE))
    inputs, recurrent, h = given
    torch.testing.assert_close(GRUStep.apply(*given), gru_cell(inputs, recurrent, (h,))[0])
    assert torch.autograd.gradcheck(GRUStep.apply, given)
