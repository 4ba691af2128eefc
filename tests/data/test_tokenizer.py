"""SentencePiece: the same text gives the same pieces everywhere, and any text comes back."""

import random
import unicodedata
from pathlib import Path

import pytest

from analysis.statistics.attention.word_alignments import words_from_pieces
from data.batch import BOS, EOS, PAD, UNK
from data.tokenizer import Tokenizer, cached_tokenizer, train_tokenizer
from tests.helpers.text_files import sentence

TEXTS = [text for number in range(200) for text in sentence(random.Random(number), 2)]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_text_comes_back(algorithm) -> None:
    tokenizer = train_tokenizer(TEXTS, algorithm, 400, byte_fallback=True)
    for text in [*TEXTS[:5], "Never seen: ☃ Ærøskøbing, 日本語", "他说\uff1a\uff01 ﬁ ½ x² e\u0301 10\u00a0%"]:
        assert tokenizer.decode(tokenizer.encode([text])[0]) == text


def test_references_are_compared_in_the_form_that_outputs_of_older_tokenizers_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = ["½ 日本。ﬁ ｶﾞ", "The  red house"]
    new = train_tokenizer(TEXTS, "unigram", 400, byte_fallback=True)
    monkeypatch.setattr("data.tokenizer.NORMALISATION", "nmt_nfkc")
    old = train_tokenizer(TEXTS, "unigram", 400, byte_fallback=True)
    assert old.comparable(texts) == [old.decode(tokens) for tokens in old.encode(texts)]
    assert old.comparable(texts)[0] == "1⁄2 日本。fi ガ"  # noqa: RUF001
    assert new.comparable(texts) == texts
    assert (old.normalises, new.normalises) == (True, False)


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_the_same_text_gives_the_same_bytes(algorithm) -> None:
    first, second = (train_tokenizer(TEXTS, algorithm, 400, byte_fallback=True) for _ in range(2))
    assert first.model == second.model
    assert first.key == second.key
    assert first.key != train_tokenizer(TEXTS[:-50], algorithm, 400, byte_fallback=True).key


@pytest.mark.parametrize(
    "text", ["The red house", "d\u00b4er Mann", "½ a\u200b \u200b b", "¨ ¨a a¨ ﬁn", "日本 語　x", "A"]
)
@pytest.mark.parametrize("rule", ["identity", "nmt_nfkc"])
def test_each_word_in_pieces_is_a_word_of_the_text(text: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.tokenizer.NORMALISATION", rule)
    tokenizer = train_tokenizer(TEXTS, "unigram", 400, byte_fallback=True)
    in_pieces = words_from_pieces(tokenizer.pieces(tokenizer.encode([text])[0]))
    words, places = text.split(" "), tokenizer.words(text)
    assert len(places) == len(in_pieces)
    for place, word in zip(places, in_pieces, strict=True):
        assert word in (
            words[place],
            *unicodedata.normalize("NFKC", words[place]).split(),
            words[place].strip("\u200b"),
        )


def test_without_byte_fallback_an_unseen_character_is_unknown() -> None:
    tokenizer = train_tokenizer(TEXTS, "unigram", 100, byte_fallback=False)
    assert UNK in tokenizer.encode(["☃"])[0]
    assert "⁇" in tokenizer.decode(tokenizer.encode(["☃"])[0])


def test_decoding_ends_at_the_end_of_the_sentence() -> None:
    tokenizer = train_tokenizer(TEXTS, "unigram", 100, byte_fallback=False)
    [tokens] = tokenizer.encode(["The red house"])
    assert tokenizer.decode([BOS, *tokens, EOS, *tokens, PAD]) == "The red house"
    assert tokenizer.decode([EOS]) == ""


@pytest.mark.parametrize(
    "line_break", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_decoded_text_is_one_line_whatever_bytes_a_model_writes(line_break: str) -> None:
    tokenizer = train_tokenizer(TEXTS, "unigram", 400, byte_fallback=True)
    ids = {piece: token for token, piece in enumerate(tokenizer.pieces(range(len(tokenizer))))}
    first, second = tokenizer.encode(["The red", "house"])
    broken = [ids[f"<0x{byte:02X}>"] for byte in line_break.encode()]
    assert " ".join(tokenizer.decode([*first, *broken, *second]).split()) == "The red house"
    assert len(tokenizer.decode([*first, *broken, *second, *broken]).splitlines()) == 1


def test_fewer_pieces_than_asked_for_where_the_text_has_no_more() -> None:
    assert len(train_tokenizer(TEXTS, "unigram", 8000, byte_fallback=False)) < 1000


def test_a_vocabulary_that_cannot_hold_the_characters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.vocabulary: 10 pieces cannot be trained on this text: ") as error:
        train_tokenizer(TEXTS, "unigram", 10, byte_fallback=True)
    assert "\n" not in str(error.value)


def test_a_long_text_is_not_left_out_of_training() -> None:
    long = "zq" * 5000  # SentencePiece's own limit is 4192 bytes
    tokenizer = train_tokenizer([*TEXTS, long], "unigram", 120, byte_fallback=False)
    assert UNK not in tokenizer.encode(["zq"])[0]


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ValueError, match="no SentencePiece model"):
        Tokenizer(b"not a model")


def test_a_tokenizer_is_trained_once_and_kept_by_content_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path)
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == first.model
    other = train_tokenizer(TEXTS[:300], "unigram", 300, byte_fallback=True)
    path.write_bytes(other.model)  # what is read back now shows that nothing was trained
    assert cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path).model == other.model
    assert cached_tokenizer(TEXTS[:-1], "unigram", 400, True, tmp_path).model != other.model
    monkeypatch.setattr("data.tokenizer.NORMALISATION", "nmt_nfkc")
    assert cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path).model != other.model


def test_a_damaged_file_in_the_cache_is_made_anew(tmp_path: Path) -> None:
    first = cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path)
    [path] = tmp_path.iterdir()
    path.write_bytes(first.model[:100])
    assert cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path).model == first.model
    assert path.read_bytes() == first.model


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(cached_tokenizer(TEXTS, "unigram", 400, True, tmp_path / "file" / "cache")) > 0
