"""Sequential depth and path length against graphs counted by hand, and the unfused model against the fused one."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from experiments.probes.timing import uniform_batch
from lit_models import architectures
from lit_models.probes.sequential_depth import (
    _inputs_first,
    element_paths,
    longest_chain,
    path_lengths,
    sequential_depth,
)
from lit_models.probes.unfused import unfused
from tests.helpers.models import every_model, label, make, one_row, random_batch

FIXED_CONTEXT = ("VanillaRNN", "LSTM", "GRU")
CPU = torch.device("cpu")


def batch_of(length: int):
    return uniform_batch(1, length, 8, CPU)


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.double).requires_grad_()


def test_the_longest_of_two_ways_counts() -> None:
    start = leaf(3)
    assert longest_chain((start.exp().sin() + start).sum(), start) == 4  # exp, sin, add, sum


def test_moving_numbers_is_no_operation() -> None:
    start = leaf(2, 3)
    moved = torch.stack([start.t().reshape(3, 2)[1:].clone(), start.view(3, 2)[:2]]).flatten()
    assert longest_chain(moved.sum(), start) == 1


def test_numbers_written_into_a_tensor_count_no_more_than_joined_ones() -> None:
    start, written = leaf(2), torch.zeros(3, dtype=torch.double)
    written[:2] = start.exp()
    assert longest_chain(written.sum(), start) == 2


def test_a_chain_of_steps_is_as_long_as_its_steps() -> None:
    start = leaf(5, 2)
    state = torch.zeros(2, dtype=torch.double)
    for step in start.unbind(0):
        state = torch.tanh(state + step)
    assert longest_chain(state.sum(), start) == 2 * 5 + 1


def test_a_loss_without_the_source_has_no_depth() -> None:
    with pytest.raises(ValueError, match="does not depend"):
        longest_chain(leaf(2).sum(), leaf(2))


def test_paths_of_a_chain_depend_on_the_step_at_which_an_element_enters() -> None:
    start = leaf(4)
    state = torch.zeros((), dtype=torch.double)
    for step in start.exp().unbind(0):  # one operation on the whole tensor, then a sum and a tanh for each element
        state = torch.tanh(state + step)
    assert element_paths(state, start).tolist() == [9, 7, 5, 3]


def test_of_two_ways_the_fewest_and_the_most_operations_are_told_apart() -> None:
    start = leaf(2)
    output = (start + start.exp().sin()).sum()
    assert element_paths(output, start).tolist() == [2, 2]
    assert element_paths(output, start, longest=True).tolist() == [4, 4]


def test_a_way_through_a_whole_tensor_is_no_shortcut_between_its_elements() -> None:
    start = leaf(2)
    first, second = start.exp().unbind(0)
    assert element_paths(second.sin().sin() + first, start).tolist() == [2, 4]


def test_an_element_without_influence_is_infinitely_far() -> None:
    start = leaf(3)
    assert element_paths(start[1:].sum(), start).tolist() == [math.inf, 1, 1]


def test_a_product_of_matrices_connects_rows_with_columns_only() -> None:
    start = leaf(2, 2)
    weight = torch.ones(2, 2, dtype=torch.double)
    assert element_paths((start @ weight)[0].sum(), start).tolist() == [[2, 2], [math.inf, math.inf]]


def test_broadcast_elements_are_reached_through_every_copy() -> None:
    start = leaf(1, 2)
    assert element_paths((start + torch.ones(3, 2, dtype=torch.double))[2].sum(), start).tolist() == [[2, 2]]


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value**2

    @staticmethod
    def backward(ctx, *gradients):
        [gradient] = gradients
        return 2 * ctx.saved_tensors[0] * gradient


def test_a_node_defined_in_python_is_one_operation() -> None:
    start = leaf(2)
    output = Square.apply(start)[:1].sum()
    assert longest_chain(output, start) == 2
    assert element_paths(output, start).tolist() == [2, math.inf]


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": False}], ids=str
)
def test_unfused_layers_equal_fused_ones(kind, options) -> None:
    torch.manual_seed(0)
    layers = kind(3, 4, **{"batch_first": True, **options}).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.double)
    fused = layers(inputs)
    with unfused():
        reference = layers(inputs)
    torch.testing.assert_close(reference, fused, rtol=1e-10, atol=1e-10)


def test_unfused_layers_take_packed_rows_of_one_length() -> None:
    layers = nn.GRU(3, 4, batch_first=True).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.double)
    expected, _ = layers(inputs)
    with unfused():
        packed, _ = layers(pack_padded_sequence(inputs, torch.tensor([5, 5]), batch_first=True))
        torch.testing.assert_close(pad_packed_sequence(packed, batch_first=True)[0], expected)
        with pytest.raises(ValueError, match="one length"):
            layers(pack_padded_sequence(inputs, torch.tensor([5, 4]), batch_first=True))


def test_layers_are_fused_again_afterwards() -> None:
    layers, inputs = nn.LSTM(3, 4), torch.randn(5, 2, 3)

    def nodes() -> int:
        """Of the graph behind the layers' outputs."""
        return len(_inputs_first(layers(inputs)[0].grad_fn))

    before = nodes()
    with pytest.raises(RuntimeError), unfused():
        assert nodes() > before
        raise RuntimeError
    assert nodes() == before


