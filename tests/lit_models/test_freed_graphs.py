"""What a training step was computed from is given up when its gradient is there: memory stays as it is over a thousand
steps, and a CUDA graph meets no node of a step before it."""

import gc
from typing import Any

import pytest
from torch import nn

from tests.helpers.models import every_model, label, make, sequences


def accumulator(weight: nn.Parameter) -> Any:
    """The node that adds up the gradient of a weight; a new one where no graph holds the one of before."""
    return weight.view_as(weight).grad_fn.next_functions[0][0]  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "options"), every_model(), ids=label)
def test_nothing_keeps_the_graph_of_a_step(name: str, options: dict[str, Any]) -> None:
    model = make(name, options).train()
    loss = model.training_step(sequences(3), 0)
    for weight in model.parameters():
        accumulator(weight).metadata["of"] = "the step"
    assert all(accumulator(weight).metadata for weight in model.parameters())
    loss.backward()
    del loss
    gc.collect()
    assert not any(accumulator(weight).metadata for weight in model.parameters())
