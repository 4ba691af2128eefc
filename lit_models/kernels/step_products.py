"""Matrix products of a step loop whose matrix gets its gradient in one product behind the loop.

Shapes: B rows, T steps, I input size, O output size, N positions.

A weight that is used in every step gets a gradient from every step, dW = sum_t dy_t x_t^T. Autograd computes them one
by one and adds them up: T small products and T additions of the size of W. Here the loop sees W as a constant, and dW
is computed behind the loop as dY X^T over all steps, in one large product. Under autocast W is also converted once.

An autograd node that depends on W returns one term for each step (the caller's term, the bias or zero). Each step adds
its product to its term. The terms' gradients are therefore dY for all steps, and the node computes dW from them in one
product.

torch.compile cannot follow what is kept aside for that: where it reads a loop, these are the plain products.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling

from lit_models.kernels.choice import faster_than

Map = Callable[[Tensor], Tensor]


def plain_step_linear(weight: Tensor, term: Tensor | None, rows: int, steps: int) -> Map:
    """(B, I) -> (B, O)"""
    if term is None or term.dim() == 1:
        return partial(F.linear, weight=weight, bias=term)
    terms = iter(term)
    return lambda inputs: next(terms) + F.linear(inputs, weight)


@faster_than(plain_step_linear)
def step_linear(weight: Tensor, term: Tensor | None, rows: int, steps: int) -> Map:
    """The function x (B, I) -> x W^T + b (B, O) of a loop that calls it at most once a step, in every step.

    Args:
        weight: (O, I)
        term: b, (O,) where it is a bias or (T, B, O) where it is another for every step; None is nothing.
        rows: B
        steps: T
    """
    if is_compiling():
        return plain_step_linear(weight, term, rows, steps)
    if torch.is_grad_enabled() and weight.requires_grad and steps > 1:
        return _StepLinear(weight, term, rows, steps)
    if term is None or term.dim() == 1:
        return plain_step_linear(weight, term, rows, steps)
    terms = iter(term)
    return lambda inputs: torch.addmm(next(terms), inputs, weight.t())


def plain_step_matmul(matrices: Tensor, steps: int) -> Map:
    """(B, 1, N) -> (B, 1, O)"""
    return lambda inputs: inputs @ matrices


@faster_than(plain_step_matmul)
def step_matmul(matrices: Tensor, steps: int) -> Map:
    """The function x (B, 1, N) -> x A (B, 1, O) of a loop that calls it at most once a step, in every step.

    Args:
        matrices: (B, N, O) A
        steps: T
    """
    if steps == 1 or is_compiling() or not torch.is_grad_enabled() or not matrices.requires_grad:
        return plain_step_matmul(matrices, steps)
    return _StepMatmul(matrices, steps)


class _StepLinear:
    def __init__(self, weight: Tensor, term: Tensor | None, rows: int, steps: int) -> None:
        self.inputs: list[Tensor] = []
        precision = product_precision(weight)
        self.transposed = weight.detach().to(precision).t()
        terms = _WeightOfSteps.apply(weight, term, self.inputs, (steps, rows), precision)
        self.terms = iter(terms.unbind(dim=0))  # type: ignore[union-attr]

    def __call__(self, inputs: Tensor) -> Tensor:
        self.inputs.append(inputs.detach())
        return torch.addmm(next(self.terms), inputs, self.transposed)


class _WeightOfSteps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        term: Tensor | None,
        inputs: list[Tensor],
        shape: tuple[int, int],
        precision: torch.dtype,
    ) -> Tensor:
        ctx.inputs, ctx.weight = inputs, weight.dtype
        ctx.term = None if term is None else (term.dim(), term.dtype)
        term = weight.new_zeros(len(weight)) if term is None else term.detach()
        return term.to(precision).expand(*shape, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        (grad_output,) = grad_outputs  # (T, B, O)
        grad_term = None
        if ctx.term is not None:
            dimensions, precision = ctx.term
            grad_term = (grad_output if dimensions == 3 else grad_output.sum(dim=(0, 1))).to(precision)
        grad_output = grad_output[: len(ctx.inputs)].flatten(0, 1)  # (T x B, O)
        inputs = torch.cat(ctx.inputs).to(grad_output.dtype)  # (T x B, I)
        return (grad_output.t() @ inputs).to(ctx.weight), grad_term, None, None, None


class _StepMatmul:
    def __init__(self, matrices: Tensor, steps: int) -> None:
        self.inputs: list[Tensor] = []
        self.precision = product_precision(matrices)
        self.matrices, self.transposed = _laid_out(matrices.detach().to(self.precision))
        terms = _MatricesOfSteps.apply(matrices, self.inputs, steps, self.precision)
        self.terms = iter(terms.split(1, dim=1))  # type: ignore[union-attr]

    def __call__(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.precision)
        self.inputs.append(inputs.detach())
        return _MatmulOfStep.apply(next(self.terms), inputs, self.matrices, self.transposed)  # type: ignore


class _MatmulOfStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, term: Tensor, inputs: Tensor, matrices: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        return torch.baddbmm(term, inputs, matrices)

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
        grad_output = grad_outputs[0][:, : len(ctx.inputs)]  # (B, T, O)
        inputs = torch.cat(ctx.inputs, dim=1).to(grad_output.dtype)  # (B, T, N)
        return (inputs.transpose(1, 2) @ grad_output).to(ctx.matrices), None, None, None


def _laid_out(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, O) matrices and their transposes, (B, O, N), as products of single rows with both are fastest.

    These wait for memory. In single precision one copy serves both, and takes down to half the time where the shorter
    side runs along it; products in half precision would copy a transposed view in every step.
    """
    if matrices.dtype.itemsize < 4:
        matrices = matrices.contiguous()
        return matrices, matrices.transpose(1, 2).contiguous()
    if matrices.shape[2] <= matrices.shape[1]:
        matrices = matrices.contiguous()
        return matrices, matrices.transpose(1, 2)
    transposed = matrices.transpose(1, 2).contiguous()
    return transposed.transpose(1, 2), transposed


def product_precision(matrix: Tensor) -> torch.dtype:
    """What products with it are computed in."""
    device = matrix.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else matrix.dtype