@pytest.mark.parametrize(("name", "options"), every_model(), ids=label)
def test_the_unfused_model_equals_the_model_in_values_and_gradients(name: str, options: dict[str, Any]) -> None:
    model, batch = make(name, options).double(), one_row(random_batch([(5, 4)]), 0)
    results = []
    for context in (torch.enable_grad(), unfused()):
        with context:
            model.zero_grad()
            loss = model.training_step(batch, 0)
            loss.backward()
        results.append([loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", architectures())
def test_depth_grows_exactly_as_the_architecture_says(name: str) -> None:
    model = make(name)
    depths = [sequential_depth(model, batch_of(length)) for length in (16, 32, 64, 128)]
    gains = [after - before for before, after in itertools.pairwise(depths)]
    growth = {"O(n)": [1, 2, 4], "O(log n)": [1, 1, 1], "O(1)": [0, 0, 0]}[model.sequential_operations]
    assert gains == [gains[0] * factor for factor in growth]
    assert gains[0] > 0 or model.sequential_operations == "O(1)"
    if name in FIXED_CONTEXT:
        assert gains[0] >= 2 * 3 * 16  # encoder and decoder, each a product, a sum and a tanh at least


def test_depth_of_a_vanilla_rnn_as_counted_by_hand() -> None:
    # A step of h = tanh(W x + U h): product, sum, tanh. The first meets no state that depends on the source, but W x is
    # a product as well. Behind the last: output layer, log-softmax, likelihood, mean.
    for length in (1, 2, 5):
        assert sequential_depth(make("VanillaRNN"), batch_of(length)) == 3 * length + 3 * length + 4


def test_paths_of_a_vanilla_rnn_lead_through_every_step_between() -> None:
    paths = path_lengths(make("VanillaRNN").double(), batch_of(3))
    expected = [[3 * (3 - source) + 3 * (target + 1) + 4 for target in range(3)] for source in range(3)]
    assert paths.tolist() == expected


def test_the_longest_path_is_the_sequential_depth_where_steps_follow_each_other() -> None:
    model, batch = make("GRU").double(), batch_of(3)
    assert path_lengths(model, batch, longest=True).max() == sequential_depth(model, batch)


@pytest.mark.parametrize("name", ["Bahdanau", "LuongGlobal", "Transformer", "DecoderOnly", "EncoderOnly"])
def test_attention_keeps_the_maximum_path_length_constant(name: str) -> None:
    model = make(name).double()
    assert path_lengths(model, batch_of(3)).max() == path_lengths(model, batch_of(6)).max()


def test_paths_grow_beyond_a_local_window() -> None:
    model = make("LuongLocal", {"window": 1, "alignment": "monotonic"}).double()
    paths = path_lengths(model, batch_of(6))
    inside, outside = paths[5, 5], paths[0, 5]
    assert inside < outside
    assert paths.diagonal().unique().numel() == 1
