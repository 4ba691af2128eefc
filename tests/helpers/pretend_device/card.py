"""A real card in the place of the pretended device: `LENGTHWISE_TEST_DEVICE=cuda pytest` with the tests of the device.

Waits are those that torch itself notes. Kernels are not counted, and what only the pretended device can say is skipped.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from experiments.trial.environment import set_arithmetic
from tests.helpers.pretend_device.seen import Seen, seen

IS_REAL = os.environ.get("LENGTHWISE_TEST_DEVICE") == "cuda"
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)

_dtypes: set[torch.dtype] = set()


class _Recurrent(TorchFunctionMode):
    """Notes in which precision recurrent layers run."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in RECURRENT:
            _dtypes.add(result[0].dtype)
        return result


def recurrent_dtypes() -> set[torch.dtype]:
    """The precisions in which recurrent layers have run."""
    return _dtypes


def device() -> torch.device:
    """The first card."""
    return torch.device("cuda:0")


@contextlib.contextmanager
def card() -> Iterator[Seen]:
    """While this lasts waits are counted."""

    def note(message: Warning | str, category: Any, filename: str, lineno: int, *_: object) -> None:
        if "synchroniz" in str(message):
            seen.waits[f"{filename}:{lineno}"] += 1

    seen.reset()
    _dtypes.clear()
    set_arithmetic()
    with warnings.catch_warnings(), _Recurrent():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode("default")
            set_arithmetic()


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """While this lasts a card gives the same bits again."""
    set_arithmetic(deterministic=True)
    try:
        yield
    finally:
        set_arithmetic()
