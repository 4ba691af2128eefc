"""A recurrence solved by Newton's method for all steps at once has the states of its own loop."""

import pytest
import torch
from torch import nn

from benchmarks.newton import linearised_gru, linearised_lstm, solve

CELLS = [(nn.GRU, linearised_gru, 1), (nn.LSTM, linearised_lstm, 2)]


@pytest.mark.parametrize(("layer_class", "linearised", "parts"), CELLS)
@pytest.mark.parametrize("diagonal", [False, True])
@torch.no_grad()
def test_the_states_are_those_of_the_loop(layer_class, linearised, parts, diagonal):
    torch.manual_seed(1)
    layer, inputs = layer_class(6, 5, batch_first=True), torch.randn(3, 17, 6)
    states, steps = solve(linearised(layer, inputs, diagonal), torch.zeros(3, 5 * parts), 17)
    torch.testing.assert_close(states[..., :5], layer(inputs)[0], atol=1e-4, rtol=0)
    assert 2 <= steps < 17, "17 steps fill in one state each, whatever the Jacobians are"


@pytest.mark.parametrize(("layer_class", "linearised", "parts"), CELLS)
def test_the_jacobian_is_that_of_autograd(layer_class, linearised, parts):
    torch.manual_seed(1)
    layer, inputs, before = (
        layer_class(6, 5).double(),
        torch.randn(1, 1, 6).double(),
        torch.randn(1, 1, 5 * parts).double(),
    )
    step = linearised(layer, inputs, False)
    by_autograd = torch.autograd.functional.jacobian(lambda state: step(state)[0], before)
    torch.testing.assert_close(step(before)[1].squeeze(), by_autograd.squeeze())
    diagonals = linearised(layer, inputs, True)(before)[1]
    torch.testing.assert_close(diagonals.squeeze(), by_autograd.squeeze().diagonal())
