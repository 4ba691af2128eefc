"""Synthetic tasks whose difficulty is known exactly, on symbols without a meaning or in words.

A task is a pure function of its parameters, a seed, a split and a number of examples. The random numbers come
from the counter-based generator Philox (Salmon et al. 2011) keyed by seed and split, used as raw 64-bit words
and turned into symbols by integer arithmetic alone: the same on every machine and with every version of NumPy.

Train, validation and test never share an example: every source sequence belongs to exactly one split, decided
by a hash of its content, and each split keeps only what belongs to it.

Shapes: N examples, S longest source, T longest target (no BOS or EOS here). Symbols are 0 … vocabulary-1;
`Examples` holds them shifted to token ids, padded with PAD.
"""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from data import symbol_tasks
from data.batch import FIRST_TOKEN, PAD
from data.language import coreference, negation, tagging, word_sense
from data.language.sentences import Sentences
from data.symbol_tasks import GOLDEN, mix, uniform

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
class Task:
    """How sources are drawn, what they ask for, and what is known of that.

    Attributes:
        draw: sources, as in symbol_tasks.py.
        target: what they ask for.
        outputs: how many tokens a target has: as many as its source (each), one, or some other number.
        chance: accuracy of the best guess that knows (vocabulary, length) and the position, but not the source.
        alphabet: how many symbols the task has; None for as many as data.vocabulary says.
        least_length: of what makes sense.
        least_vocabulary: at a length.
        longest_source: the most tokens of a source at a length.
        longest_target: the most tokens of a target at a length.
        words: what the symbols stand for, by symbol; none where they stand for nothing.
        answers: symbols of which the last in a target is the one that is scored; none where all are.
    """

    draw: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    target: Callable[[np.ndarray, np.ndarray, int], symbol_tasks.Target]
    outputs: Literal["each", "one", "other"]
    chance: Callable[[int, int], float] = lambda vocabulary, length: 1 / vocabulary
    alphabet: int | None = None
    least_length: int = 1
    least_vocabulary: Callable[[int], int] = lambda length: 2
    longest_source: Callable[[int], int] = lambda length: length
    longest_target: Callable[[int], int] = lambda length: length
    words: tuple[str, ...] = ()
    answers: tuple[int, ...] = ()


def _chance_of_sort(vocabulary: int, length: int) -> float:
    """Guessing the likeliest symbol at each place of a sorted string."""
    at_most = np.arange(1, vocabulary) / vocabulary  # probability that a symbol is at most 0, 1, …
    counts, factorials = np.arange(length + 1)[:, None], symbol_tasks.log2_factorial(length)
    orders = (factorials[length] - factorials - factorials[::-1])[:, None]
    exactly = 2 ** (orders + counts * np.log2(at_most) + (length - counts) * np.log2(1 - at_most))
    reached = exactly[::-1].cumsum(axis=0)[::-1][1:]  # (place, symbol): that the symbol there is at most this one
    edge = np.zeros((length, 1))
    return float(np.diff(np.hstack([edge, reached, edge + 1]), axis=1).max(axis=1).mean())


def _chance_of_depth(vocabulary: int, length: int) -> float:
    """Guessing the likeliest depth behind each bracket."""
    depths, likeliest = np.eye(vocabulary)[0], []
    for _ in range(length):
        opened, closed = depths / 2, depths / 2
        opened[0], opened[-1], closed[0], closed[-1] = depths[0], 0, 0, depths[-1]
        depths = np.append(0, opened[:-1]) + np.append(closed[1:], 0)
        likeliest.append(depths.max())
    return float(np.mean(likeliest))


def _likeliest(probability: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[int, int], float]:
    """The chance of a task with one of five answers, from the probability of each at a length."""
    return lambda vocabulary, length: float(probability(np.full(5, length), np.arange(5)).max())


def _chance_of_queries(vocabulary: int, length: int) -> float:
    """Keys and values take turns in a target of mqar, and one symbol is the blank."""
    keys = (vocabulary - 1) // 2
    return (1 / keys + 1 / (vocabulary - 1 - keys)) / 2


def _in_words(sentences: Sentences, outputs: Literal["each", "one", "other"], chance: float) -> Task:
    """A task in words, whose length is the distance between two of them."""
    longest = lambda length: length + sentences.around  # noqa: E731
    return Task(
        sentences.draw,
        sentences.target,
        outputs,
        lambda vocabulary, length: chance,
        alphabet=len(sentences.words),
        least_length=sentences.least_distance,
        longest_source=longest,
        longest_target=longest,
        words=sentences.words,
        answers=tuple(sentences.symbols[word] for word in sentences.answers),
    )


