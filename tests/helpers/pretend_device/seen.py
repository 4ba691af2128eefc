"""What the pretend device is asked to do, counted: operations, and waits of the host with the line that waits."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = str(HERE.parents[2])

# Operations that give a view or memory without touching a number.
NO_KERNEL = {
    "view", "t", "transpose", "permute", "expand", "slice", "select", "unsqueeze", "squeeze", "detach", "alias",
    "as_strided", "split", "split_with_sizes", "chunk", "unbind", "_unsafe_view", "_reshape_alias", "unfold",
    "lift_fresh", "diagonal", "set_", "resize_", "empty", "empty_like", "new_empty", "empty_strided",
    "new_empty_strided",
}  # fmt: skip
# Operations that wait for the device, to know the size of their result or to check their arguments, and how often.
WAITS = {
    "_local_scalar_dense": 1, "nonzero": 1, "_unique2": 1, "unique_dim": 1, "unique_consecutive": 1, "equal": 1,
    "masked_select": 1, "multinomial": 2, "bincount": 1, "repeat_interleave": 1,
}  # fmt: skip


class Seen:
    """What the device was asked to do."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.records: list[Any] = []  # CUDA graphs that are being made, see graphs.py
        self.has_float64 = False  # CUDA has it, Apple's MPS does not

    @property
    def kernels(self) -> int:
        """Operations that compute or copy something."""
        return sum(count for name, count in self.operations.items() if name not in NO_KERNEL)

    def reset(self) -> None:
        """Begin anew."""
        self.operations.clear()
        self.waits.clear()

    def wait(self, kind: str, times: int = 1) -> None:
        """Note that the host waits, and where.

        Raises:
            RuntimeError: a CUDA graph is being made.
        """
        if self.records:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({kind})")
        self.waits[f"{kind} at {_place()}"] += times


seen = Seen()


def _place() -> str:
    """File and line of this project that is being run."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(ROOT) and "site-packages" not in name and Path(name).parent != HERE:
            return f"{name[len(ROOT) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"
