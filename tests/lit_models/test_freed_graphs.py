"""What a training step was computed from is given up when its gradient is there: memory stays as it is over a thousand
steps, and a CUDA graph meets no node of a step before it."""

import gc
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_models.kernels.additive import additive_steps
from tests.helpers.models import every_model, label, make, sequences


def accumulator(weight: Tensor) -> Any:
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


def test_nothing_keeps_the_graph_of_a_loop_that_ended_early() -> None:
    keys, energy = torch.ones(2, 3, 4, requires_grad=True), torch.ones(4, requires_grad=True)
    scores = additive_steps(keys * 1, energy, steps=5)
    accumulator(energy).metadata["of"] = "the step"
    loss = scores(torch.ones(2, 1, 4)).sum()
    loss.backward()
    del loss, scores
    gc.collect()
    assert not accumulator(energy).metadata
