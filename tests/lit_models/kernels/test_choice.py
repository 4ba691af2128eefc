"""Every architecture computes the same numbers with fast kernels as with their plain forms."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from lit_models.decoding.search import beam_search, greedy
from lit_models.kernels import loss
from lit_models.kernels.choice import faster_than, is_plain, plain
from tests.helpers.models import every_model, label, make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
every_architecture = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)


def both_ways() -> Iterator[Any]:
    yield nullcontext()
    yield plain()


def nodes(value: Tensor) -> set[Any]:
    """All nodes of the autograd graph."""
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions)
    return seen


@every_architecture
def test_a_training_step_has_the_same_outputs_and_gradients(name: str, options: dict[str, Any]) -> None:
    model, batch = make(name, options).double().train(), random_batch(LENGTHS)
    results = []
    for way in both_ways():
        torch.manual_seed(0)  # randomised positions are drawn
        with way:
            output = model(batch)
            model.zero_grad()
            value = model.training_step(batch, 0)
            value.backward()
        gradients = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
        results.append((output.logits.detach(), output.attention, value.detach(), gradients))
    torch.testing.assert_close(results[1], results[0], rtol=1e-10, atol=1e-10)


@every_architecture
def test_decoding_finds_the_same(name: str, options: dict[str, Any]) -> None:
    model, batch = make(name, options).double(), random_batch(LENGTHS)
    results = []
    for way in both_ways():
        with way:
            tokens = greedy(model, batch.source, batch.source_lengths, 9)
            results.append((tokens, tuple(beam_search(model, batch.source, batch.source_lengths, 9, 4, n_best=3))))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


@every_architecture
def test_the_plain_form_has_no_node_of_its_own_in_the_graph(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "SMALL", 0)  # as if the vocabulary were a large one
    model, batch = make(name, options).train(), random_batch(LENGTHS)
    fast = model.training_step(batch, 0)
    with plain():
        slow = model.training_step(batch, 0)
    assert any(isinstance(node, BackwardCFunction) for node in nodes(fast))
    assert not any(isinstance(node, BackwardCFunction) for node in nodes(slow))


def test_the_choice_ends_with_its_context_even_where_that_fails() -> None:
    def plain_form(number: int) -> str:
        return f"plain {2 * number}"

    @faster_than(plain_form)
    def double(number: int) -> str:
        return f"fast {number + number}"

    assert double(3) == "fast 6"
    with pytest.raises(RuntimeError), plain():
        assert is_plain() and double(3) == "plain 6"
        with plain():
            pass
        assert double(number=3) == "plain 6"
        raise RuntimeError
    assert not is_plain()
    assert double(3) == "fast 6"
