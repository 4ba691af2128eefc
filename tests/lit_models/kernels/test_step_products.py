"""Products whose gradients are made behind a step loop equal those that autograd makes step by step."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lit_models.kernels.step_products import step_linear, step_matmul

ROWS, STEPS, SIZE, POSITIONS = 3, 4, 5, 6
TOLERANCES = [(torch.double, 1e-12), (torch.float, 1e-5)]
Map = Callable[[Tensor], Tensor]


def drawn(*shape: int, precision: torch.dtype = torch.double, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return values.to(precision).requires_grad_()


def recurrence(product: Map, state: Tensor, steps: int = STEPS) -> Tensor:
    """A loop in which every step reads what the one before has made."""
    states = []
    for _ in range(steps):
        state = torch.tanh(product(state))
        states.append(state)
    return torch.stack(states).square().sum()


@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("added", ["nothing", "a bias", "another summand for every step"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_linear_layer_has_the_gradients_of_autograd(
    steps: int, added: str, precision: torch.dtype, tolerance: float
) -> None:
    weight, state = drawn(SIZE, SIZE, precision=precision), drawn(ROWS, SIZE, precision=precision, seed=1)
    shape = {"a bias": (SIZE,), "another summand for every step": (steps, ROWS, SIZE)}.get(added)
    summand = None if shape is None else drawn(*shape, precision=precision, seed=2)
    inputs = [leaf for leaf in (weight, state, summand) if leaf is not None]
    made = recurrence(step_linear(weight, summand, ROWS, steps), state, steps)
    terms = iter(torch.zeros(steps, ROWS, SIZE, dtype=precision) + (0 if summand is None else summand))
    expected = recurrence(lambda vectors: vectors @ weight.t() + next(terms), state, steps)
    torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance)
    gradients = (torch.autograd.grad(value, inputs) for value in (made, expected))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("positions", [SIZE - 2, SIZE, SIZE + 2])
def test_matrices_of_rows_have_the_gradients_of_autograd(
    positions: int, steps: int, precision: torch.dtype, tolerance: float
) -> None:
    matrices = drawn(ROWS, positions, SIZE, precision=precision)
    state = drawn(ROWS, 1, SIZE, precision=precision, seed=1)

    def attended(score: Map, mix: Map) -> Tensor:
        return recurrence(lambda vectors: mix(torch.tanh(score(vectors))), state, steps)

    made = attended(step_matmul(matrices.transpose(1, 2), steps), step_matmul(matrices, steps))
    expected = attended(lambda vectors: vectors @ matrices.transpose(1, 2), lambda weights: weights @ matrices)
    torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance)
    gradients = (torch.autograd.grad(value, [matrices, state]) for value in (made, expected))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=tolerance, atol=tolerance)


def test_a_loop_may_end_before_all_its_steps_are_taken() -> None:
    weight, matrices = drawn(SIZE, SIZE), drawn(ROWS, SIZE, SIZE)
    first, second = drawn(ROWS, SIZE, seed=1), drawn(ROWS, 1, SIZE, seed=1)
    made = recurrence(step_linear(weight, None, ROWS, STEPS), first, steps=2)
    made = made + recurrence(step_matmul(matrices, STEPS), second, steps=2)
    expected = recurrence(lambda vectors: vectors @ weight.t(), first, steps=2)
    expected = expected + recurrence(lambda vectors: vectors @ matrices, second, steps=2)
    gradients = (torch.autograd.grad(value, [weight, matrices]) for value in (made, expected))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=1e-12, atol=1e-12)


def test_gradients_can_be_asked_for_twice() -> None:
    weight, state = drawn(SIZE, SIZE), drawn(ROWS, SIZE, seed=1)
    value = recurrence(step_linear(weight, None, ROWS, STEPS), state)
    (first,) = torch.autograd.grad(value, weight, retain_graph=True)
    (second,) = torch.autograd.grad(value, weight)
    assert torch.equal(first, second)


def test_a_part_of_a_weight_gets_its_gradient() -> None:
    weight, state = drawn(SIZE, 2 * SIZE), drawn(ROWS, SIZE, seed=1)
    recurrence(step_linear(weight[:, SIZE:], None, ROWS, STEPS), state).backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad[:, :SIZE], torch.zeros(SIZE, SIZE))
    assert weight.grad[:, SIZE:].abs().min() > 0


@pytest.mark.parametrize("product", ["linear", "matmul"])
def test_under_autocast_products_are_made_in_half_precision_and_gradients_kept_whole(product: str) -> None:
    matrix, state = drawn(SIZE, SIZE, precision=torch.float), drawn(ROWS, SIZE, precision=torch.float, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        if product == "linear":
            made = step_linear(matrix, None, ROWS, STEPS)(state)
            assert torch.equal(made, F.linear(state, matrix))
        else:
            matrices = matrix.expand(ROWS, -1, -1)
            made = step_matmul(matrices, STEPS)(state[:, None])
            assert torch.equal(made, state[:, None] @ matrices)
    assert made.dtype == torch.bfloat16
    made.float().square().sum().backward()
    assert matrix.grad is not None
    assert matrix.grad.dtype == torch.float


def test_a_loop_keeps_no_gradient_of_the_size_of_the_weight_for_each_step() -> None:
    """A step's own gradient of the weight would be a node that depends on the weight."""
    weight, state = drawn(SIZE, SIZE), drawn(ROWS, SIZE, seed=1)
    touching = 0
    value = recurrence(step_linear(weight, None, ROWS, STEPS), state)
    nodes, seen = [value.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        touching += sum(getattr(below, "variable", None) is weight for below, _ in node.next_functions if below)
        nodes.extend(below for below, _ in node.next_functions)
    assert touching == 1
