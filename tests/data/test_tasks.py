"""Synthetic tasks: what they ask for, what they carry, and that splits never meet."""

import math
from collections import Counter

import numpy as np
import pytest

from data.batch import FIRST_TOKEN, PAD
from data.tasks import SPLITS, TASKS, Examples, generate


def symbols(rows: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    """Token ids back to the task's symbols, without padding."""
    return [list(row[:length] - FIRST_TOKEN) for row, length in zip(rows, lengths, strict=True)]


def pairs(examples: Examples) -> list[tuple[list[int], list[int]]]:
    return list(
        zip(
            symbols(examples.source, examples.source_lengths),
            symbols(examples.target, examples.target_lengths),
            strict=True,
        )
    )


def recall(source: list[int]) -> list[int]:
    begin = 1 - len(source) % 2
    stored = dict(zip(source[begin:-1:2], source[begin + 1 : -1 : 2], strict=True))
    return [stored[source[-1]]]


ANSWERS = {
    "copy": lambda source: source,
    "reverse": lambda source: source[::-1],
    "sort": sorted,
    "first-token-recall": lambda source: source[:1],
    "associative-recall": recall,
}


@pytest.mark.parametrize("task", TASKS)
def test_targets_answer_their_sources(task: str) -> None:
    for source, target in pairs(generate(task, 16, 3, 9, count=300, seed=0, split="train")):
        assert target == list(ANSWERS[task](source))


@pytest.mark.parametrize("task", TASKS)
def test_lengths_fill_their_range_and_padding_stands_behind(task: str) -> None:
    examples = generate(task, 16, 3, 9, count=500, seed=0, split="train")
    assert set(examples.source_lengths) == set(range(3, 10))
    columns = np.arange(examples.source.shape[1])
    assert ((examples.source == PAD) == (columns >= examples.source_lengths[:, None])).all()
    assert examples.source.max() == FIRST_TOKEN + 15


@pytest.mark.parametrize("task", TASKS)
def test_a_task_says_how_many_outputs_it_has(task: str) -> None:
    examples = generate(task, 16, 3, 9, count=300, seed=0, split="train")
    each = bool((examples.target_lengths == examples.source_lengths).all())
    one = bool((examples.target_lengths == 1).all())
    assert TASKS[task].outputs == ("each" if each else "one" if one else "other")


@pytest.mark.parametrize("task", ["copy", "reverse", "first-token-recall", "associative-recall"])
def test_gold_alignment_points_at_the_source_of_each_target_token(task: str) -> None:
    examples = generate(task, 16, 3, 9, count=300, seed=0, split="train")
    assert examples.alignment is not None
    for row in range(300):
        length = examples.target_lengths[row]
        aligned = examples.alignment[row, :length]
        assert (examples.source[row, aligned] == examples.target[row, :length]).all()
        assert (examples.alignment[row, length:] == -1).all()


def test_associative_recall_stores_no_key_twice_and_asks_for_one_of_them() -> None:
    examples = generate("associative-recall", 10, 11, 11, count=200, seed=0, split="train")
    asked = Counter()
    for source in symbols(examples.source, examples.source_lengths):
        keys = source[:-1:2]
        assert len(set(keys)) == 5
        assert max(keys) < 5 <= min(source[1:-1:2])
        asked[keys.index(source[-1])] += 1
    assert set(asked) == set(range(5))


@pytest.mark.parametrize("task", TASKS)
def test_splits_share_no_example_whatever_the_seed(task: str) -> None:
    seen: dict[str, set] = {}
    for split in SPLITS:
        sources = [
            tuple(source)
            for seed in (0, 1)
            for source, _ in pairs(generate(task, 6, 3, 4, count=150, seed=seed, split=split))
        ]
        seen[split] = set(sources)
    assert not seen["train"] & seen["validation"]
    assert not seen["train"] & seen["test"]
    assert not seen["validation"] & seen["test"]


def test_more_examples_begin_with_the_same_ones() -> None:
    few = generate("copy", 16, 3, 9, count=10, seed=4, split="test")
    many = generate("copy", 16, 3, 9, count=5000, seed=4, split="test")
    assert (many.source[:10] == few.source).all()


def test_seeds_differ() -> None:
    first, second = (generate("copy", 16, 9, 9, count=100, seed=seed, split="train") for seed in (0, 1))
    assert not (first.source == second.source).all(axis=1).any()


def test_the_numbers_are_the_same_on_every_machine() -> None:
    """A change here makes every published result incomparable with new ones."""
    examples = generate("reverse", 16, 1, 8, count=3, seed=7, split="train")
    sources = [[4, 6, 6, 1, 11, 4, 9], [0, 3, 14, 15], [10, 8]]
    assert pairs(examples) == [(source, source[::-1]) for source in sources]


def test_symbols_are_uniform() -> None:
    examples = generate("copy", 8, 10, 10, count=5000, seed=0, split="train")
    counts = np.bincount(examples.source.ravel() - FIRST_TOKEN, minlength=8)
    expected = 50_000 / 8
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 24.3  # the 99.9% quantile with 7 degrees of freedom


def test_bits_are_what_the_target_carries() -> None:
    def bits(task: str, vocabulary: int, length: int) -> np.ndarray:
        target_bits = generate(task, vocabulary, length, length, count=50, seed=0, split="train").target_bits
        assert target_bits is not None
        return target_bits

    assert (bits("copy", 16, 10) == 40).all()
    assert (bits("reverse", 32, 10) == 50).all()
    assert (bits("first-token-recall", 16, 10) == 4).all()
    assert (bits("associative-recall", 16, 9) == 3).all()  # the upper half of the vocabulary are values


def test_bits_of_a_sorted_target_are_those_of_the_multiset() -> None:
    examples = generate("sort", 3, 4, 4, count=60, seed=0, split="train")
    assert examples.target_bits is not None
    for (source, _), bits in zip(pairs(examples), examples.target_bits, strict=True):
        orders = math.factorial(4) / math.prod(math.factorial(count) for count in Counter(source).values())
        assert 2**-bits == pytest.approx(orders / 3**4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "revers"}, r"data\.task: 'revers' is unknown; did you mean 'reverse'\?"),
        ({"vocabulary": 1}, r"data\.vocabulary: 1 is too small; copy at length 9 needs at least 2"),
        ({"max_length": 0, "min_length": 0}, r"data\.length: 0 is too short; copy needs at least 1"),
        ({"min_length": 10}, r"data\.min_length: 10 must lie between 1 and data\.length, which is 9"),
        ({"min_length": 0}, r"data\.min_length: 0 must lie between 1"),
        ({"task": "associative-recall", "max_length": 21}, r"data\.vocabulary: 16 is too small; .* at least 20"),
        ({"vocabulary": 2, "max_length": 1, "min_length": 1}, r"data\.vocabulary: .* too few distinct examples"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(change: dict, message: str) -> None:
    parameters = {"task": "copy", "vocabulary": 16, "min_length": 9, "max_length": 9, **change}
    if "min_length" not in change and parameters["max_length"] > 9:
        parameters["min_length"] = 3
    with pytest.raises(ValueError, match=message) as caught:
        generate(**parameters, count=10, seed=0, split="test")
    assert "\n" not in str(caught.value)
