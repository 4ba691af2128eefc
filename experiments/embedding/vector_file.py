"""Word vectors as text, in the format of word2vec: `words numbers` in the first line, then a line for each word.

The first line may be missing, as in the files of GloVe. Shapes: V words, D numbers of a vector.
"""

import contextlib
import math
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from experiments.errors import UsageError
from experiments.files import text_lines


class WordVectors(NamedTuple):
    """V words, the most frequent first, and their vectors (V, D)."""

    words: list[str]
    vectors: np.ndarray

    def neighbours(self, words: Sequence[str], count: int) -> Iterator[list[tuple[str, float]]]:
        """The `count` words nearest to each of some words, with the cosine of their vectors."""
        unit = self.vectors / np.maximum(np.linalg.norm(self.vectors, axis=1, keepdims=True), 1e-12)
        for place in map(self.words.index, words):
            cosines = unit @ unit[place]
            cosines[place] = -np.inf
            nearest = np.argsort(-cosines, kind="stable")[: min(count, len(self.words) - 1)]
            yield [(self.words[one], float(cosines[one])) for one in nearest]


def write_vectors(file: TextIO, content: WordVectors) -> None:
    """Write vectors; `read_vectors` gives back the same float32 numbers."""
    file.write("{} {}\n".format(*content.vectors.shape))
    for word, vector in zip(content.words, content.vectors.astype(np.float32), strict=True):
        file.write(f"{word} {' '.join(map(str, vector))}\n")


def read_vectors(path: Path, option: str, wanted: Container[str] | None = None) -> WordVectors:
    """Read vectors; of a word that stands there twice, the first.

    Args:
        path: the file.
        option: the option that names it, for messages.
        wanted: the words whose vectors are kept; None keeps all.

    Raises:
        UsageError: in one line that names file and line. The file cannot be read, a line has another number of numbers
            than the first, or one that is not finite, or there are more or fewer lines than the first says.
    """
    kept: dict[str, np.ndarray] = {}
    size = promised = None
    read = 0
    for number, line in enumerate(text_lines(path, option), start=1):
        word, *numbers = line.rstrip("\r ").split(" ")
        if number == 1 and len(numbers) == 1 and word.isdecimal() and numbers[0].isdecimal():
            promised, size = int(word), int(numbers[0])
            continue
        if not line:
            continue
        size = size or len(numbers)
        if not numbers or len(numbers) != size:
            raise UsageError(
                f"{option}: {path}:{number} has {len(numbers)} numbers behind the word, not {size or 'one'}"
            )
        read += 1
        if word not in kept and (wanted is None or word in wanted):
            kept[word] = _vector(numbers, f"{option}: {path}:{number}")
    if promised not in (None, read):
        raise UsageError(f"{option}: {path} has {read:,} vectors and says {promised:,} in its first line; is it whole?")
    if not read:
        raise UsageError(f"{option}: {path} has no vectors")
    return WordVectors(list(kept), np.array(list(kept.values()), dtype=np.float32).reshape(-1, size or 0))


def _vector(numbers: list[str], where: str) -> np.ndarray:
    for number in numbers:
        with contextlib.suppress(ValueError):
            if math.isfinite(float(number)):
                continue
        raise UsageError(f"{where}: '{number[:40]}' is not a finite number")
    return np.array(numbers, dtype=np.float32)
