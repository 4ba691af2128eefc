"""Word alignments: reading them, their error rate, and the way from attention over pieces to links between words.

Files are in Pharaoh format: a line a sentence, links `3-5` from source word 3 to target word 5. In gold alignments
`3-5` is a sure link, `3p5` or `3?5` a possible one.

Shapes: T target and S source pieces, words_T and words_S the words they make up.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.errors import ReportError

Link = tuple[int, int]

LINK = re.compile("([0-9]{1,9})([-p?])([0-9]{1,9})")
WORD_BEGIN = "▁"
BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
BOUNDARIES = ("<s>", "</s>")  # no part of any word


class GoldAlignment(NamedTuple):
    """What annotators linked in one sentence, as (source, target) word indices; `sure` is a subset of `possible`."""

    sure: frozenset[Link]
    possible: frozenset[Link]


class AlignmentScore(NamedTuple):
    """Alignment error rate, precision and recall (0…1, NaN where undefined), and the counts behind them."""

    error_rate: float
    precision: float
    recall: float
    links: int
    sentences: int


def read_gold(path: Path, offset: int = 0) -> list[GoldAlignment]:
    """Read gold alignments, one a line: `3-5` is sure, `3p5` and `3?5` are possible, and every sure link is both.

    Args:
        path: a file of links.
        offset: the index of the first word in this file, 0 or 1. Indices returned count from 0.

    Raises:
        ReportError: a file that cannot be read, or a line that is not understood.
    """
    sentences = []
    for number, line in enumerate(read_lines(path), start=1):
        marked = _parse(line, f"{path}: line {number}", offset)
        sure = frozenset(link for link, mark in marked.items() if mark == "-")
        sentences.append(GoldAlignment(sure, possible=frozenset(marked)))
    return sentences


def alignment_error_rate(hypotheses: Sequence[frozenset[Link]], gold: Sequence[GoldAlignment]) -> AlignmentScore:
    """Score links A against sure links S and possible links P, summed over the corpus (Och & Ney 2003, Section 5).

        AER = 1 - (|A∩S| + |A∩P|) / (|A| + |S|), precision = |A∩P| / |A|, recall = |A∩S| / |S|

    Args:
        hypotheses: the links of each sentence.
        gold: the gold alignment of each sentence, in the same order.

    Raises:
        ReportError: different numbers of sentences, or no link on either side.
    """
    if len(hypotheses) != len(gold):
        alone = min(len(hypotheses), len(gold)) + 1
        raise ReportError(
            f"{len(hypotheses)} lines of links but {len(gold)} of gold alignments, so that line {alone} has no "
            f"partner; write one line a sentence, an empty one where nothing is linked"
        )
    links = sum(map(len, hypotheses))
    sure = sum(len(sentence.sure) for sentence in gold)
    if links + sure == 0:
        raise ReportError("neither the links nor the gold alignments have a link; there is nothing to score")
    pairs = list(zip(hypotheses, gold, strict=True))
    sure_links = sum(len(links_of_sentence & sentence.sure) for links_of_sentence, sentence in pairs)
    possible_links = sum(len(links_of_sentence & sentence.possible) for links_of_sentence, sentence in pairs)
    return AlignmentScore(
        error_rate=1 - (sure_links + possible_links) / (links + sure),
        precision=possible_links / links if links else math.nan,
        recall=sure_links / sure if sure else math.nan,
        links=links,
        sentences=len(gold),
    )


def word_count(sentence: str) -> int:
    """How many words a sentence has where spaces divide it; no other blank does, such as the wide one of Japanese."""
    return len([word for word in sentence.split(" ") if word])


def words_of_pieces(pieces: Sequence[str]) -> list[int]:
    """The index of the word that each SentencePiece piece belongs to (Kudo & Richardson 2018).

    `▁` begins a word; alone, it begins the word that follows. Bytes such as `<0xC3>` and unknown pieces belong to
    the word they stand in. The ends of the sentence, `<s>` and `</s>`, are words of their own.

        ["▁un", "able", "▁", "<0xC3>", "<0xA9>", "</s>"] -> [0, 0, 1, 1, 1, 2]
    """
    words: list[int] = []
    for previous, piece in zip(["", *pieces], pieces, strict=False):
        begins = piece.startswith(WORD_BEGIN) and previous != WORD_BEGIN
        opens = begins or piece in BOUNDARIES or previous in BOUNDARIES
        words.append(words[-1] + opens if words else 0)
    return words


def words_from_pieces(pieces: Sequence[str]) -> list[str]:
    """The text of each word of `words_of_pieces`: bytes decoded, word marks removed.

    ["▁un", "able", "▁", "<0xC3>", "<0xA9>", "</s>"] -> ["unable", "é", "</s>"]
    """
    text: dict[int, bytes] = {}
    for word, piece in zip(words_of_pieces(pieces), pieces, strict=True):
        byte = BYTE.fullmatch(piece)
        text[word] = text.get(word, b"") + (bytes.fromhex(byte[1]) if byte else piece.encode())
    return [word.decode(errors="replace").replace(WORD_BEGIN, " ").strip() or WORD_BEGIN for word in text.values()]


def project_to_words(weights: np.ndarray, source_words: Sequence[int], target_words: Sequence[int]) -> np.ndarray:
    """Attention between words: the sum over the pieces of a source word, the mean over those of a target word.

    A row keeps its mass: where the weights of each target piece sum to 1, so do those of each target word. A word
    without pieces has zeros.

    Args:
        weights: (T, S) the weight of each source piece at each target piece.
        source_words: S word indices in ascending order, as `words_of_pieces` gives them.
        target_words: T word indices.

    Returns:
        (words_T, words_S) weights.

    Raises:
        ValueError: weights of another shape.
    """
    if weights.shape != (len(target_words), len(source_words)):
        expected = f"{len(target_words)} target by {len(source_words)} source pieces"
        raise ValueError(f"weights of shape {weights.shape} do not belong to {expected}")
    of_source, of_target = _membership(source_words), _membership(target_words)
    return (of_target / np.maximum(of_target.sum(axis=1, keepdims=True), 1)) @ weights @ of_source.T


def links_from_weights(weights: np.ndarray) -> frozenset[Link]:
    """Link each target word to its strongest source word; a row of zeros has no link.

    Args:
        weights: (words_T, words_S), without the row of `</s>`, which gold alignments do not count as a word.

    Returns:
        (source, target) word indices, counted from 0.
    """
    return frozenset((int(row.argmax()), target) for target, row in enumerate(weights) if row.any())


def _membership(words: Sequence[int]) -> np.ndarray:
    """(words, pieces), 1 where the piece belongs to the word."""
    return np.equal.outer(np.arange(max(words) + 1), words).astype(float)


def _parse(line: str, where: str, offset: int) -> dict[Link, str]:
    """The mark of each link of a line; of a link that is marked sure and possible, sure."""
    marks: dict[Link, str] = {}
    for text in line.split():
        match = LINK.fullmatch(text)
        if not match:
            raise ReportError(f"{where}: '{text}' is no link; write source-target, such as 3-5")
        link = int(match[1]) - offset, int(match[3]) - offset
        if min(link) < 0:
            raise ReportError(
                f"{where}: '{text}' counts from 0, but the index of the first word was given as {offset}; give 0"
            )
        if marks.get(link) != "-":
            marks[link] = match[2]
    return marks


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        ReportError: it cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ReportError(f"{path}: line {number} is not UTF-8 text; convert the file") from error
    return text.removesuffix("\n").split("\n") if text else []
