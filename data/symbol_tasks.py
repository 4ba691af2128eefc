"""What the synthetic tasks ask for: their sources, their targets, and what guessing gets. tasks.py lists them.

A source is drawn by a function (words, lengths, vocabulary) -> symbols (N, S) from random 64-bit words (N, W), one for
each token of the longest length, and integer arithmetic alone. A target follows from its source, by a function
(symbols, lengths, vocabulary) -> Target. The examples below are sources of symbols and what they ask for.

Shapes: N examples, S longest source, T longest target. `lengths` (N,) is the length that is swept, which is that of
the source but for `unroll`. Symbols are 0 … vocabulary-1, and -1 behind the end.
"""

import math
from dataclasses import dataclass

import numpy as np

CYCLE = 5  # positions of cycle navigation
MODULUS = 5  # of modular arithmetic
PLUS, MINUS, TIMES = range(MODULUS, MODULUS + 3)
HOLE, FILLER = 2, 3  # of missing duplicate, beside two symbols
GRAM = 3  # symbols of suffix look-up that are given, and that are asked for

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Target:
    """What a task asks for: symbols (N, T), -1 behind the end; positions (N, T) or None; bits (N,) or None."""

    symbols: np.ndarray
    positions: np.ndarray | None
    bits: np.ndarray | None


def uniform(words: np.ndarray, size: int | np.ndarray) -> np.ndarray:
    """Integers 0 … size-1 from random words, by multiplication (Lemire 2019); the bias is below size / 2^32."""
    return ((words >> np.uint64(32)) * np.asarray(size, dtype=np.uint64) >> np.uint64(32)).astype(np.int64)


def mix(words: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): every input bit reaches every output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def random_symbols(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) independent uniform symbols."""
    return np.where(_columns(words) < lengths[:, None], uniform(words, vocabulary), -1)


def copy(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the source: `3 1 4 1` asks for `3 1 4 1`."""
    positions = _columns(symbols).repeat(len(symbols), axis=0)
    positions = np.where(positions < lengths[:, None], positions, -1)
    return Target(symbols, positions, lengths * math.log2(vocabulary))


