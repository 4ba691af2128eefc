"""Scans against the loop over steps that they replace: values, gradients, long sequences, depth."""

import itertools
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from lit_models.kernels.choice import plain
from lit_models.layers import scan as scan_module
from lit_models.layers.scan import plain_scan, scan, scan_matrices, selective_scan
from lit_models.probes.sequential_depth import longest_chain

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 13, 64]
Scan = Callable[[Tensor, Tensor, Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def loop(factors: Tensor, summands: Tensor, state: Tensor, multiply: Callable = torch.mul) -> Tensor:
    states = []
    for a, b in zip(factors.unbind(1), summands.unbind(1), strict=True):
        state = multiply(a, state) + b
        states.append(state)
    return torch.stack(states, dim=1)


def inputs(length: int, *size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Factors between -1 and 1, some of them zero; summands; an initial state."""
    factors = random(2, length, *size).tanh()
    factors[:, ::5] = 0
    return factors, random(2, length, *size, seed=1), random(2, *size, seed=2)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("form", [scan, plain_scan])
def test_a_scan_is_the_loop_over_steps(form: Scan, length: int) -> None:
    given = inputs(length, 3, 2)
    torch.testing.assert_close(form(*given), loop(*given), rtol=0, atol=1e-10)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_scan_of_matrices_is_the_loop_over_steps(length: int) -> None:
    factors, summands, initial = random(2, length, 3, 3) / 3, random(2, length, 3, 2), random(2, 3, 2, seed=1)
    expected = loop(factors, summands, initial, torch.matmul)
    torch.testing.assert_close(scan_matrices(factors, summands, initial), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("form", [scan, plain_scan])
def test_gradients_are_those_of_differences(form: Scan, length: int) -> None:
    assert torch.autograd.gradcheck(form, [tensor.requires_grad_() for tensor in inputs(length, 2)])


def test_gradients_of_matrices_are_those_of_differences() -> None:
    given = [tensor.requires_grad_() for tensor in (random(1, 5, 2, 2), random(1, 5, 2, 3), random(1, 2, 3))]
    assert torch.autograd.gradcheck(scan_matrices, given)


@pytest.mark.parametrize("length", [2, 5, 8])
def test_where_steps_go_side_by_side_gradients_are_the_same(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "_one_at_a_time", lambda steps: False)
    assert torch.autograd.gradcheck(scan, [tensor.requires_grad_() for tensor in inputs(length, 2)])


def test_a_kernel_in_its_plain_form_is_the_tree() -> None:
    given = [tensor.requires_grad_() for tensor in inputs(8, 2)]
    with plain():
        assert "Scan" not in str(scan(*given).grad_fn)
    assert "Scan" in str(scan(*given).grad_fn)


@pytest.mark.parametrize("form", [scan, plain_scan])
@pytest.mark.parametrize("factor", [0.0, 1e-30, 0.5, 0.999, 1.0, -0.999, -1.0, -1e-30])
def test_single_precision_lasts_over_thousands_of_steps(form: Scan, factor: float) -> None:
    factors = torch.full((1, 4096, 4), factor)
    summands = random(1, 4096, 4).float().requires_grad_()
    states = form(factors, summands, torch.ones(1, 4))
    exact = loop(factors.double(), summands.detach().double(), torch.ones(1, 4, dtype=torch.double))
    assert (states.detach() - exact).abs().max() <= 1e-5 * exact.abs().max()
    (gradient,) = torch.autograd.grad(states[:, -1].sum(), summands)
    powers = torch.tensor(factor, dtype=torch.double) ** torch.arange(4095, -1, -1)
    torch.testing.assert_close(gradient[0, :, 0].double(), powers, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("form", "size"), [(plain_scan, (2,)), (scan_matrices, (2, 2))])
def test_each_doubling_adds_two_operations(form: Scan, size: tuple[int, ...]) -> None:
    def depth(length: int) -> int:
        given = [random(1, length, *size), random(1, length, *size).requires_grad_(), random(1, *size)]
        return longest_chain(form(*given).sum(), given[1])

    depths = [depth(2**power) for power in range(1, 10)]
    assert {after - before for before, after in itertools.pairwise(depths)} == {2}


def test_memory_grows_with_the_steps_alone() -> None:
    def kept(length: int) -> int:
        """Numbers kept for the gradient."""
        sizes: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        given = [tensor.requires_grad_() for tensor in inputs(length, 4)]
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            scan(*given)
        return sum(sizes)

    assert kept(256) - kept(128) == 2 * 2 * 128 * 4  # factors and states of two rows


# ---------------------------------------------------------------------- many states a channel


def of_channels(steps: int) -> list[Tensor]:
    """Of two rows, three channels and two states."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, steps, 3), (2, steps, 3), (2, 3), (2, steps, 2), (2, steps, 2), (2, 2, 3)]
    sizes, driven, rates, *others = (torch.randn(*shape, generator=generator).double() for shape in shapes)
    return [tensor.requires_grad_() for tensor in (sizes.abs(), driven, -rates.abs(), *others)]


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_selective_scan_gives_values_and_gradients_of_its_plain_form(steps: int, is_read: bool) -> None:
    given: list[Tensor | None] = [*of_channels(steps)]
    if not is_read:
        given[4] = None
    results = []
    for form in (nullcontext(), plain()):
        with form:
            outputs, last = selective_scan(*given)  # type: ignore[arg-type]
        assert (outputs is not None) == is_read
        results.append([part for part in (outputs, last) if part is not None])
        loss = torch.stack([part.square().sum() for part in results[-1]]).sum()
        results[-1] += torch.autograd.grad(loss, [tensor for tensor in given if tensor is not None])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("part", [0, 1])
def test_outputs_and_last_state_of_a_selective_scan_may_be_used_alone(part: int) -> None:
    given = of_channels(3)
    gradients = []
    for form in (nullcontext(), plain()):
        with form:
            used = selective_scan(*given)[part]
        assert used is not None
        gradients.append(torch.autograd.grad(used.square().sum(), given, materialize_grads=True))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-10)
