"""The fast additive scores equal the equation, in value and gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lit_models.kernels import additive
from lit_models.kernels.additive import additive_scores, additive_steps


def by_the_equation(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    return torch.tanh(queries[:, :, None, :] + keys[:, None, :, :]) @ energy


def inputs(precision: torch.dtype, batch: int = 3, length: int = 4, positions: int = 5, size: int = 6) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, length, size), (batch, positions, size), (size,)]
    drawn = (torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes)
    return [values.to(precision).requires_grad_() for values in drawn]


# Everything at once, some rows, one row, some positions of a row, and one position.
@pytest.mark.parametrize("part", [2**19, 2 * 4 * 5 * 6, 4 * 5 * 6, 2 * 5 * 6, 1])
@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize(("precision", "tolerance"), [(torch.double, 1e-12), (torch.float, 1e-5)])
def test_values_and_gradients_are_those_of_the_equation(
    precision: torch.dtype, tolerance: float, length: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(additive.PART, "cpu", part)
    given = inputs(precision, length=length)
    made, expected = additive_scores(*given), by_the_equation(*given)
    torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance)
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(1), dtype=precision)
    gradients = (torch.autograd.grad((weights * scores).sum(), given) for scores in (made, expected))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("part", [2**19, 1])
def test_finite_differences_confirm_the_gradient(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(additive.PART, "cpu", part)
    assert torch.autograd.gradcheck(additive_scores, inputs(torch.double))


def test_half_precision_is_computed_in_single_precision() -> None:
    given = inputs(torch.bfloat16)
    made = additive_scores(*given)
    assert made.dtype == torch.bfloat16
    exact = by_the_equation(*(values.double() for values in given))
    torch.testing.assert_close(made.double(), exact, rtol=2**-8, atol=1e-6)


def test_great_inputs_saturate() -> None:
    scores = additive_scores(torch.full((1, 1, 2), 500.0), torch.full((1, 1, 2), -1000.0), torch.tensor([1.0, 2.0]))
    assert scores.item() == -3.0


def test_energies_of_many_parts_are_not_kept_for_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest_kept() -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda saved: sizes.append(saved.numel()) or saved, lambda saved: saved
        ):
            additive_scores(*inputs(torch.float, batch=3, length=4, positions=50, size=8))
        return max(sizes)

    assert largest_kept() == 3 * 4 * 50 * 8  # few energies: they are kept
    monkeypatch.setitem(additive.PART, "cpu", 4 * 50 * 8)
    assert largest_kept() == 3 * 50 * 8  # the keys, which are there anyway


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.double, 1e-12), (torch.float, 1e-5)])
@pytest.mark.parametrize(("most", "taken"), [(2**19, 4), (2**19, 2), (1, 4)])  # a loop may end early; many energies
def test_a_step_loop_has_the_values_and_gradients_of_the_equation(
    precision: torch.dtype, tolerance: float, most: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(additive.PART, "cpu", most)
    queries, keys, energy = inputs(precision, length=1)

    def loop(scores: Callable[[Tensor], Tensor]) -> Tensor:
        state, seen = queries, []
        for _ in range(taken):
            seen.append(scores(state))
            state = torch.tanh(seen[-1].softmax(dim=-1) @ keys + state)  # a step reads what the one before has made
        return torch.cat(seen).square().sum()

    made, expected = loop(additive_steps(keys, energy, 4)), loop(lambda state: by_the_equation(state, keys, energy))
    torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance)
    once, again = (torch.autograd.grad(made, [queries, keys, energy], retain_graph=True) for _ in range(2))
    assert all(torch.equal(first, second) for first, second in zip(once, again, strict=True))
    reference = torch.autograd.grad(expected, [queries, keys, energy])
    torch.testing.assert_close(once, reference, rtol=tolerance, atol=10 * tolerance)
