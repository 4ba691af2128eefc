"""What torch asks of a kind of device: a module, and autocast."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)  # type: ignore[attr-defined]
_libraries: list[Any] = []  # what is registered lasts as long as these


class Module:
    """What torch asks of a device's module."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def set_device(self, number: int) -> None: ...

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None: ...

    def device_count(self) -> int:
        return 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def get_rng_state(self, number: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, number: Any = None) -> None: ...


def register_autocast(device: str) -> None:
    """Autocast as CUDA has it, as far as this project uses it: products in reduced precision, softmax in single."""
    everything, aten = (torch.library.Library(name, "IMPL", "AutocastPrivateUse1") for name in ("_", "aten"))
    everything.fallback(torch.library.fallthrough_kernel)
    _libraries.extend((everything, aten))

    def casting(operation: Any, choose: Callable[[Any], torch.dtype]) -> Callable[..., Any]:
        def kernel(*args: Any, **kwargs: Any) -> Any:
            dtype = choose(args)

            def cast(value: Any) -> Any:
                return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

            with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
                return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

        return kernel

    def widest(args: Any) -> torch.dtype:
        return functools.reduce(torch.promote_types, (tensor.dtype for tensor in args[0]))

    for name in ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul"):
        operation = getattr(torch.ops.aten, name).default
        aten.impl(
            f"aten::{name}", casting(operation, lambda _: torch.get_autocast_dtype(device)), "AutocastPrivateUse1"
        )
    for name in ("softmax.int", "log_softmax.int"):
        operation = getattr(torch.ops.aten, name.partition(".")[0]).int
        aten.impl(f"aten::{name}", casting(operation, lambda _: torch.float32), "AutocastPrivateUse1")
    aten.impl("aten::cat", casting(torch.ops.aten.cat.default, widest), "AutocastPrivateUse1")
