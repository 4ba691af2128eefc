"""The kernel of the selective scan against its plain form, which is checked against the equations as a whole model."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from lit_models.kernels.choice import plain
from lit_models.layers.selective_scan import selective_scan


def inputs(steps: int) -> list[Tensor]:
    """Of two rows, three channels and two states."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, steps, 3), (2, steps, 3), (2, 3), (2, steps, 2), (2, steps, 2), (2, 2, 3)]
    sizes, driven, rates, *others = (torch.randn(*shape, generator=generator).double() for shape in shapes)
    return [tensor.requires_grad_() for tensor in (sizes.abs(), driven, -rates.abs(), *others)]


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_kernel_gives_values_and_gradients_of_its_plain_form(steps: int, is_read: bool) -> None:
    given: list[Tensor | None] = [*inputs(steps)]
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
def test_outputs_and_last_state_may_be_used_alone(part: int) -> None:
    given = inputs(3)
    gradients = []
    for form in (nullcontext(), plain()):
        with form:
            used = selective_scan(*given)[part]
        assert used is not None
        gradients.append(torch.autograd.grad(used.square().sum(), given, materialize_grads=True))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-10)
