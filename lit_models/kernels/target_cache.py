"""Keys and values of the target so far, in buffers that grow ahead of it.

Shapes: B sequences, N heads, P positions so far, T new ones, d size of a head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lit_models.kernels.choice import is_plain

KeysAndValues = tuple[Tensor, Tensor]  # each (B, N, positions, d)


@dataclass
class TargetCache:
    """Keys and values in buffers (B, N, room, d) of which the first `filled` positions are in use.

    Where a sentence has one hypothesis the room is little, and zeros: a step multiplies by all of a buffer and masks
    what is not in use, because a product that jumps over the room of every head waits for memory three times as long.
    """

    keys: Tensor
    values: Tensor
    filled: int

    def extended(self, past: int, new: KeysAndValues) -> "TargetCache":
        """The first P = `past` positions with T new ones (B, N, T, d) behind them.

        In place where there is room that nobody has written to, so that two steps from one state give two futures.
        Never in place where gradients are recorded, nor in the plain form.
        """
        end = past + new[0].shape[2]
        if torch.is_grad_enabled() or is_plain():
            keys, values = (
                torch.cat([buffer[:, :, :past], added], dim=2)
                for buffer, added in zip((self.keys, self.values), new, strict=True)
            )
            return TargetCache(keys, values, end)
        grown = self
        if self.filled != past or end > self.keys.shape[2]:
            room = max(8, end // 4) if end - past == 1 else end
            keys, values = self.keys[:, :, :past], self.values[:, :, :past]
            grown = TargetCache(_moved(keys, end + room), _moved(values, end + room), past)
        grown.keys[:, :, past:end], grown.values[:, :, past:end] = new
        grown.filled = end
        return grown

    def in_use(self) -> KeysAndValues:
        """Each (B, N, P, d)."""
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def with_room(self) -> tuple[KeysAndValues, Tensor]:
        """All of the buffers, and a mask (room,) that is true at what is in use."""
        used = torch.arange(self.keys.shape[2], device=self.keys.device) < self.filled
        return (self.keys, self.values), used


def _moved(positions: Tensor, size: int) -> Tensor:
    """(B, N, P, d) -> (B, N, size, d) with zeros behind."""
    past = positions.shape[2]
    buffer = positions.new_empty(*positions.shape[:2], size, positions.shape[3])
    buffer[:, :, :past], buffer[:, :, past:] = positions, 0
    return buffer
