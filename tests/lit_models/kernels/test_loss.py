"""The loss that training minimises equals torch's, in value and gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data.batch import PAD
from lit_models.kernels import loss
from lit_models.kernels.loss import smoothed_cross_entropy


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few logits are torch's; here they count as many."""
    monkeypatch.setattr(loss, "SMALL", 0)


def logits_and_targets(precision: torch.dtype, tokens: int = 50, vocabulary: int = 37) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(tokens, vocabulary, generator=generator, dtype=torch.double)
    targets = torch.randint(1, vocabulary, (tokens,), generator=generator)
    targets[::5] = PAD
    return logits.to(precision).requires_grad_(), targets


def value_and_gradient(total: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    (gradient,) = torch.autograd.grad(total / 7, logits)
    return total.detach(), gradient


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.double, 1e-12), (torch.float, 1e-5)])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("part", [1, 5 * 37, 2**19])
def test_value_and_gradient_are_those_of_torch(
    precision: torch.dtype, tolerance: float, label_smoothing: float, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loss.PART, "cpu", part)
    logits, targets = logits_and_targets(precision)
    expected = F.cross_entropy(logits, targets, ignore_index=PAD, label_smoothing=label_smoothing, reduction="sum")
    made = smoothed_cross_entropy(logits, targets, label_smoothing)
    assert made.dtype == precision
    for fast, reference in zip(value_and_gradient(made, logits), value_and_gradient(expected, logits), strict=True):
        torch.testing.assert_close(fast, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("count", [40, 40.0, torch.tensor(40), torch.tensor(40.0)])
@pytest.mark.parametrize("factor", [1, 3])
def test_a_count_divides_value_and_gradient(count: Tensor | float, factor: int) -> None:
    logits, targets = logits_and_targets(torch.double)
    expected = factor * F.cross_entropy(logits, targets, ignore_index=PAD, reduction="sum") / 40
    made = factor * smoothed_cross_entropy(logits, targets, count=count)
    torch.testing.assert_close(made, expected)
    gradients = (torch.autograd.grad(value, logits) for value in (made, expected))
    torch.testing.assert_close(*(gradient for (gradient,) in gradients), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("precision", [torch.double, torch.float, torch.bfloat16])
def test_logits_may_be_given_up_for_their_gradient(precision: torch.dtype) -> None:
    logits, targets = logits_and_targets(precision)
    kept = 1 * logits
    expected = torch.autograd.grad(smoothed_cross_entropy(kept, targets, 0.1, 40), logits)
    torch.testing.assert_close(kept, logits)
    given_up = 1 * logits
    made = torch.autograd.grad(smoothed_cross_entropy(given_up, targets, 0.1, 40, consume=True), logits)
    assert torch.equal(made[0], expected[0])
    assert torch.equal(given_up, expected[0])


def test_a_gradient_can_be_asked_for_twice() -> None:
    logits, targets = logits_and_targets(torch.double)
    mean = smoothed_cross_entropy(logits, targets, count=40)
    (first,) = torch.autograd.grad(mean, logits, retain_graph=True)
    first_again = first.clone()
    (second,) = torch.autograd.grad(2 * mean, logits)
    torch.testing.assert_close(second, 2 * first_again)


def test_float16_loses_no_gradient_that_its_scaler_would_save() -> None:
    logits, targets = logits_and_targets(torch.half, tokens=5, vocabulary=2**12)
    scale, count = 2.0**14, 2**15
    (gradient,) = torch.autograd.grad(scale * smoothed_cross_entropy(logits, targets, count=count), logits)
    exact = logits.detach().double().requires_grad_()
    (reference,) = torch.autograd.grad(scale * smoothed_cross_entropy(exact, targets, count=count), exact)
    torch.testing.assert_close(gradient.double(), reference, rtol=2**-8, atol=2**-16)
    assert (gradient[targets != PAD] != 0).double().mean() > 0.5


def test_half_precision_is_summed_in_single_precision() -> None:
    logits, targets = logits_and_targets(torch.bfloat16)
    exact = F.cross_entropy(logits.double(), targets, ignore_index=PAD, label_smoothing=0.1, reduction="sum")
    made = smoothed_cross_entropy(logits, targets, 0.1)
    assert made.dtype == torch.float
    torch.testing.assert_close(made.double(), exact, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(made, logits)
    (reference,) = torch.autograd.grad(exact, logits)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient, reference, rtol=2**-7, atol=1e-5)


def test_great_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], requires_grad=True)
    total = smoothed_cross_entropy(logits, torch.tensor([1, 2]))
    assert total.item() == pytest.approx(2e4)
    (gradient,) = torch.autograd.grad(total, logits)
    torch.testing.assert_close(gradient, torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]))


def test_padding_counts_nothing() -> None:
    logits, targets = logits_and_targets(torch.double)
    total = smoothed_cross_entropy(logits, targets, 0.1)
    words = targets != PAD
    alone = smoothed_cross_entropy(logits[words], targets[words], 0.1)
    torch.testing.assert_close(total, alone)
    assert (torch.autograd.grad(total, logits)[0][~words] == 0).all()


def test_few_logits_are_torchs_in_value_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for small in (0, 2**16):
        monkeypatch.setattr(loss, "SMALL", small)
        logits, targets = logits_and_targets(torch.double)
        total = smoothed_cross_entropy(logits, targets, count=40)
        results.append((type(total.grad_fn).__name__, value_and_gradient(total, logits)))
    assert [name for name, _ in results] == ["_SmoothedCrossEntropyBackward", "DivBackward0"]
    torch.testing.assert_close(results[1][1], results[0][1])
