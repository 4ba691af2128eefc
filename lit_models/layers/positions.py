"""How a transformer knows the order of its tokens: a vector for each position.

Shapes: D hidden size.
"""

import torch
from torch import Tensor, nn

from lit_models.contract import require


class SinusoidalPositions(nn.Module):
    """PE(p, 2i) = sin(p / 10000^(2i / D)), PE(p, 2i + 1) = cos of the same angle (Vaswani et al. 2017, 3.5)."""

    table: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        require(size % 2 == 0, "hidden_size", size, "must be even for sinusoidal positions")
        self.size = size
        self.register_buffer("table", self._make(64), persistent=False)

    def _make(self, length: int) -> Tensor:
        """(length, D)"""
        rates = 10000.0 ** (-torch.arange(0, self.size, 2).double() / self.size)
        angles = torch.arange(length).double()[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()

    def forward(self, positions: Tensor, longest: int) -> Tensor:
        """Any shape of positions below `longest` -> the same shape with D appended."""
        if longest > len(self.table):
            with torch.inference_mode(False):  # a table first grown while decoding serves training as well
                self.table = self._make(2 * longest).to(self.table)
        return self.table[positions]


class LearnedPositions(nn.Module):
    """A trained vector for each position (Gehring et al. 2017)."""

    def __init__(self, size: int, max_positions: int) -> None:
        super().__init__()
        require(max_positions >= 1, "max_positions", max_positions, "must be at least 1")
        self.table = nn.Embedding(max_positions, size)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, positions: Tensor, longest: int) -> Tensor:
        """Any shape of positions below `longest` -> the same shape with D appended.

        Raises:
            ValueError: a sequence is longer than the table.
        """
        available = self.table.num_embeddings
        if longest > available:
            raise ValueError(
                f"model.max_positions: {available} learned positions are too few for a sequence of {longest} tokens"
            )
        return self.table(positions)
