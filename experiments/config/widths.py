"""Hidden sizes at which architectures have the same number of parameters."""

import functools
import json
from collections.abc import Callable
from typing import Any

import torch

from data.batch import FIRST_TOKEN
from experiments.errors import UsageError
from lit_models import LitSeq2Seq

TOLERANCE = 0.10
WIDEST = 8192


def vocabulary_sizes(symbols: int) -> dict[str, Any]:
    """The options of a model for a task of so many symbols."""
    return {"source_vocab_size": symbols + FIRST_TOKEN, "target_vocab_size": symbols + FIRST_TOKEN}


def count_parameters(model: type[LitSeq2Seq], options: dict[str, object]) -> int:
    """Number of trained parameters of a model that is never given memory."""
    with torch.device("meta"):
        return model(**options).num_params  # type: ignore[arg-type]


def pick_width(model: type[LitSeq2Seq], options: dict[str, object], budget: int) -> tuple[int, int]:
    """The hidden_size whose parameter count lies nearest to the budget.

    Returns:
        The width and its parameter count, within 10% of the budget.

    Raises:
        UsageError: no width comes that near.
    """
    width, count = nearest_width(model, options, budget)
    if abs(count - budget) > TOLERANCE * budget:
        raise UsageError(
            f"--parameter_budget: {model.__name__} cannot come within 10% of {budget:,}; "
            f"the nearest is {count:,} parameters at hidden_size {width}"
        )
    return width, count


def nearest_width(model: type[LitSeq2Seq], options: dict[str, object], budget: int) -> tuple[int, int]:
    """The same, however far from the budget.

    Only even sizes are considered, and those the model accepts: a transformer's must be a multiple of its heads.
    """
    return _nearest_width(model, json.dumps(options, sort_keys=True), budget)


@functools.cache  # a sweep asks the same of every length and seed
def _nearest_width(model: type[LitSeq2Seq], options: str, budget: int) -> tuple[int, int]:
    @functools.cache
    def count(width: int) -> int:
        return count_parameters(model, {**json.loads(options), "hidden_size": width})

    step = _width_step(count)
    low, high = 1, WIDEST // step
    while low < high:  # the first width at or above the budget
        middle = (low + high) // 2
        if count(middle * step) < budget:
            low = middle + 1
        else:
            high = middle
    width = min((max(low - 1, 1) * step, low * step), key=lambda width: abs(count(width) - budget))
    return width, count(width)


def _width_step(count: Callable[[int], int]) -> int:
    """The smallest even step all of whose multiples the model accepts, going by the first few."""
    for step in range(2, 130, 2):
        try:
            for multiple in (1, 2, 3):
                count(step * multiple)
        except ValueError:
            continue
        return step
    raise UsageError("--parameter_budget: no even hidden_size up to 128 suits this model")
