"""A device that is not there: tensors that say they live on `pretend:0` and hold their numbers in CPU memory.

What CUDA would refuse, this device refuses: tensors of two devices in one operation, NumPy's view of a tensor, a
backward pass of cuDNN's recurrent layers in evaluation mode. It refuses float64 as Apple's MPS does, unless
`seen.has_float64` is set. What a GPU would be asked to do is counted: operations, each taken for one kernel, and waits
of the host for the device with the line of code that waits. Code takes the branches meant for devices other than the
CPU.

    with pretend_device() as seen:
        model.to(DEVICE); ...
        seen.kernels, seen.waits

torch lets PrivateUse1, the device that extensions take, be written in Python. That interface is experimental.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _foreach_utils as foreach
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from lit_models.kernels import scaled_dot_product
from tests.helpers.pretend_device.backend import Module, register_autocast
from tests.helpers.pretend_device.graphs import kept, note, note_operation
from tests.helpers.pretend_device.seen import WAITS, Seen
from tests.helpers.pretend_device.seen import seen as _seen

NAME = "pretend"
# Operations that may meet tensors of another device.
MAY_MIX = {"copy_", "_to_copy", "_pack_padded_sequence", "_pad_packed_sequence", "_pack_padded_sequence_backward"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class OnDevice(Tensor):
    """A tensor on the device; `host` has its numbers."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "OnDevice":
        if host.dtype == torch.float64 and not _seen.has_float64:
            raise TypeError("cannot convert a tensor to float64, which this device does not have")
        tensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, host.size(), strides=host.stride(), storage_offset=host.storage_offset(), dtype=host.dtype,
            layout=host.layout, device=device(), requires_grad=False,
        )  # fmt: skip
        tensor.host = host
        return tensor

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        opaque = _opaque().get(func)
        with torch._C.DisableTorchFunctionSubclass():
            return (opaque or func)(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnDevice({tuple(self.shape)}, {self.dtype})"

    def __reduce_ex__(self, protocol: Any) -> Any:  # a checkpoint is read with map_location="cpu"
        return self.host.detach().clone().__reduce_ex__(protocol)

    def __format__(self, spec: str) -> str:
        return format(self.detach().item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def data_ptr(self) -> int:
        return self.host.data_ptr()

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnDevice":  # torch's own would read memory at data_ptr
        copied = memo[id(self)] = OnDevice(self.host.detach().clone())  # type: ignore[assignment]
        copied.requires_grad_(self.requires_grad)
        copied._is_param = getattr(self, "_is_param", False)  # as torch marks a parameter of another class
        return copied

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first")


def _up(value: Any) -> Any:
    return OnDevice(value) if isinstance(value, Tensor) and not isinstance(value, OnDevice) else value


def _down(value: Any) -> Any:
    return value.host if isinstance(value, OnDevice) else value


def _lasting(value: Any) -> Any:
    """The same; while a CUDA graph is made, with numbers of the host as they are now."""
    return value.host if isinstance(value, OnDevice) else kept(value)


class _Everything(TorchDispatchMode):
    """Sees operations without a tensor among their arguments too, such as zeros."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


@functools.cache
def _is_composite(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


def _dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers in CPU memory."""
    name = func._schema.name.partition("::")[2]
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    here = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    wanted = kwargs.get("device")
    arrives = wanted is not None and torch.device(wanted).type == NAME
    if not here and not arrives:
        return func(*args, **kwargs)
    if _is_composite(func):  # inference mode hands these over whole
        with _Everything():
            return func.decompose(*args, **kwargs)
    _refuse_mixing(name, args, tensors, here)
    _seen.operations[name] += 1
    if name in WAITS:
        _seen.wait(name, WAITS[name])
    if name == "_to_copy":
        return _to_copy(func, args[0], kwargs, wanted, arrives)
    if name == "copy_":
        return _copy(*args, **kwargs)
    changed = {**kwargs, "device": torch.device("cpu")} if arrives else dict(kwargs)
    given, named = tree_map(_lasting, args), tree_map(_lasting, changed)
    result = func(*given, **named)
    note_operation(func, given, named, result)
    returned = func._schema.returns
    written = [i for i, one in enumerate(func._schema.arguments) if one.alias_info and one.alias_info.is_write]
    if returned and all(one.alias_info is not None and one.alias_info.is_write for one in returned):
        changed = [args[i] if i < len(args) else kwargs.get(func._schema.arguments[i].name) for i in written]
        return changed[0] if len(returned) == 1 else tuple(changed)
    if name in ("_pack_padded_sequence", "_pad_packed_sequence"):
        return _up(result[0]), result[1]  # sizes of batches and lengths stay with the host
    is_view = any(one.alias_info is not None for one in returned)
    if torch.is_inference_mode_enabled() and is_view and here and not here[0].is_inference():
        with torch.inference_mode(False):
            return tree_map(_up, result)
    return tree_map(_up, result)


def _refuse_mixing(name: str, args: Any, tensors: list[Tensor], here: list[OnDevice]) -> None:
    if name in INDEXING:
        indices = [index for index in args[1] if index is not None]
        if not isinstance(args[0], OnDevice):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        for index in indices:
            if not isinstance(index, OnDevice):
                _seen.wait("index from the host")
            elif index.dtype in (torch.bool, torch.uint8):
                _seen.wait("index by booleans")
        tensors = [one for one in tensors if all(one is not index for index in indices)]
    elif name in MAY_MIX:
        return
    if here and any(tensor.dim() > 0 and not isinstance(tensor, OnDevice) for tensor in tensors):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {NAME}:0 and cpu! ({name})")


def _to_copy(func: Any, source: Tensor, kwargs: dict[str, Any], wanted: Any, arrives: bool) -> Tensor:
    was_here = isinstance(source, OnDevice)
    stays = arrives if wanted is not None else was_here
    if was_here != stays and (_seen.records or not (stays and kwargs.get("non_blocking"))):
        _seen.wait("to the device" if stays else "to the host")
    changed = {name: value for name, value in kwargs.items() if name not in ("device", "non_blocking", "pin_memory")}
    result = func(_down(source), **changed)
    result = result.clone() if result is _down(source) else result
    note(lambda: _down(source), result)
    return _up(result) if stays else result


def _copy(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    if isinstance(target, OnDevice) != isinstance(source, OnDevice):
        onto = isinstance(target, OnDevice)
        if _seen.records or not (onto and non_blocking):
            _seen.wait("to the device" if onto else "to the host")
    _down(target).copy_(_down(source))
    note(lambda: _down(source), _down(target))
    return target


# ---------------------------------------------------------------------- one kernel, whatever is inside it


class _Opaque(torch.autograd.Function):
    """A function of the numbers in CPU memory as one kernel forwards and one backwards; differentiable once."""

    @staticmethod
    def forward(ctx: Any, name: str, function: Callable[..., tuple[Tensor, ...]], *tensors: Any) -> Any:
        _seen.operations[name] += 1
        ctx.name = name

        def compute() -> tuple[Tensor, ...]:
            ctx.hosts = [
                _down(one).detach().requires_grad_(needed) if isinstance(one, Tensor) else one
                for one, needed in zip(tensors, ctx.needs_input_grad[2:], strict=True)
            ]
            with _disable_current_modes(), torch.enable_grad():
                ctx.outputs = function(*ctx.hosts)
            return tuple(output.detach() for output in ctx.outputs)

        outputs = compute()
        note(compute, outputs)
        return tuple(_up(output) for output in outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        if ctx.name == "cudnn_rnn_evaluating":
            raise RuntimeError("cudnn RNN backward can only be called in training mode")
        _seen.operations[f"{ctx.name}_backward"] += 1

        def compute() -> tuple[Tensor | None, ...]:
            wanted = [host for host in ctx.hosts if isinstance(host, Tensor) and host.requires_grad]
            pairs = [
                (output, _down(given))
                for output, given in zip(ctx.outputs, grad_outputs, strict=True)
                if given is not None and output.requires_grad
            ]
            with _disable_current_modes(), torch.enable_grad():
                return torch.autograd.grad(
                    [one for one, _ in pairs], wanted, [one for _, one in pairs], allow_unused=True
                )

        found = compute()
        note(compute, found)
        gradients = iter(found)
        needed = [isinstance(host, Tensor) and host.requires_grad for host in ctx.hosts]
        return (None, None, *(_up(next(gradients)) if need else None for need in needed))


def _reduced(*tensors: Any, dtype: torch.dtype) -> list[Any]:
    return [one.to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one for one in tensors]


def _recurrent(real: Callable[..., Any], *args: Any) -> Any:
    """torch.lstm and the like, as cuDNN runs them; under autocast always in half precision, as torch has it."""
    is_packed = not isinstance(args[3], bool)
    inputs, state, weights = args[0], args[2 if is_packed else 1], list(args[3 if is_packed else 2])
    states = list(state) if isinstance(state, list | tuple) else [state]
    if is_packed and isinstance(args[1], OnDevice):
        raise RuntimeError("batch_sizes must be on cpu")
    if not all(isinstance(one, OnDevice) for one in (inputs, *states, *weights)):
        raise RuntimeError("Input and parameter tensors are not at the same device")
    if not all(one.is_contiguous() for one in states):
        raise RuntimeError("rnn: hx is not contiguous")
    given, rest = ([args[1]] if is_packed else []), list(args[4 if is_packed else 3 :])
    is_training = rest[3]
    with torch.autocast(NAME, enabled=False):
        if _autocasts:
            inputs, *others = _reduced(inputs, *states, *weights, dtype=torch.float16)
            states, weights = others[: len(states)], others[len(states) :]
        dtype = inputs.dtype
        if len({one.dtype for one in (inputs, *states, *weights)}) > 1:
            raise RuntimeError("Input, state and weights must have one type")
        _dtypes.add(dtype)

        def compute(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            x, *others = (one.float() for one in (x, *others))  # type: ignore[assignment]
            h = others[: len(states)] if isinstance(state, list | tuple) else others[0]
            return tuple(one.to(dtype) for one in real(x, *given, h, others[len(states) :], *rest))

        name = "cudnn_rnn" if is_training else "cudnn_rnn_evaluating"
        if not torch.backends.cudnn.enabled:
            name = "native_rnn"
        return _Opaque.apply(name, compute, inputs, *states, *weights)


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any) -> Tensor:
    if attn_mask is not None and not isinstance(attn_mask, OnDevice):
        raise RuntimeError("attn_mask is on cpu")
    if _autocasts:
        query, key, value = _reduced(query, key, value, dtype=torch.get_autocast_dtype(NAME))
    real, mask = F.scaled_dot_product_attention, _down(attn_mask)
    with torch.autocast(NAME, enabled=False):
        return _Opaque.apply(  # type: ignore[index]
            "attention", lambda q, k, v: (real(q, k, v, attn_mask=mask, **options),), query, key, value
        )[0]


@functools.cache
def _cells() -> Any:
    from lit_models.layers import cells

    return cells


def _gru_cell(inputs: Tensor, recurrent: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    def compute(x: Tensor, u: Tensor, before: Tensor) -> tuple[Tensor, ...]:
        return *_cells().gru_cell(x, u, (before,)), x.detach()

    return _Opaque.apply("fused_gru_cell", compute, inputs, recurrent, h)


def _lstm_cell(inputs: Tensor, recurrent: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    def compute(x: Tensor, u: Tensor, before: Tensor) -> tuple[Tensor, ...]:
        return *_cells().lstm_cell(x, u, (before, before)), x.detach()

    return _Opaque.apply("fused_lstm_cell", compute, inputs, recurrent, c)


@functools.cache
def _opaque() -> dict[Any, Callable[..., Any]]:
    table: dict[Any, Callable[..., Any]] = {
        real: functools.partial(_recurrent, real) for real in (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
    }
    table[F.scaled_dot_product_attention] = _attention
    table[torch.ops.aten._thnn_fused_gru_cell.default] = _gru_cell
    table[torch.ops.aten._thnn_fused_lstm_cell.default] = _lstm_cell
    return table


# ---------------------------------------------------------------------- the device as torch knows it


@functools.cache
def device() -> torch.device:
    """The device, made known to torch once a process, before the first backward pass: that starts a thread for each."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    torch._C._set_only_lift_cpu_tensors(True)
    foreach._foreach_supported_types.append(OnDevice)
    register_autocast(NAME)
    return torch.device(f"{NAME}:0")


_dtypes: set[torch.dtype] = set()  # of recurrent layers


def _autocasting() -> bool:
    return torch.is_autocast_enabled(NAME)


class _Autocasts:
    def __bool__(self) -> bool:
        return _autocasting()


_autocasts = _Autocasts()


def recurrent_dtypes() -> set[torch.dtype]:
    """The precisions in which recurrent layers have run."""
    return _dtypes


def _generator(device: Any = None) -> torch.Generator:
    """Random numbers are drawn on the host."""
    return torch._C.Generator("cpu" if device is None or torch.device(device).type == NAME else device)


_move = nn.Module._apply


def _apply(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """Move a module so that tied weights stay tied, though the tensors are of another class."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return _move(module, function, recurse)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


@contextlib.contextmanager
def pretend_device() -> Iterator[Seen]:
    """While this lasts the device can be used."""
    device()
    _seen.reset()
    _seen.has_float64 = False
    _dtypes.clear()
    fused = mock.patch.object(_cells(), "FUSED_ON", {*_cells().FUSED_ON, NAME})
    whole = mock.patch.object(scaled_dot_product, "WHOLE_ON", {*scaled_dot_product.WHOLE_ON, NAME})
    moving = mock.patch.object(nn.Module, "_apply", _apply)
    with fused, whole, moving, mock.patch("torch.Generator", _generator), _Everything():
        yield _seen