_any, _one_of_two = symbol_tasks.random_symbols, lambda vocabulary, length: 0.5
TASKS: dict[str, Task] = {
    "copy": Task(_any, symbol_tasks.copy, "each"),
    "reverse": Task(_any, symbol_tasks.reverse, "each"),
    "sort": Task(_any, symbol_tasks.sort, "each", _chance_of_sort),
    "first-token-recall": Task(_any, symbol_tasks.first_token_recall, "one"),
    "associative-recall": Task(
        symbol_tasks.random_pairs,
        symbol_tasks.associative_recall,
        "one",
        lambda vocabulary, length: 1 / (vocabulary - vocabulary // 2),
        least_length=3,
        least_vocabulary=lambda length: max(4, length - 1),
    ),
    "parity": Task(_any, symbol_tasks.parity, "one", _one_of_two, alphabet=2),
    "even-pairs": Task(
        _any, symbol_tasks.even_pairs, "one", lambda vocabulary, length: 0.5 if length > 1 else 1.0, alphabet=2
    ),
    "cycle-navigation": Task(
        symbol_tasks.random_steps,
        symbol_tasks.cycle_navigation,
        "one",
        _likeliest(symbol_tasks.probability_on_cycle),
        alphabet=symbol_tasks.CYCLE,
    ),
    "modular-arithmetic": Task(
        symbol_tasks.random_expressions,
        symbol_tasks.modular_arithmetic,
        "one",
        _likeliest(symbol_tasks.probability_of_value),
        alphabet=symbol_tasks.TIMES + 1,
    ),
    "duplicate": Task(_any, symbol_tasks.duplicate, "other", longest_target=lambda length: 2 * length),
    "odds-first": Task(_any, symbol_tasks.odds_first, "each"),
    "missing-duplicate": Task(
        symbol_tasks.random_holes,
        symbol_tasks.missing_duplicate,
        "one",
        _one_of_two,
        alphabet=symbol_tasks.FILLER + 1,
        least_length=2,
    ),
    "bucket-sort": Task(_any, symbol_tasks.sort, "each", _chance_of_sort, alphabet=5),
    "selective-copy": Task(
        symbol_tasks.random_scattered,
        symbol_tasks.selective_copy,
        "other",
        lambda vocabulary, length: 1 / (vocabulary - 1),
        least_vocabulary=lambda length: 3,
    ),
    "mqar": Task(
        symbol_tasks.random_queries,
        symbol_tasks.multi_query_recall,
        "other",
        _chance_of_queries,
        least_length=6,
        least_vocabulary=lambda length: max(5, 2 * int(symbol_tasks.pairs(np.array(length))) + 1),
    ),
    "induction": Task(symbol_tasks.random_repeated, symbol_tasks.induction, "one", least_length=3),
    "suffix-lookup": Task(
        symbol_tasks.random_suffixes, symbol_tasks.suffix_lookup, "other", least_length=3 * symbol_tasks.GRAM
    ),
    "unroll": Task(symbol_tasks.random_seeds, symbol_tasks.unroll, "other", least_vocabulary=lambda length: 8),
    "running-parity": Task(_any, symbol_tasks.running_parity, "each", _one_of_two, alphabet=2),
    "bracket-depth": Task(
        symbol_tasks.random_brackets,
        symbol_tasks.bracket_depth,
        "each",
        _chance_of_depth,
        least_vocabulary=lambda length: 3,
    ),
    "coreference": _in_words(coreference.SENTENCES, "other", 1 / 3),
    "word-sense": _in_words(word_sense.SENTENCES, "other", 1 / 2),
    "negation": _in_words(negation.SENTENCES, "one", 1 / 2),
    "tagging": _in_words(tagging.SENTENCES, "each", 1 / 2),
}


IN_WORDS = tuple(name for name, task in TASKS.items() if task.words)


def alphabet(task: str, vocabulary: int) -> int:
    """How many symbols a task has: its own number, or as many as data.vocabulary says."""
    return TASKS[task].alphabet or vocabulary


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
    if alphabet(task, vocabulary) < needed:
        raise ValueError(
            f"data.vocabulary: {vocabulary} is too small; {task} at length {max_length} needs at least {needed}"
        )


LEAST_TESTED = 4
ENOUGH_SOURCES = 64  # of one length: a split for testing has eight of them or so


def lengths_to_test(task: str, vocabulary: int, min_length: int, max_length: int) -> list[int]:
    """Where a model is tested that has trained on lengths of min_length to max_length tokens.

        >>> lengths_to_test("copy", 32, 1, 40)
        [5, 10, 20, 30, 40, 50, 60, 80]
        >>> lengths_to_test("copy", 32, 40, 40)
        [40]
        >>> lengths_to_test("parity", 2, 1, 40)
        [10, 20, 30, 40, 50, 60, 80]

    Returns:
        An eighth, a quarter, a half, three quarters and the whole of max_length, and up to twice as much, ascending,
        as far as the task has such sources, and enough of them for a test. max_length alone where training has no
        shorter ones.
    """
    if min_length == max_length:
        return [max_length]
    known = TASKS[task]
    least = max(LEAST_TESTED, min_length, known.least_length)
    spread = {round(max_length * share) for share in (1 / 8, 1 / 4, 1 / 2, 3 / 4, 5 / 4, 3 / 2, 2)}
    possible = {
        length
        for length in spread
        if length >= least
        and known.least_vocabulary(length) <= alphabet(task, vocabulary)
        and has_enough_sources(task, vocabulary, length)
    }
    return sorted({max_length} | possible)


@cache
def has_enough_sources(task: str, vocabulary: int, length: int) -> bool:
    """Whether there are enough sources of a length to test on, as seen in a sample of them."""
    length = min(length, 40)  # longer ones are no fewer
    sample = np.random.Philox(key=np.zeros(2, dtype=np.uint64)).random_raw(16 * ENOUGH_SOURCES * length)
    words, lengths = sample.reshape(-1, length), np.full(16 * ENOUGH_SOURCES, length)
    sources = TASKS[task].draw(words, lengths, alphabet(task, vocabulary))
    return len(np.unique(sources, axis=0)) >= ENOUGH_SOURCES


def generate(
    task: str, vocabulary: int, min_length: int, max_length: int, count: int, seed: int, split: str
) -> Examples:
    """Draw the first `count` examples of a split.

    Lengths are uniform over min_length … max_length; where a length has few sources, a split has those that its hash
    leaves, again and again. More examples of the same split begin with the same ones.

        >>> examples = generate("reverse", 10, 4, 4, count=1, seed=0, split="train")
        >>> bool((examples.source[0, ::-1] == examples.target[0]).all())
        True

    Raises:
        ValueError: parameters that make no task (see check_parameters), or a task so small that a split of its
            own cannot be filled.
    """
    check_parameters(task, vocabulary, min_length, max_length)
    vocabulary = alphabet(task, vocabulary)

    def draw(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = min_length + uniform(words[:, 0], max_length - min_length + 1)
        return TASKS[task].draw(words[:, 1 : 1 + max_length], lengths, vocabulary), lengths

    option = "" if TASKS[task].alphabet else "data.vocabulary or "
    too_few = ValueError(
        f"{option.split()[0] if option else 'data.length'}: {task} with vocabulary {vocabulary} and length "
        f"{min_length} to {max_length} has too few distinct examples for three disjoint splits; raise "
        f"{option}data.length"
    )
    blocks = list(candidates_of_split(draw, 1 + max_length, count, seed, split, too_few))
    symbols, lengths = (np.concatenate(arrays)[:count] for arrays in zip(*blocks, strict=True))
    return _as_examples(symbols, TASKS[task].target(symbols, lengths, vocabulary))


def _as_examples(symbols: np.ndarray, target: symbol_tasks.Target) -> Examples:
    """Symbols become token ids, -1 becomes PAD."""
    return Examples(
        source=np.where(symbols < 0, PAD, symbols + FIRST_TOKEN),
        source_lengths=(symbols >= 0).sum(axis=1),
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


def split_of(symbols: np.ndarray) -> np.ndarray:
    """(N,) index into SPLITS of each source: 6 in 8 train, 1 in 8 validation, 1 in 8 test.

    The hash sums a mixed word for each (position, symbol) pair, so padding does not enter it.
    """
    columns = np.arange(1, symbols.shape[1] + 1, dtype=np.uint64)[None, :]
    words = mix((symbols + 1).astype(np.uint64) * GOLDEN + mix(columns))
    total = np.where(symbols < 0, np.uint64(0), words).sum(axis=1, dtype=np.uint64)
    eighth = mix(total) >> np.uint64(61)
    return np.where(eighth == 0, 2, np.where(eighth == 1, 1, 0))
