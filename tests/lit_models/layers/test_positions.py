"""Positions of a transformer against the equations of their papers, written out in NumPy."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from lit_models.layers.positions import BucketBiases, LinearBiases, RandomisedPositions, RotaryPositions, rotated
from tests.helpers.models import make, random_batch

HEADS, SIZE, LENGTH = 4, 6, 9
SEQUENCE = torch.arange(LENGTH)


def test_rotary_positions_multiply_pairs_as_complex_numbers() -> None:
    vectors, positions = torch.randn(2, HEADS, 3, SIZE), torch.tensor([0, 5, 700])
    turned = rotated(vectors, RotaryPositions(SIZE).rotation(positions))
    pairs = vectors.numpy()[..., 0::2] + 1j * vectors.numpy()[..., 1::2]
    angles = positions.numpy()[:, None] * 10000.0 ** (-2 * np.arange(SIZE // 2) / SIZE)
    expected = pairs * np.exp(1j * angles)
    np.testing.assert_allclose(turned[..., 0::2], expected.real, atol=1e-4)
    np.testing.assert_allclose(turned[..., 1::2], expected.imag, atol=1e-4)


def test_products_of_rotated_vectors_depend_on_the_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, SIZE)
    rotary = RotaryPositions(SIZE)

    def product(at: int, to: int) -> Any:
        turned = (rotated(x, rotary.rotation(torch.tensor([place]))) for x, place in ((query, at), (key, to)))
        first, second = turned
        return (first * second).sum()

    torch.testing.assert_close(product(7, 3), product(104, 100), atol=1e-5, rtol=0)
    assert not torch.isclose(product(7, 3), product(3, 7), atol=1e-3)


def test_linear_biases_fall_with_the_distance_to_both_sides() -> None:
    mask = LinearBiases(HEADS).mask(SEQUENCE, SEQUENCE, None)[0]
    for head in range(HEADS):
        slope = 2 ** (-8 * (head + 1) / HEADS)
        expected = [[-slope * abs(i - j) for j in range(LENGTH)] for i in range(LENGTH)]
        np.testing.assert_allclose(mask[head], expected, rtol=1e-6)


def bucket_of(distance: int, bidirectional: bool) -> int:
    """Raffel et al. 2020, as their code has it: 32 buckets up to a distance of 128."""
    count, first, back = 32, 0, -distance
    if bidirectional:
        count //= 2
        first, back = (count if distance > 0 else 0), abs(distance)
    back = max(back, 0)
    if back < count // 2:
        return first + back
    half = count // 2
    return first + min(half + int(math.log(back / half) / math.log(128 / half) * (count - half)), count - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_of_distances_are_those_of_t5(bidirectional: bool) -> None:
    distances = torch.arange(-300, 301)
    buckets = BucketBiases(HEADS, SIZE, bidirectional).bucket(distances)
    assert buckets.tolist() == [bucket_of(distance, bidirectional) for distance in distances.tolist()]


def test_a_decoder_gives_distances_back_more_buckets_than_an_encoder() -> None:
    back = -torch.arange(200)
    both, causal = (BucketBiases(HEADS, SIZE, bidirectional).bucket(back) for bidirectional in (True, False))
    assert (len(both.unique()), len(causal.unique())) == (16, 32)


@pytest.mark.parametrize("kind", [LinearBiases(HEADS), BucketBiases(HEADS, SIZE, bidirectional=False)])
def test_hypotheses_side_by_side_see_the_biases_of_their_own_past(kind: Any) -> None:
    # Read in turn: a b | c d | e f. The first hypothesis is a c e, the second b c f.
    visible = torch.tensor([[[1, 0, 1, 0, 1, 0], [0, 1, 1, 0, 0, 1]]]).bool()
    mask = kind.step_mask(visible, alone=False)
    expected = kind.bias(torch.tensor([[-2, -1, 0]]))[:, 0]
    for hypothesis, seen in enumerate(visible[0]):
        torch.testing.assert_close(mask[0, :, hypothesis, seen], expected)
        assert mask[0, :, hypothesis, ~seen].isneginf().all()


def test_randomised_positions_are_drawn_anew_for_each_batch_sorted_and_without_repetition() -> None:
    positions = RandomisedPositions(SIZE, 100)
    torch.manual_seed(0)
    first, second = positions.drawn(20), positions.drawn(20)
    assert not torch.equal(first, second)
    for drawn in (first, second):
        assert (drawn.diff() > 0).all() and drawn.min() >= 0 and drawn.max() < 100
    assert torch.stack([positions.drawn(20) for _ in range(300)]).unique().tolist() == list(range(100))


def test_randomised_training_reads_source_and_target_at_the_same_positions() -> None:
    model, batch = make("Transformer", {"positions": "randomised", "max_positions": 40}).train(), random_batch([(6, 6)])
    seen = []
    lookup = model.positions.added
    model.positions.added = lambda words, positions, longest: (
        seen.append(positions.tolist()) or lookup(words, positions, longest)
    )
    for _ in range(2):
        model(batch)
    (source, target, again, _) = seen
    assert target[:6] == source and len(target) == 7 and source != again


def test_randomised_evaluation_spreads_each_row_by_its_own_length() -> None:
    model = make("Transformer", {"positions": "randomised", "max_positions": 40})
    assert model.order(4, torch.tensor([4, 1])).tolist() == [[0, 4, 8, 12], [0, 10, 20, 30]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": "relative"}, "model.positions: 'relative' is unknown; choose sinusoidal, learned, none, rope, "
         "alibi, t5 or randomised"),
        ({"positions": "rope", "hidden_size": 12}, "model.hidden_size: 12 gives 4 heads of 3 numbers; rope"),
        ({"positions": "learned", "max_positions": 0}, "model.max_positions: 0 must be at least 1"),
        ({"positions": "randomised", "teacher_forcing": 0.5}, "model.teacher_forcing: 0.5 must be 1 with randomised"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as refused:
        make("Transformer", options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["learned", "randomised"])
def test_a_sequence_longer_than_the_positions_there_are_is_refused(kind: str) -> None:
    model = make("Transformer", {"positions": kind, "max_positions": 4})
    model(random_batch([(4, 3)]))
    with pytest.raises(ValueError, match=f"model.max_positions: 4 {kind} positions are too few for a sequence of 5"):
        model(random_batch([(3, 4)]))
