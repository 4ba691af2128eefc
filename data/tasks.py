"""Synthetic tasks whose difficulty is known exactly.

A task is a pure function of its parameters, a seed, a split and a number of examples. The random numbers come
from the counter-based generator Philox (Salmon et al. 2011) keyed by seed and split, used as raw 64-bit words
and turned into symbols by integer arithmetic alone: the same on every machine and with every version of NumPy.

Train, validation and test never share an example: every source sequence belongs to exactly one split, decided
by a hash of its content, and each split keeps only what belongs to it.

Shapes: N examples, S longest source, T longest target (no BOS or EOS here). Symbols are 0 … vocabulary-1;
`Examples` holds them shifted to token ids, padded with PAD.
"""

import difflib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data.batch import FIRST_TOKEN, PAD

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Parallel sequences as padded arrays.

    Attributes:
        source: (N, S) token ids.
        source_lengths: (N,) tokens in each source.
        target: (N, T) token ids, without BOS and EOS.
        target_lengths: (N,) tokens in each target.
        alignment: (N, T) gold source position of each target token, -1 behind the end; or None.
        target_bits: (N,) -log2 of each target's probability under the task; or None where it is not known.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    target: np.ndarray
    target_lengths: np.ndarray
    alignment: np.ndarray | None
    target_bits: np.ndarray | None


@dataclass(frozen=True)
class Target:
    """What a task asks for: symbols (N, T), -1 behind the end; positions (N, T) or None; bits (N,)."""

    symbols: np.ndarray
    positions: np.ndarray | None
    bits: np.ndarray


