"""Linear layers give what torch's give, in value and gradient, whichever library makes the products."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.kernels import linear
from lit_models.kernels.linear import Linear, affine

# (rows), inputs, outputs: wider, narrower and of one width
SIZES = [((7,), 5, 9), ((3, 4), 9, 5), ((2, 3, 2), 6, 6)]

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


@pytest.fixture
def always_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor on which, and for sizes at which, it is faster."""
    monkeypatch.setattr(linear, "mkl_does_without_avx512", lambda: True)
    monkeypatch.setattr(linear, "LEAST", 0)
    monkeypatch.setattr(linear, "LEAST_FOR_WEIGHTS", 0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def made_by_onednn(value: Tensor) -> bool:
    return type(value.grad_fn).__name__ == "_AffineBackward"


@needs_onednn
@pytest.mark.usefixtures("always_onednn")
@pytest.mark.parametrize(("rows", "size", "outputs"), SIZES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("least_for_weights", [0, 1e9])
def test_value_and_gradients_are_those_of_torch(
    rows: tuple[int, ...],
    size: int,
    outputs: int,
    biased: bool,
    least_for_weights: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear, "LEAST_FOR_WEIGHTS", least_for_weights)
    inputs, weight, slope = drawn(*rows, size), drawn(outputs, size, seed=1), drawn(*rows, outputs, seed=2).detach()
    given = [inputs, weight, drawn(outputs, seed=3)] if biased else [inputs, weight]
    made, expected = affine(*given), F.linear(*given)
    assert made_by_onednn(made)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)
    for fast, reference in zip(
        torch.autograd.grad(made, given, slope), torch.autograd.grad(expected, given, slope), strict=True
    ):
        torch.testing.assert_close(fast, reference, rtol=1e-5, atol=1e-5)


@needs_onednn
@pytest.mark.usefixtures("always_onednn")
def test_parts_of_a_weight_and_inputs_that_are_laid_out_otherwise_do_as_well() -> None:
    inputs, weight = drawn(4, 3, 5), drawn(6, 11, seed=1)
    given = (inputs.transpose(0, 1), weight[:, 2:7])
    made, expected = affine(*given), F.linear(*given)
    assert made_by_onednn(made)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(value.square().sum(), [inputs, weight]) for value in (made, expected))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("always_onednn")
def test_other_precisions_are_left_to_torch() -> None:
    inputs, weight = drawn(3, 4), drawn(5, 4, seed=1)
    assert not made_by_onednn(affine(inputs.double(), weight.double()))
    with torch.autocast("cpu", torch.bfloat16):
        made = affine(inputs, weight)
        assert not made_by_onednn(made)
        assert torch.equal(made, F.linear(inputs, weight))


def test_small_products_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "mkl_does_without_avx512", lambda: True)
    assert not made_by_onednn(affine(drawn(64, 64), drawn(64, 64, seed=1)))


def test_a_layer_starts_and_is_stored_as_torchs_own() -> None:
    torch.manual_seed(0)
    layer = Linear(4, 3)
    torch.manual_seed(0)
    torchs = nn.Linear(4, 3)
    assert layer.state_dict().keys() == torchs.state_dict().keys()
    for name, value in torchs.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value)
    inputs = drawn(2, 4)
    assert torch.equal(layer(inputs), torchs(inputs))
