"""Synthetic tasks: what they ask for, what they carry, and that splits never meet."""

import hashlib
import inspect
import re
from collections import Counter
from itertools import accumulate, pairwise

import numpy as np
import pytest

from data.batch import FIRST_TOKEN, PAD
from data.symbol_tasks import Target
from data.tasks import IN_WORDS, SPLITS, TASKS, Examples, alphabet, generate, lengths_to_test

ON_SYMBOLS = [task for task in TASKS if task not in IN_WORDS]


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


def some(task: str, count: int = 300, seed: int = 0, split: str = "train", vocabulary: int = 16) -> Examples:
    """Examples of several short lengths."""
    least = max(3, TASKS[task].least_length)
    return generate(task, vocabulary, least, 60 if task == "mqar" else least + 6, count, seed, split)


def recall(source: list[int]) -> list[int]:
    begin = 1 - len(source) % 2
    stored = dict(zip(source[begin:-1:2], source[begin + 1 : -1 : 2], strict=True))
    return [stored[source[-1]]]


def queries(source: list[int]) -> list[int]:
    stored, answers, place = {}, [], 0
    while place < len(source):
        symbol = source[place]
        if symbol in stored:
            answers += [symbol, stored[symbol]]
        elif symbol != 15:
            place += 1
            stored[symbol] = source[place]
        place += 1
    return answers


def expression(source: list[int]) -> list[int]:
    return [eval("".join("01234+-*"[symbol] for symbol in source)) % 5]


def hole(source: list[int]) -> list[int]:
    half = len(source) // 2
    once, again = source[:half], source[half : 2 * half]
    return [max(pair) if 2 not in pair else min(pair) for pair in zip(once, again, strict=True) if 2 in pair]


def induce(source: list[int]) -> list[int]:
    before = max(place for place in range(len(source) - 1) if source[place] == source[-1])
    return [source[before + 1]]


def look_up(source: list[int]) -> list[int]:
    string, suffix = source[:-3], source[-3:]
    begin = max(place for place in range(len(string) - 5) if string[place : place + 3] == suffix)
    return string[begin + 3 : begin + 6]


def count_on(source: list[int]) -> list[int]:
    first, step, *digits = source
    length = sum(digit * 16**place for place, digit in enumerate(reversed(digits)))
    return [(first + step * place) % 16 for place in range(length)]


ALIGNED = (
    "copy", "reverse", "first-token-recall", "associative-recall", "duplicate", "odds-first", "missing-duplicate",
    "selective-copy", "mqar", "induction", "suffix-lookup",
)  # fmt: skip
ANSWERS = {
    "copy": lambda source: source,
    "reverse": lambda source: source[::-1],
    "sort": sorted,
    "first-token-recall": lambda source: source[:1],
    "associative-recall": recall,
    "parity": lambda source: [source.count(1) % 2],
    "even-pairs": lambda source: [sum(one != other for one, other in pairwise(source)) % 2],
    "cycle-navigation": lambda source: [sum({0: 0, 1: 1, 4: -1}[step] for step in source) % 5],
    "modular-arithmetic": expression,
    "duplicate": lambda source: source + source,
    "odds-first": lambda source: source[::2] + source[1::2],
    "missing-duplicate": hole,
    "bucket-sort": sorted,
    "selective-copy": lambda source: [symbol for symbol in source if symbol != 15],
    "mqar": queries,
    "induction": induce,
    "suffix-lookup": look_up,
    "unroll": count_on,
    "running-parity": lambda source: [source[: end + 1].count(1) % 2 for end in range(len(source))],
    "bracket-depth": lambda source: list(accumulate(1 - 2 * symbol for symbol in source)),
}


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_targets_answer_their_sources(task: str) -> None:
    for source, target in pairs(some(task)):
        assert target == list(ANSWERS[task](source))


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_examples_of_documentation_hold(task: str) -> None:
    """A docstring has sources and what they ask for, alternately."""
    lists = re.findall(r"`(\d[\d ]*)`", inspect.getdoc(TASKS[task].target) or "")
    examples = [list(map(int, numbers.split())) for numbers in lists]
    assert examples
    for source, target in zip(examples[::2], examples[1::2], strict=True):
        length = len(target if task == "unroll" else source)
        asked = TASKS[task].target(np.array([source]), np.array([length]), alphabet(task, 10))
        assert asked.symbols.tolist() == [target]


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_lengths_fill_their_range_and_padding_stands_behind(task: str) -> None:
    examples = some(task, 500)
    lengths = examples.target_lengths if task == "unroll" else examples.source_lengths
    assert set(lengths) == set(range(lengths.min(), lengths.max() + 1))
    assert max(examples.target_lengths) <= TASKS[task].longest_target(max(lengths))
    for rows, ends in ((examples.source, examples.source_lengths), (examples.target, examples.target_lengths)):
        assert ((rows == PAD) == (np.arange(rows.shape[1]) >= ends[:, None])).all()
        assert rows.max() < FIRST_TOKEN + alphabet(task, 16)


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_a_task_says_how_many_outputs_it_has(task: str) -> None:
    examples = some(task)
    as_many = bool((examples.target_lengths == examples.source_lengths).all())
    one = bool((examples.target_lengths == 1).all())
    assert TASKS[task].outputs == ("each" if as_many else "one" if one else "other")


