"""`--compile true`: every architecture gives the gradients that it gives without, for full and for padded batches."""

from typing import Any

import pytest
import torch

from lit_models import architectures
from tests.helpers.models import make, sequences

MODELS: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in architectures())]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [*MODELS, ("LuongGlobal", {"input_feeding": True})])
def test_a_compiled_model_has_the_gradients_of_a_plain_one(name: str, options: dict[str, Any]) -> None:
    torch.compiler.reset()
    compiled, plain = (make(name, {"num_layers": 1, **options}).train() for _ in range(2))
    compiled.compile(backend="aot_eager")  # all of torch.compile but the code that it generates
    for batch in (sequences(3, 3), sequences(2, 3)):  # short, as a loop over steps is compiled step by step
        losses = [model.training_step(batch, 0) for model in (compiled, plain)]
        for loss in losses:
            loss.backward()
        torch.testing.assert_close(*losses)
    for mine, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
