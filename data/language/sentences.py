"""Sentences as examples of a task: every word, and every sign such as the full stop, is a symbol.

A task writes sentences from random choices, and says what a sentence asks for. Both are functions of words alone;
this file makes the functions of symbols that tasks.py lists.

Shapes: N sentences, S words of the longest source, T of the longest target, W random words of 64 bits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from data.symbol_tasks import GOLDEN, Target, mix

Option = TypeVar("Option")


class Draw:
    """The random choices of one sentence.

    Args:
        words: random words of 64 bits, one for each choice.
    """

    def __init__(self, words: Iterable[int]) -> None:
        self._words = iter(words)

    def below(self, size: int) -> int:
        """0 … size-1, as `symbol_tasks.uniform` takes it from a word."""
        return (next(self._words) >> 32) * size >> 32

    def one(self, options: Sequence[Option]) -> Option:
        """One of them."""
        return options[self.below(len(options))]

    def parts(self, total: int, sizes: Sequence[int]) -> list[int]:
        """Sizes that add up to a total; any total from the least size on must be such a sum."""
        drawn = []
        while total > 0:
            drawn.append(self.one([size for size in sizes if total - size == 0 or total - size >= min(sizes)]))
            total -= drawn[-1]
        return drawn


@dataclass(frozen=True)
class Sentences:
    """A task in words.

    Attributes:
        write: a sentence in which the two words that have to meet stand so many words apart.
        answer: what a sentence asks for.
        words: all that sentences and answers are made of; the place of a word is its symbol.
        least_distance: of a sentence.
        around: the most words that a source or a target has beyond the distance.
        answers: words of which the last in a target is the one that is asked for; none where all of them are.
    """

    write: Callable[[Draw, int], list[str]]
    answer: Callable[[list[str]], list[str]]
    words: tuple[str, ...]
    least_distance: int
    around: int
    answers: tuple[str, ...] = ()

    @cached_property
    def symbols(self) -> dict[str, int]:
        """The symbol of each word."""
        return {word: symbol for symbol, word in enumerate(self.words)}

    def draw(self, words: np.ndarray, lengths: np.ndarray, vocabulary: int) -> np.ndarray:
        """(N, S) sentences with the given distances from (N, W) random words, of which the first of each row counts."""
        # A choice for each word of a sentence is enough; two and a few are more than any takes.
        steps = np.arange(1, 2 * (int(lengths.max()) + self.around) + 8, dtype=np.uint64) * GOLDEN
        rows = zip(words[:, 0], lengths.tolist(), strict=True)
        return self._rows([self.write(Draw(mix(word + steps).tolist()), length) for word, length in rows])

    def target(self, symbols: np.ndarray, lengths: np.ndarray, vocabulary: int) -> Target:
        """What (N, S) sentences ask for."""
        sentences = ([self.words[symbol] for symbol in row if symbol >= 0] for row in symbols.tolist())
        return Target(self._rows([self.answer(sentence) for sentence in sentences]), None, None)

    def _rows(self, sentences: list[list[str]]) -> np.ndarray:
        """(N, longest) symbols, -1 behind the end."""
        rows = np.full((len(sentences), max(map(len, sentences))), -1)
        for row, sentence in zip(rows, sentences, strict=True):
            row[: len(sentence)] = [self.symbols[word] for word in sentence]
        return rows


def vocabulary(*phrases: str) -> tuple[str, ...]:
    """Every word of some phrases once, in their order."""
    return tuple(dict.fromkeys(" ".join(phrases).split()))
