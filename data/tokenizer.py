"""SentencePiece (Kudo & Richardson 2018): text to token ids and back, without any other preprocessing."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from data.batch import BOS, EOS, PAD, UNK

Algorithm = Literal["unigram", "bpe"]
# No character is replaced by another. SentencePiece's own default, NFKC, would write ， as , and ﬁ as fi: outputs could
# then never be what the references are. What remains is that several spaces become one.
NORMALISATION = "identity"
REPLACED = "ﬁ½"  # characters that NFKC replaces


class Tokenizer:
    """A trained SentencePiece model, which is its bytes and nothing else.

    Args:
        model: the serialised model.

    Raises:
        ValueError: the bytes are no SentencePiece model, or one with other reserved ids.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            processor = SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise ValueError("the tokenizer is no SentencePiece model") from None
        reserved = (processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id())
        if reserved != (PAD, BOS, EOS, UNK):
            raise ValueError(f"the tokenizer's reserved ids are {reserved}, not {(PAD, BOS, EOS, UNK)}")
        self._processor = processor

    def __len__(self) -> int:
        return self._processor.get_piece_size()

    @cached_property
    def key(self) -> str:
        """A name that only this model has."""
        return hashlib.sha256(self.model).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without BOS and EOS."""
        return self._processor.encode(list(texts), num_threads=1)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, up to the first EOS; PAD and BOS are no text.

        It is one line: a byte piece can be a line break, which becomes a space.
        """
        return " ".join(self._processor.decode(word_ids(tokens)).splitlines())

    @cached_property
    def normalises(self) -> bool:
        """Whether it replaces characters, as tokenizers of older checkpoints do."""
        return self._processor.normalize(REPLACED).strip("▁") != REPLACED

    def comparable(self, references: Sequence[str]) -> Sequence[str]:
        """References as outputs can be: where the tokenizer replaces characters, with these replaced too."""
        if not self.normalises:
            return references
        return [self._processor.normalize(text).replace("▁", " ").strip(" ") for text in references]

    def words(self, text: str) -> list[int]:
        """Which word of a text, as spaces divide it, each of its words in pieces is, where `▁` begins one.

        They differ where the tokenizer replaces characters: to NFKC `d´er Mann` has three words, [0, 0, 1], and a word
        of which nothing is left has none.
        """
        words = [word for word in text.split(" ") if word]
        return [
            place for place, word in enumerate(words) for part in self._processor.normalize(word).split("▁") if part
        ]

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """The piece of each token; `▁` begins a word."""
        return [self._processor.id_to_piece(int(token)) for token in tokens]


def word_ids(tokens: Sequence[int]) -> list[int]:
    """The ids up to the first EOS, without PAD and BOS."""
    words = []
    for token in tokens:
        if token == EOS:
            break
        if token not in (PAD, BOS):
            words.append(int(token))
    return words


def train_tokenizer(texts: Sequence[str], algorithm: Algorithm, vocabulary: int, byte_fallback: bool) -> Tokenizer:
    """Train a SentencePiece model; the same texts and settings give the same bytes.

    Args:
        texts: the training split's segments.
        algorithm: unigram (Kudo 2018) or bpe (Sennrich et al. 2016).
        vocabulary: number of pieces at most, the four reserved ones and, with byte fallback, 256 bytes included;
            fewer where the texts do not have so many.
        byte_fallback: write what no piece covers as bytes, so that no character is lost. All that is normalised is
            several spaces, to one.

    Raises:
        ValueError: the vocabulary cannot even hold the characters.
    """
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type=algorithm,
            normalization_rule_name=NORMALISATION,
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            byte_fallback=byte_fallback,
            character_coverage=0.9995 if byte_fallback else 1.0,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            unk_surface="⁇",
            num_threads=1,  # with more the result depends on the machine
            max_sentence_length=2**24,  # in bytes; longer ones would be left out without a word
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).strip().rpartition("] ")[2] or str(error).strip()
        raise ValueError(f"data.vocabulary: {vocabulary} pieces cannot be trained on this text: {reason}") from None
    return Tokenizer(model.getvalue())


def cached_tokenizer(
    texts: Sequence[str], algorithm: Algorithm, vocabulary: int, byte_fallback: bool, cache: Path
) -> Tokenizer:
    """The same, kept in a folder under a hash of texts and settings.

    A cached file that is damaged is trained again.

    Raises:
        ValueError: see `train_tokenizer`.
    """
    content = hashlib.sha256(json.dumps([algorithm, vocabulary, byte_fallback, NORMALISATION]).encode())
    for text in texts:
        content.update(text.encode() + b"\n")
    path = cache / f"{content.hexdigest()[:24]}.model"
    with contextlib.suppress(ValueError, OSError):
        return Tokenizer(path.read_bytes())
    tokenizer = train_tokenizer(texts, algorithm, vocabulary, byte_fallback)
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            file.write(tokenizer.model)
        os.replace(file.name, path)  # noqa: PTH105
    return tokenizer
