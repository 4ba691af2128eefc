"""A sentence as text, and back: what a tokenizer is for text is a list of words for a task in words, or of labels."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from data.batch import FIRST_TOKEN, UNK
from data.tokenizer import Tokenizer, word_ids

BEGIN = "▁"  # of a piece that begins a word, as SentencePiece has it
WORDS, LABELS = b"words\n", b"labels\n"  # what the bytes of such a tokenizer begin with
RESERVED = ("<pad>", "<s>", "</s>", "⁇")  # in the order of the reserved ids
ATTACHED = (".", ",", "</s>")


def split_words(text: str) -> list[str]:
    """The words and signs of a text, each by itself: `It's it.` is It ' s it . here."""
    return re.findall(r"\w+|[^\w\s]", text)


class WordTokenizer(Tokenizer):
    """Words and signs of a task as tokens. A word that the task does not have is the unknown one.

    Args:
        words: of the task, by symbol.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        self.model = WORDS + "\n".join(words).encode()
        self._words = words
        self._symbols = {word: symbol for symbol, word in enumerate(words)}

    def __len__(self) -> int:
        return FIRST_TOKEN + len(self._words)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self._id(word) for word in split_words(text)] for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self.pieces(word_ids(tokens))).replace(BEGIN, " ").strip()

    @cached_property
    def normalises(self) -> bool:
        return False

    def words(self, text: str) -> list[int]:
        pieces = [self.pieces(row) for row in self.encode(text.split())]
        return [place for place, of_word in enumerate(pieces) for piece in of_word if piece.startswith(BEGIN)]

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """The word of each token behind `▁`; a sign stands at the word before it."""
        known = [self._words[token - FIRST_TOKEN] if token >= FIRST_TOKEN else RESERVED[token] for token in tokens]
        return [word if word in ATTACHED else BEGIN + word for word in known]

    def _id(self, word: str) -> int:
        return FIRST_TOKEN + self._symbols[word] if word in self._symbols else UNK


class Labels(WordTokenizer):
    """The classes of a classification, each of which is one token, spaces and all."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.model = LABELS + "\n".join(labels).encode()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self._id(text)] for text in texts]


def read_tokenizer(model: bytes) -> Tokenizer:
    """The tokenizer that has these bytes as its `model`.

    Raises:
        ValueError: they are those of none.
    """
    for begin, kind in ((WORDS, WordTokenizer), (LABELS, Labels)):
        if model.startswith(begin):
            return kind(tuple(model.removeprefix(begin).decode().split("\n")))
    return Tokenizer(model)


def carried_tokenizers(text: Mapping[str, Any]) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of source and target in what a checkpoint says of its text."""
    source, target = (read_tokenizer(text[f"{side}_tokenizer"].numpy().tobytes()) for side in ("source", "target"))
    return source, target
