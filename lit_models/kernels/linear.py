"""Linear layers whose large products use all of the processor.

Shapes: N rows, I input size, O output size.

torch hands products in single precision on a CPU to MKL, which does without AVX-512 on processors of AMD. oneDNN, which
comes with torch too, does not, and takes 15 to 25% less time for products with some thousand rows; MKL starts faster.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lit_models.kernels.choice import faster_than

# From so many multiplications on oneDNN is faster; it reads the transposed factors of a weight's gradient more slowly.
LEAST = 1e8
LEAST_FOR_WEIGHTS = 4e8


class Linear(nn.Linear):
    """torch.nn.Linear by way of `affine`."""

    def forward(self, input: Tensor) -> Tensor:
        """(…, I) -> (…, O)"""
        return affine(input, self.weight, self.bias)


def plain_affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(…, I), (O, I), (O,) -> (…, O)"""
    return F.linear(inputs, weight, bias)


@faster_than(plain_affine)
def affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b, as torch.nn.functional.linear gives it up to rounding.

    Args:
        inputs: (…, I)
        weight: (O, I)
        bias: (O,) or None.

    Returns:
        (…, O)
    """
    if _is_worth_it(inputs, weight):
        return _Affine.apply(inputs, weight, bias)  # type: ignore[no-any-return]
    return F.linear(inputs, weight, bias)


def _is_worth_it(inputs: Tensor, weight: Tensor) -> bool:
    return (
        inputs.numel() * len(weight) >= LEAST
        and inputs.device.type == weight.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and mkl_does_without_avx512()
    )


@cache
def mkl_does_without_avx512() -> bool:
    """Whether this is a processor of AMD that has AVX-512, and a torch that has oneDNN."""
    described = Path("/proc/cpuinfo")
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and described.exists()
        and "AuthenticAMD" in described.read_text()
    )


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # oneDNN takes a hundred times as long for parts of larger matrices.
        rows, weight = inputs.flatten(0, -2).contiguous(), weight.contiguous()  # (N, I)
        ctx.save_for_backward(rows, weight)
        return _product(rows, weight, bias).view(*inputs.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        grad_output = grad_outputs[0].flatten(0, -2).contiguous()  # (N, O)
        grad_inputs, grad_weight, grad_bias = None, None, None
        if ctx.needs_input_grad[0]:
            grad_inputs = _product(grad_output, weight.t(), None).view(*grad_outputs[0].shape[:-1], -1)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_gradient(grad_output, rows)
        if ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(dim=0)
        return grad_inputs, grad_weight, grad_bias


def _weight_gradient(grad_output: Tensor, inputs: Tensor) -> Tensor:
    """(N, O), (N, I) -> (O, I)"""
    if grad_output.numel() * inputs.shape[1] < LEAST_FOR_WEIGHTS:
        return grad_output.t() @ inputs
    # The longer side goes across, which oneDNN prefers.
    if grad_output.shape[1] > inputs.shape[1]:
        return _product(inputs.t(), grad_output.t(), None).t()
    return _product(grad_output.t(), inputs.t(), None)


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As torch.nn.functional.linear, by oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