@pytest.mark.parametrize("task", ALIGNED)
def test_gold_alignment_points_at_the_source_of_each_target_token(task: str) -> None:
    examples = some(task)
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


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_splits_share_no_example_whatever_the_seed(task: str) -> None:
    seen: dict[str, set] = {}
    for split in SPLITS:
        sources = [tuple(source) for seed in (0, 1) for source, _ in pairs(some(task, 150, seed, split, vocabulary=8))]
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


DIGESTS = {
    "copy": "aaf1092e365bd48c",
    "reverse": "dcc01764d32be7c7",
    "sort": "d5bca4a9e9063dfc",
    "first-token-recall": "6066a81181f7daa8",
    "associative-recall": "54acbb5e36c53906",
    "parity": "677f1381881769e5",
    "even-pairs": "ae00e64f2e151579",
    "cycle-navigation": "c75af2387fa7cc05",
    "modular-arithmetic": "29cdbd6e05c86689",
    "duplicate": "3d85b719507e15df",
    "odds-first": "1d4efc466ccc806c",
    "missing-duplicate": "16c3270406c64b8b",
    "bucket-sort": "44e29f45b13b0837",
    "selective-copy": "a3cf627ba59837cf",
    "mqar": "7c75f930547300b0",
    "induction": "930e579816afc58c",
    "suffix-lookup": "ce01c760f48e8c22",
    "unroll": "fc9c381057ce1307",
    "running-parity": "a01844409f432ce7",
    "bracket-depth": "f956058c336b6dca",
}


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_the_numbers_are_the_same_on_every_machine(task: str) -> None:
    """A change here makes every published result incomparable with new ones."""
    digest = hashlib.sha256()
    for split in SPLITS:
        examples = some(task, 100, seed=7, split=split)
        for array in (examples.source, examples.source_lengths, examples.target, examples.target_lengths):
            digest.update(array.astype("<i8").tobytes())
        if examples.alignment is not None:
            digest.update(examples.alignment.astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[task]


def test_symbols_are_uniform() -> None:
    examples = generate("copy", 8, 10, 10, count=5000, seed=0, split="train")
    counts = np.bincount(examples.source.ravel() - FIRST_TOKEN, minlength=8)
    expected = 50_000 / 8
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 24.3  # the 99.9% quantile with 7 degrees of freedom


def sample(task: str, vocabulary: int, length: int, count: int) -> tuple[np.ndarray, Target]:
    """Sources of one length and their targets, of all splits."""
    vocabulary, lengths = alphabet(task, vocabulary), np.full(count, length)
    words = np.random.Philox(key=np.array([5, 0], dtype=np.uint64)).random_raw(count * length).reshape(count, length)
    sources = TASKS[task].draw(words, lengths, vocabulary)
    return sources, TASKS[task].target(sources, lengths, vocabulary)


TINY = {"associative-recall": (5, 5), "mqar": (6, 8), "induction": (3, 5), "unroll": (8, 3), "bracket-depth": (4, 6)}


@pytest.mark.parametrize("task", [task for task in ON_SYMBOLS if task != "suffix-lookup"])
@pytest.mark.parametrize("longer", [0, 1])
def test_bits_are_the_logarithm_of_the_probability_of_the_target(task: str, longer: int) -> None:
    vocabulary, length = TINY.get(task, (3, 4))
    _, target = sample(task, vocabulary, length + longer, count := 20_000)
    assert target.bits is not None
    symbols, first, counts = np.unique(target.symbols, axis=0, return_index=True, return_counts=True)
    probabilities = 2.0 ** -target.bits[first]
    assert probabilities.sum() == pytest.approx(1)  # every target there is has been drawn
    errors = np.sqrt(probabilities * (1 - probabilities) / count)
    assert (np.abs(counts / count - probabilities) <= 5 * errors).all(), symbols


@pytest.mark.parametrize("task", ON_SYMBOLS)
@pytest.mark.parametrize("length", [1, 2, 9, 40])
def test_chance_is_the_share_of_the_commonest_answer_at_each_position(task: str, length: int) -> None:
    length = max(length, TASKS[task].least_length)
    vocabulary = max(8, TASKS[task].least_vocabulary(length))
    _, target = sample(task, vocabulary, length, count := 20_000)
    shares = [np.bincount(column).max() / count for column in target.symbols.T]
    assert np.mean(shares) == pytest.approx(TASKS[task].chance(alphabet(task, vocabulary), length), abs=0.012)


@pytest.mark.parametrize("task", ON_SYMBOLS)
def test_the_longest_lengths_of_the_literature_can_be_drawn(task: str) -> None:
    vocabulary = max(64, TASKS[task].least_vocabulary(500))
    sources, target = sample(task, vocabulary, 500, 3)
    assert sources.min() >= 0
    assert target.symbols.min() >= 0
    assert 0 < TASKS[task].chance(alphabet(task, vocabulary), 500) < 1


def test_lengths_of_few_sources_are_not_tested() -> None:
    assert lengths_to_test("parity", 2, 1, 40) == [10, 20, 30, 40, 50, 60, 80]
    assert lengths_to_test("mqar", 32, 1, 40) == [10, 20, 30, 40, 50, 60, 80]
    assert lengths_to_test("unroll", 32, 1, 40) == [5, 10, 20, 30, 40, 50, 60, 80]
    assert lengths_to_test("copy", 32, 1, 32) == [4, 8, 16, 24, 32, 40, 48, 64]


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
