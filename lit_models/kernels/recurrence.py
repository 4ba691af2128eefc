"""One recurrent layer over all steps, in few operations on a CPU.

Shapes: B sequences, T steps, E input size, H hidden size, G gates (1 in an RNN, 4 in an LSTM, 3 in a GRU).

torch has one call for an LSTM there, by oneDNN. Its RNN and GRU are loops of one operation after another, some 10 and
33 a step forwards and backwards, and every step has a gradient of the weights of its own. Here a step takes 4 and 8.
What a gradient is multiplied by on its way through a step is known beforehand, so that it is made for all steps at
once; the gradients of the weights are made behind the loop, in one product.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling

from lit_models.kernels.choice import faster_than, is_plain
from lit_models.kernels.linear import affine

FUSED: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru
}  # fmt: skip
"""What torch's recurrent layers call, by their `mode`."""

State = tuple[Tensor, ...]  # (h,) or, for an LSTM, (h, c)


def plain_layer(mode: str, inputs: Tensor, state: State, weights: list[Tensor], training: bool) -> tuple[Tensor, State]:
    """By torch's own call."""
    first = tuple(part[None] for part in state)
    outputs, *last = FUSED[mode](
        inputs, first if mode == "LSTM" else first[0], weights, True, 1, 0.0, training, False, True
    )
    return outputs, tuple(part[0] for part in last)


@faster_than(plain_layer)
def layer_over_steps(
    mode: str, inputs: Tensor, state: State, weights: list[Tensor], training: bool
) -> tuple[Tensor, State]:
    """All steps of a layer in one direction.

    Args:
        mode: of torch's recurrent layers.
        inputs: (B, T, E)
        state: before the first step, parts (B, H).
        weights: W (G x H, E), U (G x H, H) and their biases.
        training: as torch's call wants to know it.

    Returns:
        (B, T, H) and the state behind the last step.
    """
    if not is_quicker(mode, inputs):
        return plain_layer(mode, inputs, state, weights, training)
    weight, recurrent, bias, recurrent_bias = weights
    if mode == "GRU":
        outputs = _GRU.apply(affine(inputs, weight, bias), state[0], recurrent, recurrent_bias)
    else:
        projected = affine(inputs, weight, bias + recurrent_bias)
        outputs = _RNN.apply(projected, state[0], recurrent, mode == "RNN_TANH")
    return outputs, (outputs[:, -1],)  # type: ignore[index]


def is_quicker(mode: str, inputs: Tensor) -> bool:
    """Whether the layer is better taken here than by torch: where it would be a loop, and a gradient is wanted."""
    return mode != "LSTM" and inputs.shape[1] > 1 and not is_plain() and differentiates_on_cpu(inputs.device)


def differentiates_on_cpu(device: torch.device) -> bool:
    """Whether there will be a backward pass on a CPU, in the precision of the weights and not compiled."""
    on_cpu = device.type == "cpu" and torch.is_grad_enabled()
    return on_cpu and not (is_compiling() or torch.is_autocast_enabled("cpu"))


