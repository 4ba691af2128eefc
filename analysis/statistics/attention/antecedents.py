"""Whether a head follows an antecedent: how often a word looks most at the word that it stands for.

Shapes: S words that can be looked at.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.errors import ReportError
from analysis.statistics.attention.word_alignments import read_lines, word_count
from analysis.statistics.intervals import MeanInterval, proportion_interval

FORM = "a sentence, the position of the word that looks, that of the right word and maybe that of a wrong one"


class Antecedent(NamedTuple):
    """A sentence with the word that looks, the one it should look at, and one that it should not; counted from 0.

    Where its translation is known, so is the word that stands there for the one that looks.
    """

    sentence: str
    looking: int
    right: int
    wrong: int | None = None
    translation: str = ""
    written: int = 0


class Followed(NamedTuple):
    """How well a head follows antecedents.

    Attributes:
        share: of sentences in which the largest weight lies on the right word.
        chance: the same where it lies on any word that can be looked at, each as likely.
        preferred: the share in which the right word has more weight than the wrong one, for which chance is 1/2; None
            where no sentence names a wrong one.
    """

    share: MeanInterval
    chance: float
    preferred: MeanInterval | None


def read_antecedents(path: Path) -> list[Antecedent]:
    """Read a tab-separated file without a header: a sentence, and positions of words counted from 1.

    Words are what stands between spaces.

    Raises:
        ReportError: a file that cannot be read or is empty, or a line that is not understood.
    """
    read = [_parse(line, f"{path}: line {number}") for number, line in enumerate(read_lines(path), start=1)]
    if not read:
        raise ReportError(f"{path} is empty; write {FORM}, separated by tabs, on each line")
    return read


def followed(weights: Sequence[np.ndarray], antecedents: Sequence[Antecedent]) -> Followed:
    """Score one head.

    Args:
        weights: for each sentence (S,), how much the word that looks weighs each word that it can see.
        antecedents: the sentences.
    """
    pairs = list(zip(weights, antecedents, strict=True))
    hits = sum(bool(row.any()) and int(row.argmax()) == one.right for row, one in pairs)
    told = [_weight(row, one.right) > _weight(row, one.wrong) for row, one in pairs if one.wrong is not None]
    return Followed(
        share=proportion_interval(hits, len(pairs)),
        chance=float(np.mean([1 / len(row) for row in weights])),
        preferred=proportion_interval(sum(told), len(told)) if told else None,
    )


def _weight(row: np.ndarray, word: int) -> float:
    """Of a word; 0 where it cannot be seen."""
    return float(row[word]) if word < len(row) else 0.0


def _parse(line: str, where: str) -> Antecedent:
    sentence, *positions = line.rstrip("\r").split("\t")
    if len(positions) not in (2, 3):
        raise ReportError(f"{where} has {len(positions) + 1} columns; write {FORM}, separated by tabs")
    words = word_count(sentence)
    places = []
    for text in positions:
        if not (text.strip().isdecimal() and 1 <= int(text) <= words):
            raise ReportError(f"{where}: '{text}' is no position in a sentence of {words} words, counted from 1")
        places.append(int(text) - 1)
    if len(set(places)) < len(places):
        raise ReportError(f"{where}: two of the positions are the same; each belongs to a word of its own")
    return Antecedent(sentence, *places)