def _copy(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the source: `3 1 4 1` asks for `3 1 4 1`."""
    positions = np.arange(symbols.shape[1])[None, :].repeat(len(symbols), axis=0)
    positions = np.where(positions < lengths[:, None], positions, -1)
    return Target(symbols, positions, lengths * math.log2(vocabulary))


def _reverse(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the source backwards: `3 1 4 1` asks for `1 4 1 3`."""
    positions = lengths[:, None] - 1 - np.arange(symbols.shape[1])[None, :]
    positions = np.maximum(positions, -1)
    return Target(_gather(symbols, positions), positions, lengths * math.log2(vocabulary))


def _sort(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Put the symbols in ascending order: `3 1 4 1` asks for `1 1 3 4`.

    The bits are those of the multiset: length x log2(vocabulary) less log2 of the number of orders it has.
    """
    behind_all = np.where(symbols < 0, vocabulary, symbols)
    ordered = np.sort(behind_all, axis=1)
    counts = np.zeros((len(symbols), vocabulary + 1), dtype=np.int64)
    np.add.at(counts, (np.arange(len(symbols))[:, None], behind_all), 1)
    log2_factorial = np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, symbols.shape[1] + 1)))])
    orders = log2_factorial[lengths] - log2_factorial[counts[:, :vocabulary]].sum(axis=1)
    return Target(np.where(ordered == vocabulary, -1, ordered), None, lengths * math.log2(vocabulary) - orders)


def _first_token_recall(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Name the first symbol after reading all of them: `3 1 4 1` asks for `3`. The lag is length - 1."""
    positions = np.zeros((len(symbols), 1), dtype=np.int64)
    return Target(symbols[:, :1], positions, np.full(len(symbols), math.log2(vocabulary)))


def _associative_recall(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Name the value that stood behind a key: `1 7 0 5 2 6 0` asks for `5`.

    The lower half of the vocabulary are keys, the upper half values. Pairs of a key and a value, no key twice,
    are followed by one of the keys as the question (Graves et al. 2014; Ba et al. 2016). An even length begins
    with one value that belongs to no key.
    """
    last = lengths - 1
    rows = np.arange(len(symbols))
    question = symbols[rows, last]
    lead = (1 - lengths % 2)[:, None]
    columns = np.arange(symbols.shape[1])[None, :]
    is_key = ((columns - lead) % 2 == 0) & (columns >= lead) & (columns < last[:, None])
    asked = (is_key & (symbols == question[:, None])).argmax(axis=1)
    positions = (asked + 1)[:, None]
    values = vocabulary - vocabulary // 2
    return Target(_gather(symbols, positions), positions, np.full(len(symbols), math.log2(values)))


def _random_symbols(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) independent uniform symbols, -1 behind the end."""
    symbols = uniform(words, vocabulary)
    return np.where(np.arange(words.shape[1])[None, :] < lengths[:, None], symbols, -1)


def _random_pairs(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) sources of associative recall: distinct keys, any values, one of the keys last."""
    count, width = words.shape
    keys = vocabulary // 2
    rows = np.arange(count)
    values = keys + uniform(words, vocabulary - keys)
    # A random order of the keys, drawn from words of their own: distinct by construction.
    sort_keys = _mix(words[:, :1] + np.arange(1, keys + 1, dtype=np.uint64)[None, :] * _GOLDEN)
    order = np.argsort(sort_keys, axis=1, kind="stable")
    lead = (1 - lengths % 2)[:, None]
    columns = np.arange(width)[None, :]
    is_key = (columns - lead) % 2 == 0
    pair = np.clip((columns - lead) // 2, 0, keys - 1)
    symbols = np.where(is_key, np.take_along_axis(order, pair, axis=1), values)
    symbols = np.where(columns < lead, values, symbols)
    pairs = (lengths - 1) // 2
    asked = (words[rows, lengths - 1] >> np.uint64(32)).astype(np.int64) * pairs >> 32
    symbols[rows, lengths - 1] = order[rows, asked]
    return np.where(columns < lengths[:, None], symbols, -1)


@dataclass(frozen=True)
class Task:
    """How sources are drawn and what they ask for; the least length and vocabulary that make sense.

    `outputs` says how many tokens a target has: as many as its source (each), one, or some other number.
    """

    draw: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    target: Callable[[np.ndarray, np.ndarray, int], Target]
    outputs: Literal["each", "one", "other"]
    least_length: int = 1
    least_vocabulary: Callable[[int], int] = lambda length: 2


TASKS: dict[str, Task] = {
    "copy": Task(_random_symbols, _copy, "each"),
    "reverse": Task(_random_symbols, _reverse, "each"),
    "sort": Task(_random_symbols, _sort, "each"),
    "first-token-recall": Task(_random_symbols, _first_token_recall, "one"),
    "associative-recall": Task(_random_pairs, _associative_recall, "one", 3, lambda length: max(4, length - 1)),
}


def check_parameters(task: str, vocabulary: int, min_length: int, max_length: int) -> None:
    """Refuse what cannot be generated.

    Raises:
        ValueError: in one line that names the option and the way out.
    """
    if task not in TASKS:
        near = difflib.get_close_matches(task, TASKS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"data.task: '{task}' is unknown; {hint}The tasks are {', '.join(TASKS)}")
    least = TASKS[task].least_length
    if max_length < least:
        raise ValueError(f"data.length: {max_length} is too short; {task} needs at least {least}")
    if not least <= min_length <= max_length:
        raise ValueError(
            f"data.min_length: {min_length} must lie between {least} and data.length, which is {max_length}"
        )
    needed = TASKS[task].least_vocabulary(max_length)
    if vocabulary < needed:
        raise ValueError(
            f"data.vocabulary: {vocabulary} is too small; {task} at length {max_length} needs at least {needed}"
        )


LEAST_TESTED = 4  # shorter sources are so few that a split has not enough of them


def lengths_to_test(task: str, vocabulary: int, min_length: int, max_length: int) -> list[int]:
    """Where a model is tested that has trained on sources of min_length to max_length tokens.

        >>> lengths_to_test("copy", 32, 1, 40)
        [5, 10, 20, 30, 40, 50, 60, 80]
        >>> lengths_to_test("copy", 32, 40, 40)
        [40]

    Returns:
        An eighth, a quarter, a half, three quarters and the whole of max_length, and up to twice as much, ascending,
        as far as the task has such sources. max_length alone where training has no shorter ones.
    """
    if min_length == max_length:
        return [max_length]
    least = max(LEAST_TESTED, min_length, TASKS[task].least_length)
    spread = {round(max_length * share) for share in (1 / 8, 1 / 4, 1 / 2, 3 / 4, 5 / 4, 3 / 2, 2)}
    possible = {length for length in spread if length >= least and TASKS[task].least_vocabulary(length) <= vocabulary}
    return sorted({max_length} | possible)


def generate(
    task: str, vocabulary: int, min_length: int, max_length: int, count: int, seed: int, split: str
) -> Examples:
    """Draw the first `count` examples of a split.

    Lengths are uniform over min_length … max_length. More examples of the same split begin with the same ones.

        >>> examples = generate("reverse", 10, 4, 4, count=1, seed=0, split="train")
        >>> bool((examples.source[0, ::-1] == examples.target[0]).all())
        True

    Raises:
        ValueError: parameters that make no task (see check_parameters), or a task so small that a split of its
            own cannot be filled.
    """
    check_parameters(task, vocabulary, min_length, max_length)

    def draw(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = min_length + uniform(words[:, 0], max_length - min_length + 1)
        return TASKS[task].draw(words[:, 1 : 1 + max_length], lengths, vocabulary), lengths

    too_few = ValueError(
        f"data.vocabulary: {task} with vocabulary {vocabulary} and length {min_length} to {max_length} has "
        f"too few distinct examples for three disjoint splits; raise data.vocabulary or data.length"
    )
    blocks = list(candidates_of_split(draw, 1 + max_length, count, seed, split, too_few))
    symbols, lengths = (np.concatenate(arrays)[:count] for arrays in zip(*blocks, strict=True))
    return _as_examples(symbols, lengths, TASKS[task].target(symbols, lengths, vocabulary))


def _as_examples(symbols: np.ndarray, lengths: np.ndarray, target: Target) -> Examples:
    """Symbols become token ids, -1 becomes PAD."""
    return Examples(
        source=np.where(symbols < 0, PAD, symbols + FIRST_TOKEN),
        source_lengths=lengths,
        target=np.where(target.symbols < 0, PAD, target.symbols + FIRST_TOKEN),
        target_lengths=(target.symbols >= 0).sum(axis=1),
        alignment=target.positions,
        target_bits=target.bits,
    )


def candidates_of_split(
    draw: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    words_each: int,
    count: int,
    seed: int,
    split: str,
    too_few: ValueError,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw candidates block by block, and keep those that belong to the split, until there are `count` or more.

    Args:
        draw: makes two arrays with N rows from (N, W) random words. The first, -1 behind the end of a row, decides
            by its content which split a row belongs to.
        words_each: random words that a candidate needs.
        count: number of candidates wanted.
        seed: what the words are drawn from, together with the split.
        split: train, validation or test.
        too_few: raised where next to no candidate belongs to the split.

    Yields:
        The rows of both arrays that belong to the split.
    """
    number = SPLITS.index(split)
    # Each candidate owns a fixed stretch of the generator's counter. Philox yields four words a counter.
    counters_each = -(-words_each // 4)
    # One candidate in eight belongs to validation or test: far more refusals than that mean too small a space.
    limit = 64 * count + 4096
    kept, begin = 0, 0
    while kept < count:
        if begin >= limit:
            raise too_few
        block = min(max(1024, 2 * (count - kept)), 65536)
        stream = np.random.Philox(key=np.array([seed, number], dtype=np.uint64), counter=begin * counters_each)
        first, second = draw(stream.random_raw(4 * block * counters_each).reshape(block, 4 * counters_each))
        of_split = split_of(first) == number
        yield first[of_split], second[of_split]
        kept += int(of_split.sum())
        begin += block


def uniform(words: np.ndarray, size: int) -> np.ndarray:
    """Integers 0 … size-1 from random words, by multiplication (Lemire 2019); the bias is below size / 2^32."""
    return ((words >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)).astype(np.int64)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(words: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): every input bit reaches every output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def split_of(symbols: np.ndarray) -> np.ndarray:
    """(N,) index into SPLITS of each source: 6 in 8 train, 1 in 8 validation, 1 in 8 test.

    The hash sums a mixed word for each (position, symbol) pair, so padding does not enter it.
    """
    columns = np.arange(1, symbols.shape[1] + 1, dtype=np.uint64)[None, :]
    words = _mix((symbols + 1).astype(np.uint64) * _GOLDEN + _mix(columns))
    total = np.where(symbols < 0, np.uint64(0), words).sum(axis=1, dtype=np.uint64)
    eighth = _mix(total) >> np.uint64(61)
    return np.where(eighth == 0, 2, np.where(eighth == 1, 1, 0))


def _gather(symbols: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(N, T) symbols at the given positions, -1 where the position is -1."""
    gathered = np.take_along_axis(symbols, np.maximum(positions, 0), axis=1)
    return np.where(positions < 0, -1, gathered)