def reverse(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the source backwards: `3 1 4 1` asks for `1 4 1 3`."""
    positions = np.maximum(lengths[:, None] - 1 - _columns(symbols), -1)
    return Target(_gather(symbols, positions), positions, lengths * math.log2(vocabulary))


def duplicate(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the source twice: `3 1 4` asks for `3 1 4 3 1 4`."""
    places, once = np.arange(2 * symbols.shape[1])[None, :], lengths[:, None]
    positions = np.where(places < 2 * once, places % once, -1)
    return Target(_gather(symbols, positions), positions, lengths * math.log2(vocabulary))


def odds_first(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """The first, third, fifth … symbol, then the second, fourth …: `3 1 4 1 5` asks for `3 4 5 1 1`."""
    places, odds = _columns(symbols), (lengths[:, None] + 1) // 2
    positions = np.where(places < odds, 2 * places, 2 * (places - odds) + 1)
    positions = np.where(places < lengths[:, None], positions, -1)
    return Target(_gather(symbols, positions), positions, lengths * math.log2(vocabulary))


def sort(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Put the symbols in ascending order: `3 1 4 1` asks for `1 1 3 4`.

    The bits are those of the multiset: length x log2(vocabulary) less log2 of the number of orders it has.
    """
    behind_all = np.where(symbols < 0, vocabulary, symbols)
    ordered = np.sort(behind_all, axis=1)
    counts = np.zeros((len(symbols), vocabulary + 1), dtype=np.int64)
    np.add.at(counts, (np.arange(len(symbols))[:, None], behind_all), 1)
    factorials = log2_factorial(symbols.shape[1])
    orders = factorials[lengths] - factorials[counts[:, :vocabulary]].sum(axis=1)
    return Target(np.where(ordered == vocabulary, -1, ordered), None, lengths * math.log2(vocabulary) - orders)


def first_token_recall(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Name the first symbol after reading all of them: `3 1 4 1` asks for `3`. The lag is length - 1."""
    positions = np.zeros((len(symbols), 1), dtype=np.int64)
    return Target(symbols[:, :1], positions, np.full(len(symbols), math.log2(vocabulary)))


def parity(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Whether the number of ones is odd: `1 0 1 1` asks for `1`, `1 0 1` for `0`."""
    ones = np.maximum(symbols, 0).sum(axis=1, keepdims=True)
    return Target(ones % 2, None, np.ones(len(symbols)))


def even_pairs(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Whether the number of unequal neighbours is odd: `0 1 1 0` asks for `0`, `0 1 0 1` for `1`.

    That is whether the last symbol differs from the first.
    """
    last = symbols[np.arange(len(symbols)), lengths - 1]
    return Target((symbols[:, 0] ^ last)[:, None], None, (lengths > 1).astype(float))


def random_steps(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) steps of 0, 1 and -1 on a cycle; the last is written as 4."""
    return np.where(_columns(words) < lengths[:, None], np.array([0, 1, CYCLE - 1])[uniform(words, 3)], -1)


def cycle_navigation(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """The position on a cycle of 5 after steps from 0: `1 4 0 4 4` asks for `3`, as 4 is a step of -1."""
    reached = np.maximum(symbols, 0).sum(axis=1) % CYCLE
    return Target(reached[:, None], None, -np.log2(probability_on_cycle(lengths, reached)))


def random_expressions(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) numbers 0 … 4 joined by + (5), - (6) and x (7). An even length begins with a sign."""
    lead, columns = (1 - lengths % 2)[:, None], _columns(words)
    signs = np.where(columns < lead, uniform(words, 2), uniform(words, 3))
    symbols = np.where((columns - lead) % 2 == 0, uniform(words, MODULUS), PLUS + signs)
    return np.where(columns < lengths[:, None], symbols, -1)


def modular_arithmetic(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """The value modulo 5, products first: `1 5 2 7 3`, which is 1 + 2 x 3, asks for `2`."""
    places = (1 - lengths % 2)[:, None] + np.arange(0, symbols.shape[1] + 1, 2)[None, :]
    behind_end = places >= lengths[:, None]
    numbers = np.maximum(_gather(symbols, np.where(behind_end, -1, places)), 0)
    operators = _gather(symbols, np.where(behind_end, -1, places - 1))
    total = product = np.zeros(len(symbols), dtype=np.int64)
    for number, operator in zip(numbers.T, operators.T, strict=True):  # a number of every example
        times = operator == TIMES
        total = np.where(times, total, (total + product) % MODULUS)
        product = np.where(times, product * number, np.where(operator == MINUS, -number, number)) % MODULUS
    value = (total + product) % MODULUS
    return Target(value[:, None], None, -np.log2(probability_of_value(lengths, value)))


def random_holes(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) a string of zeros and ones twice, one symbol of it a hole (2). An odd length ends with a filler (3)."""
    columns, half = _columns(words), (lengths // 2)[:, None]
    symbols = _gather(uniform(words, 2), columns % half)
    symbols[np.arange(len(words)), uniform(mix(words[:, 0]), 2 * half[:, 0])] = HOLE
    return np.where(columns < 2 * half, symbols, np.where(columns < lengths[:, None], FILLER, -1))


def missing_duplicate(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """The symbol in the hole (2) of a string that stands there twice: `0 1 1 0 2 1` asks for `1`."""
    half, hole = lengths // 2, (symbols == HOLE).argmax(axis=1)
    positions = np.where(hole < half, hole + half, hole - half)[:, None]
    return Target(_gather(symbols, positions), positions, np.ones(len(symbols)))


def running_parity(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """For each symbol whether the number of ones so far is odd: `1 0 1 1` asks for `1 1 0 1`."""
    so_far = np.maximum(symbols, 0).cumsum(axis=1) % 2
    return Target(np.where(symbols < 0, -1, so_far), None, lengths.astype(float))


def random_brackets(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) brackets that open (0) and close (1), either equally likely between the depths 0 and vocabulary-1.

    The depth is a random walk without bounds that is folded at both.
    """
    deepest = vocabulary - 1
    walk = (2 * uniform(words, 2) - 1).cumsum(axis=1)
    depth = deepest - np.abs(walk % (2 * deepest) - deepest)
    closes = np.diff(depth, axis=1, prepend=0) < 0
    return np.where(_columns(words) < lengths[:, None], closes, -1)


def bracket_depth(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """For each bracket how many are open behind it: `0 0 1 0 1 1`, which is (()()), asks for `1 2 1 2 1 0`."""
    depth = (1 - 2 * symbols).cumsum(axis=1)
    before = np.concatenate([np.zeros_like(depth[:, :1]), depth[:, :-1]], axis=1)
    free = (symbols >= 0) & (before > 0) & (before < vocabulary - 1)  # the brackets that could have been another
    return Target(np.where(symbols < 0, -1, depth), None, free.sum(axis=1).astype(float))


def random_seeds(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) a first symbol, a step, and the length of the target as a number in base `vocabulary`."""
    most_digits = math.ceil(math.log(words.shape[1] + 1, vocabulary))
    powers = vocabulary ** np.arange(most_digits)[::-1]
    digits = lengths[:, None] // powers % vocabulary
    zeros = (lengths[:, None] < powers).sum(axis=1, keepdims=True)  # in front
    places = zeros + np.arange(most_digits)
    numeral = _gather(digits, np.where(places < most_digits, places, -1))
    first, step = uniform(words[:, :1], vocabulary), uniform(mix(words[:, :1]), vocabulary)
    return np.concatenate([first, step, numeral], axis=1)


def unroll(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Count from the first symbol in steps of the second: `3 4 5`, with 10 symbols, asks for 5 symbols: `3 7 1 5 9`.

    The source says how long the target is, in as many digits as it takes.
    """
    places = np.arange(lengths.max())[None, :]
    counted = (symbols[:, :1] + symbols[:, 1:2] * places) % vocabulary
    bits = np.where(lengths > 1, 2.0, 1.0) * math.log2(vocabulary)
    return Target(np.where(places < lengths[:, None], counted, -1), None, bits)


def random_pairs(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) sources of associative recall: distinct keys, any values, one of the keys last."""
    count, width = words.shape
    keys = vocabulary // 2
    rows = np.arange(count)
    values = keys + uniform(words, vocabulary - keys)
    order = _random_order(words, keys)
    lead, columns = (1 - lengths % 2)[:, None], np.arange(width)[None, :]
    is_key = (columns - lead) % 2 == 0
    pair = np.clip((columns - lead) // 2, 0, keys - 1)
    symbols = np.where(is_key, np.take_along_axis(order, pair, axis=1), values)
    symbols = np.where(columns < lead, values, symbols)
    asked = uniform(words[rows, lengths - 1], (lengths - 1) // 2)
    symbols[rows, lengths - 1] = order[rows, asked]
    return np.where(columns < lengths[:, None], symbols, -1)


def associative_recall(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Name the value that stood behind a key: `1 7 0 5 2 6 0` asks for `5`.

    The lower half of the vocabulary are keys, the upper half values. Pairs of a key and a value, no key twice,
    are followed by one of the keys as the question (Graves et al. 2014; Ba et al. 2016). An even length begins
    with one value that belongs to no key.
    """
    last = lengths - 1
    question = symbols[np.arange(len(symbols)), last]
    lead, columns = (1 - lengths % 2)[:, None], _columns(symbols)
    is_key = ((columns - lead) % 2 == 0) & (columns >= lead) & (columns < last[:, None])
    asked = (is_key & (symbols == question[:, None])).argmax(axis=1)
    positions = (asked + 1)[:, None]
    values = vocabulary - vocabulary // 2
    return Target(_gather(symbols, positions), positions, np.full(len(symbols), math.log2(values)))


def copied(lengths: np.ndarray) -> np.ndarray:
    """How many symbols selective copying scatters: a quarter of the places, 16 at most as in Gu & Dao (2023)."""
    return np.clip(lengths // 4, 1, 16)


def random_scattered(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) blanks, which are the last symbol, and a few of the other symbols at random places."""
    chosen = _rank(words, _columns(words) < lengths[:, None]) < copied(lengths)[:, None]
    symbols = np.where(chosen, uniform(words, vocabulary - 1), vocabulary - 1)
    return np.where(_columns(words) < lengths[:, None], symbols, -1)


def selective_copy(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat the symbols without the blanks: with 10 symbols, `9 3 9 9 9 9 1 9` asks for `3 1`."""
    positions = _places_of((symbols >= 0) & (symbols < vocabulary - 1))
    return Target(_gather(symbols, positions), positions, copied(lengths) * math.log2(vocabulary - 1))


def pairs(lengths: np.ndarray) -> np.ndarray:
    """How many pairs multi-query recall stores: 2 at least, and one for 16 tokens as in Arora et al. (2024)."""
    return np.maximum(2, lengths // 16)


def random_queries(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) pairs of a key and a value, no key twice, then each key once more in any order, scattered among blanks.

    The last symbol is the blank, the lower half of the others are keys, the upper half values.
    """
    keys, columns = (vocabulary - 1) // 2, _columns(words)
    order = _random_order(words, keys)
    stored, inside = 2 * pairs(lengths)[:, None], columns < lengths[:, None]
    rank = _rank(words, inside & (columns >= stored))
    asked = np.take_along_axis(order, np.minimum(rank, keys - 1), axis=1)
    behind = np.where(2 * rank < stored, asked, vocabulary - 1)
    key = np.take_along_axis(order, np.minimum(columns // 2, keys - 1).repeat(len(words), axis=0), axis=1)
    pair = np.where(columns % 2 == 0, key, keys + uniform(words, vocabulary - 1 - keys))
    return np.where(inside, np.where(columns < stored, pair, behind), -1)


def multi_query_recall(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Repeat each question with its answer, in order: `1 7 0 5 9 0 9 1`, 10 symbols, asks for `0 5 1 7`.

    Pairs of a key and a value are followed by every key once more, among blanks (9 here). (Length, pairs) is (64, 4),
    (128, 8) and (256, 16) as in Arora et al. (2024), who ask for a value at the place of its question in the source.
    """
    keys, columns, stored = (vocabulary - 1) // 2, _columns(symbols), 2 * pairs(lengths)[:, None]
    is_key = (symbols >= 0) & (symbols < keys)
    place = np.zeros((len(symbols), keys + 1), dtype=np.int64)  # of each key among the pairs; the last is not used
    np.put_along_axis(place, np.where(is_key & (columns < stored), symbols, keys), columns.repeat(len(symbols), 0), 1)
    questions = _places_of(is_key & (columns >= stored))
    answers = np.where(questions < 0, -1, np.take_along_axis(place, _gather(symbols, questions), axis=1) + 1)
    positions = np.stack([questions, answers], axis=2).reshape(len(symbols), -1)
    factorials = log2_factorial(keys)  # for which keys come in which order
    bits = factorials[-1] - factorials[keys - pairs(lengths)] + pairs(lengths) * math.log2(vocabulary - 1 - keys)
    return Target(_gather(symbols, positions), positions, bits)


def random_repeated(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) a symbol at some place and again at the end, and any other symbols elsewhere."""
    rows = np.arange(len(words))
    repeated = uniform(mix(words[:, 0]), vocabulary)
    symbols = (repeated[:, None] + 1 + uniform(words, vocabulary - 1)) % vocabulary
    symbols[rows, uniform(mix(words[:, 1]), lengths - 2)] = repeated
    symbols[rows, lengths - 1] = repeated
    return np.where(_columns(words) < lengths[:, None], symbols, -1)


def induction(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """What followed the last symbol when it stood there before: `3 1 4 2 1` asks for `4`."""
    last = lengths[:, None] - 1
    before = (symbols == np.take_along_axis(symbols, last, axis=1)) & (_columns(symbols) < last)
    positions = symbols.shape[1] - before[:, ::-1].argmax(axis=1)[:, None]  # behind the last of them
    return Target(_gather(symbols, positions), positions, np.full(len(symbols), math.log2(vocabulary)))


def random_suffixes(words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N, S) a random string, and behind it three symbols that stand in it, with three more behind them."""
    columns, end = _columns(words), lengths[:, None] - GRAM
    begin = uniform(mix(words[:, :1]), end - 2 * GRAM + 1)
    places = np.where(columns < end, columns, begin + columns - end)
    return _gather(uniform(words, vocabulary), np.where(columns < lengths[:, None], places, -1))


def suffix_lookup(symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
    """Continue the last three symbols as the string did: `2 3 1 4 1 5 9 3 1 4` asks for `1 5 9`.

    Where they stand in the string several times, with three symbols behind them, the last time counts. The bits of
    three symbols that may overlap with those before are not known.
    """
    end, starts = lengths[:, None] - GRAM, np.arange(symbols.shape[1] - 3 * GRAM + 1)[None, :]
    found = starts + 2 * GRAM <= end
    for place in range(GRAM):
        found &= symbols[:, place : place + starts.shape[1]] == np.take_along_axis(symbols, end + place, axis=1)
    last = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)[:, None]
    positions = last + GRAM + np.arange(GRAM)[None, :]
    return Target(_gather(symbols, positions), positions, None)


def probability_on_cycle(lengths: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Of a position after so many steps: a sum over the frequencies of the cycle."""
    frequencies = 2 * np.pi * np.arange(1, CYCLE // 2 + 1) / CYCLE
    kept = ((1 + 2 * np.cos(frequencies)) / 3) ** lengths[..., None]
    return (1 + 2 * (kept * np.cos(frequencies * positions[..., None])).sum(axis=-1)) / CYCLE


def probability_of_value(lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of a value of an expression of so many tokens: 0 is likelier than the others, which are equally likely.

    A product of m numbers is 0 with probability 1/5 + 4/5 e, where e = 1 - (4/5)^(m-1); any other value has 1/5 - e/5.
    The excess e of a sum is the product of those of its terms; here it is the mean over all splits of the numbers into
    terms, of which each begins at a number with probability 2/3.
    """
    numbers = np.arange((int(lengths.max()) + 1) // 2)
    of_product, excess = (1 - 0.8**numbers) / 3.0**numbers, np.full(len(numbers) + 1, 1.5)
    for count in numbers + 1:
        excess[count] = 2 / 3 * of_product[:count] @ excess[count - 1 :: -1]
    of_length = excess[(lengths + 1) // 2]
    return (1 + np.where(values == 0, MODULUS - 1, -1) * of_length) / MODULUS


def _columns(rows: np.ndarray) -> np.ndarray:
    """(1, S) the numbers of the columns."""
    return np.arange(rows.shape[1])[None, :]


def _gather(symbols: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(N, T) symbols at the given positions, -1 where the position is -1."""
    gathered = np.take_along_axis(symbols, np.maximum(positions, 0), axis=1)
    return np.where(positions < 0, -1, gathered)


def _random_order(words: np.ndarray, size: int) -> np.ndarray:
    """(N, size) a random order of 0 … size-1, from words of its own."""
    sort_keys = mix(words[:, :1] + np.arange(1, size + 1, dtype=np.uint64)[None, :] * GOLDEN)
    return np.argsort(sort_keys, axis=1, kind="stable")


def _rank(words: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(N, S) the place of each column in a random order of those inside; those outside come behind them."""
    order = np.argsort(np.where(inside, mix(words) >> np.uint64(1), np.uint64(2**63)), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, _columns(order).repeat(len(order), axis=0), axis=1)
    return rank


def _places_of(chosen: np.ndarray) -> np.ndarray:
    """(N, T) the chosen columns of each row in ascending order, -1 behind them."""
    counts = chosen.sum(axis=1, keepdims=True)
    places = np.argsort(~chosen, axis=1, kind="stable")[:, : counts.max()]
    return np.where(_columns(places) < counts, places, -1)


def log2_factorial(greatest: int) -> np.ndarray:
    """(greatest + 1,) log2 of the factorials of 0, 1 …"""
    return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, greatest + 1)))])
