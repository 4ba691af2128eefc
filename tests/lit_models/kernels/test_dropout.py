"""Dropout drops the share that is asked for, and keeps the expectation."""

import pytest
import torch
from torch import Tensor

from lit_models.kernels.choice import plain
from lit_models.kernels.dropout import Dropout


def dropped(share: float, shape: tuple[int, ...] = (500, 400), seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return Dropout(share).train()(torch.ones(shape))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_the_share_is_dropped_and_the_rest_scaled(share: float) -> None:
    values = dropped(share)
    error = (share * (1 - share) / values.numel()) ** 0.5
    assert (values == 0).float().mean().item() == pytest.approx(share, abs=4 * error)
    torch.testing.assert_close(values[values != 0].unique(), torch.tensor([1 / (1 - share)]))


def test_neighbours_are_dropped_independently() -> None:
    gone = (dropped(0.5) == 0).double().flatten()
    for distance in (1, 2, 3, 4, 5, 400):
        correlation = torch.corrcoef(torch.stack([gone[:-distance], gone[distance:]]))[0, 1].item()
        assert abs(correlation) < 4 / len(gone) ** 0.5


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3), (5, 1, 7), (0, 4)])
def test_any_shape_is_taken(shape: tuple[int, ...]) -> None:
    assert dropped(0.5, shape).shape == shape


def test_the_generator_decides() -> None:
    assert torch.equal(dropped(0.3, seed=1), dropped(0.3, seed=1))
    assert not torch.equal(dropped(0.3, seed=1), dropped(0.3, seed=2))


def test_the_gradient_is_the_mask() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(50, 50).requires_grad_()
    outputs = Dropout(0.4).train()(inputs)
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
    torch.testing.assert_close(gradient * inputs, outputs)


def test_nothing_is_dropped_in_evaluation_or_with_a_share_of_zero() -> None:
    inputs = torch.randn(4, 5)
    assert Dropout(0.5).eval()(inputs) is inputs
    assert torch.equal(Dropout(0.0).train()(inputs), inputs)


def test_half_precision_stays() -> None:
    assert Dropout(0.5).train()(torch.ones(10, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_plain_form_is_torchs() -> None:
    inputs = torch.ones(50, 50)
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(inputs, 0.4)
    torch.manual_seed(0)
    with plain():
        assert torch.equal(Dropout(0.4).train()(inputs), expected)