class _RNN(torch.autograd.Function):
    """h_t = f(W x_t + U h_{t-1}), given W x_t with both biases."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, state: Tensor, weight: Tensor, is_tanh: bool) -> Tensor:
        outputs, transposed = inputs.clone(memory_format=torch.contiguous_format), weight.t()
        h = state
        for following in outputs.unbind(dim=1):
            following.addmm_(h, transposed)
            h = following.tanh_() if is_tanh else following.relu_()
        ctx.save_for_backward(outputs, state, weight)
        ctx.is_tanh = is_tanh
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        outputs, state, weight = ctx.saved_tensors
        slope = 1 - outputs.square() if ctx.is_tanh else (outputs > 0).to(outputs.dtype)
        # dL/dh_t for t = 0 … T: what comes of the outputs, and in the loop what comes of the steps behind.
        grad_states = F.pad(grad_outputs[0], (0, 0, 1, 0))
        grad_inputs = torch.empty_like(outputs)
        grads, slopes, sums = grad_states.unbind(dim=1), slope.unbind(dim=1), grad_inputs.unbind(dim=1)
        for step in reversed(range(len(sums))):
            torch.mul(grads[step + 1], slopes[step], out=sums[step])
            grads[step].addmm_(sums[step], weight)
        return grad_inputs, grads[0], _of_weight(grad_inputs, _before(outputs, state)), None


class _GRU(torch.autograd.Function):
    """The step of `layers.cells.gru_cell`, given W x_t with its biases."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size, transposed = state.shape[1], weight.t()
        # The sums in r_t and z_t, to which U h_{t-1} is yet to be added, and U_n h_{t-1} itself.
        sums = inputs + bias
        sums[..., 2 * size :] = bias[2 * size :]
        gates, products = sums.split([2 * size, size], dim=2)
        outputs, new, h = sums.new_empty(products.shape), sums.new_empty(products.shape), state
        parts = (sums, gates, *gates.chunk(2, dim=2), products, inputs[..., 2 * size :], new, outputs)
        for sum_, rz, r, z, product, x, n, following in zip(*(part.unbind(dim=1) for part in parts), strict=True):
            sum_.addmm_(h, transposed)
            rz.sigmoid_()  # r_t, z_t = sigmoid(W x_t + U h_{t-1})
            torch.addcmul(x, r, product, out=n).tanh_()  # n_t = tanh(W_n x_t + r_t (U_n h_{t-1}))
            h = torch.lerp(n, h, z, out=following)  # h_t = (1 - z_t) n_t + z_t h_{t-1}
        ctx.save_for_backward(outputs, state, weight, sums, new)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        outputs, state, weight, sums, n = ctx.saved_tensors
        r, z, product = sums.chunk(3, dim=2)
        before = _before(outputs, state)
        # What dL/dh_t is multiplied by to give the gradients of the sums in r_t, z_t and n_t, and of U_n h_{t-1}.
        to_n = torch.ops.aten.tanh_backward(1 - z, n)
        factors = torch.empty_like(sums).unflatten(2, (3, -1))
        factors[:, :, 0] = torch.ops.aten.sigmoid_backward(to_n * product, r)
        factors[:, :, 1] = torch.ops.aten.sigmoid_backward(before - n, z)
        torch.mul(to_n, r, out=factors[:, :, 2])
        grad_states = F.pad(grad_outputs[0], (0, 0, 1, 0))  # as in _RNN
        grad_products = torch.empty_like(sums)
        grads, kept = grad_states.unbind(dim=1), z.unbind(dim=1)
        each, made = factors.unbind(dim=1), grad_products.unflatten(2, (3, -1)).unbind(dim=1)
        rows = grad_products.unbind(dim=1)
        for step in reversed(range(len(rows))):
            grad = grads[step + 1]
            torch.mul(grad[:, None], each[step], out=made[step])
            grads[step].addcmul_(grad, kept[step]).addmm_(rows[step], weight)
        grad_inputs = grad_products.clone()
        torch.mul(grad_states[:, 1:], to_n, out=grad_inputs[..., 2 * n.shape[2] :])
        return grad_inputs, grads[0], _of_weight(grad_products, before), grad_products.sum(dim=(0, 1))


class GRUStep(torch.autograd.Function):
    """`layers.cells.gru_cell`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, h: Tensor) -> Tensor:
        split = 2 * h.shape[1]
        gates = (inputs[:, :split] + recurrent[:, :split]).sigmoid_()
        r, z = gates.chunk(2, dim=1)
        n = torch.addcmul(inputs[:, split:], r, recurrent[:, split:]).tanh_()
        ctx.save_for_backward(gates, n, recurrent, h)
        return torch.lerp(n, h, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gates, n, recurrent, h), (grad,) = ctx.saved_tensors, grad_outputs
        r, z = gates.chunk(2, dim=1)
        grad_inputs, grad_h = torch.empty_like(recurrent), grad * z
        of_r, of_z, of_n = grad_inputs.chunk(3, dim=1)
        torch.ops.aten.tanh_backward(grad - grad_h, n, grad_input=of_n)
        torch.ops.aten.sigmoid_backward(of_n * recurrent[:, 2 * h.shape[1] :], r, grad_input=of_r)
        torch.ops.aten.sigmoid_backward((h - n).mul_(grad), z, grad_input=of_z)
        grad_recurrent = grad_inputs.clone()
        grad_recurrent[:, 2 * h.shape[1] :].mul_(r)
        return grad_inputs, grad_recurrent, grad_h


def _before(outputs: Tensor, state: Tensor) -> Tensor:
    """h_0 … h_{T-1}: (B, T, H) h_1 … h_T, (B, H) -> (B, T, H)"""
    return torch.cat([state[:, None], outputs[:, :-1]], dim=1)


def _of_weight(grad_products: Tensor, before: Tensor) -> Tensor:
    """The gradient of U: (B, T, G x H), (B, T, H) -> (G x H, H)"""
    return grad_products.flatten(0, 1).t() @ before.flatten(0, 1)
