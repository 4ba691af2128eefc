"""Linear layers with their weights laid out once for many small products.

A step of decoding multiplies few rows by every weight of the model. On a CPU a matrix product first brings the weights
into the order its kernel reads them in; with 64 rows that takes a quarter of its time. oneDNN can do it beforehand.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lit_models.kernels.choice import is_plain
from lit_models.kernels.linear import Linear

KINDS = (nn.Linear, Linear)


@contextmanager
def packed_linear_layers(model: nn.Module, rows: int) -> Iterator[None]:
    """While this lasts, the model's linear layers multiply by packed weights, where that can be done and is quicker.

    That is on an x86 CPU, in single precision and in inference mode; elsewhere nothing changes. Results differ from
    the unpacked ones by rounding. The weights must not change meanwhile.

    Args:
        model: its modules of type torch.nn.Linear and Linear are meant; what calls their weights by another way is not.
        rows: how many rows a product typically has.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    layers = [layer for layer in linear if type(layer) in KINDS and _can_be_packed(layer)]
    rectified = [module for module in model.modules() if isinstance(module, nn.Sequential) and _is_rectified(module)]
    changed: list[nn.Module] = [*layers]
    for layer in layers:
        layer.forward = _Packed(layer, rows)  # type: ignore[method-assign]
    for first, activation, *_ in rectified:
        if first in layers:
            first.forward.activation, activation.forward = "relu", _unchanged  # type: ignore[method-assign]
            changed.append(activation)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _is_rectified(layers: nn.Sequential) -> bool:
    """Whether a linear layer and max(0, x) come first, which can be had in one pass."""
    return len(layers) > 1 and type(layers[0]) in KINDS and type(layers[1]) is nn.ReLU


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs


def _can_be_packed(layer: nn.Linear) -> bool:
    return (
        not is_plain()
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
        and torch.is_inference_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and platform.machine() in ("x86_64", "AMD64")
    )


class _Packed:
    """The forward of a linear layer: (…, I) -> (…, O)."""

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        self.bias = layer.bias
        self.activation = "none"

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, self.activation, [], "")
