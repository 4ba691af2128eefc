"""Where a curve crosses a level."""

import numpy as np


def first_crossing(x: np.ndarray, excess: np.ndarray) -> float | None:
    """The first place where a curve falls to a level, interpolated in a straight line between neighbouring points.

    Args:
        x: (N,), in the order in which the curve is followed.
        excess: (N,), by how much the curve lies above the level.

    Returns:
        The place; None where the curve does not begin above the level, or stays above it.
    """
    fallen = np.flatnonzero(excess <= 0)
    if not fallen.size or not fallen[0]:
        return None
    after = fallen[0]
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(x[before] + share * (x[after] - x[before]))
