"""Matrix products of a step loop whose matrix gets its gradient in one product behind the loop.

Shapes: B rows, T steps, I input size, O output size, N positions.

A weight that is used in every step is owed a gradient by every step, dW = sum_t dy_t x_t^T. Autograd makes them one by
one and adds them up: T small products and T additions of the size of W. Here the loop sees W as a constant; what it
owes is computed once as dY X^T over all steps, which is one large product. Under autocast W is also converted once.

How autograd is told: a node that depends on W hands out one summand y_t for every step, which is the bias or nothing.
The gradients of the summands are dY, and when all steps have given theirs, the node makes dW of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def step_linear(weight: Tensor, bias: Tensor | None, rows: int, steps: int) -> Callable[[Tensor], Tensor]:
    """The function x (B, I) -> x W^T + b (B, O) of a loop that calls it at most once a step, in every step.

    Args:
        weight: (O, I)
        bias: (O,) or None.
        rows: B
        steps: T
    """
    if steps == 1 or not torch.is_grad_enabled() or not weight.requires_grad:
        return partial(F.linear, weight=weight, bias=bias)
    return _StepLinear(weight, bias, rows, steps)


def step_matmul(matrices: Tensor, steps: int) -> Callable[[Tensor], Tensor]:
    """The function x (B, 1, N) -> x A (B, 1, O) of a loop that calls it at most once a step, in every step.

    Args:
        matrices: (B, N, O) A
        steps: T
    """
    if steps == 1 or not torch.is_grad_enabled() or not matrices.requires_grad:
        return partial(_matmul, matrices)
    return _StepMatmul(matrices, steps)


def _matmul(matrices: Tensor, inputs: Tensor) -> Tensor:
    return inputs @ matrices


class _StepLinear:
    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, steps: int) -> None:
        self.inputs: list[Tensor] = []
        precision = _precision(weight)
        self.transposed = weight.detach().to(precision).t()
        summands = _WeightOfSteps.apply(weight, bias, self.inputs, (steps, rows), precision)
        self.summands = iter(summands.unbind(dim=0))  # type: ignore[union-attr]

    def __call__(self, inputs: Tensor) -> Tensor:
        self.inputs.append(inputs.detach())
        return torch.addmm(next(self.summands), inputs, self.transposed)


class _WeightOfSteps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        inputs: list[Tensor],
        shape: tuple[int, int],
        precision: torch.dtype,
    ) -> Tensor:
        ctx.inputs, ctx.bias = inputs, None if bias is None else bias.dtype
        ctx.weight = weight.dtype
        summand = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        return summand.to(precision).expand(*shape, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        owed = grad_outputs[0][: len(ctx.inputs)].flatten(0, 1)  # (T x B, O)
        inputs = torch.cat(ctx.inputs).to(owed.dtype)  # (T x B, I)
        of_bias = None if ctx.bias is None else owed.sum(dim=0).to(ctx.bias)
        return (owed.t() @ inputs).to(ctx.weight), of_bias, None, None, None


class _StepMatmul:
    def __init__(self, matrices: Tensor, steps: int) -> None:
        self.inputs: list[Tensor] = []
        self.precision = _precision(matrices)
        # Contiguous both ways, or products in half precision would copy all of them in every step.
        self.matrices = matrices.detach().to(self.precision).contiguous()
        self.transposed = self.matrices.transpose(1, 2).contiguous()
        summands = _MatricesOfSteps.apply(matrices, self.inputs, steps, self.precision)
        self.summands = iter(summands.split(1, dim=1))  # type: ignore[union-attr]

    def __call__(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.precision)
        self.inputs.append(inputs.detach())
        return _MatmulOfStep.apply(next(self.summands), inputs, self.matrices, self.transposed)  # type: ignore


class _MatmulOfStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, summand: Tensor, inputs: Tensor, matrices: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        return torch.baddbmm(summand, inputs, matrices)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return grad_outputs[0], torch.bmm(grad_outputs[0], ctx.transposed), None, None


class _MatricesOfSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor, inputs: list[Tensor], steps: int, precision: torch.dtype) -> Tensor:
        ctx.inputs, ctx.matrices = inputs, matrices.dtype
        return matrices.new_zeros((), dtype=precision).expand(len(matrices), steps, matrices.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        owed = grad_outputs[0][:, : len(ctx.inputs)]  # (B, T, O)
        inputs = torch.cat(ctx.inputs, dim=1).to(owed.dtype)  # (B, T, N)
        return (inputs.transpose(1, 2) @ owed).to(ctx.matrices), None, None, None


def _precision(matrix: Tensor) -> torch.dtype:
    """What products with it are computed in."""
    device = matrix.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else matrix.dtype
