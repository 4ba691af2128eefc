"""`lengthwise look`: figures, their points, and one page of what a trained model looks at."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config.trial import Trial
from experiments.main import main
from tests.helpers.trials import checkpoint_of, rows_of


def look(checkpoint: str, folder: Path, *options: str) -> int:
    return main(["look", "--checkpoint", checkpoint, "--output", str(folder), *options])


@pytest.fixture(scope="module")
def transformer(finished: Callable[..., Trial]) -> str:
    return checkpoint_of(finished(model="Transformer"))


def files(folder: Path, suffix: str) -> set[str]:
    return {path.stem for path in (folder / "figures").glob(f"*.{suffix}")}


def test_a_sentence_of_symbols_is_drawn_and_stands_on_a_page(
    transformer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(transformer, tmp_path, "3 1 4 1", "--word", "2", "--head", "3") == 0
    drawn = {"lines", "encoder_head", "encoder_heads", "decoder_heads", "cross_heads"}
    assert files(tmp_path, "png") == files(tmp_path, "pdf") == files(tmp_path, "csv") == drawn
    points = rows_of(tmp_path / "figures" / "lines.csv")
    assert {(row["layer"], row["head"], row["position"], row["word"]) for row in points} == {("2", "3", "2", "1")}
    assert [row["looks_at"] for row in points] == ["3", "1", "4", "1"]
    assert sum(float(row["weight"]) for row in points) == pytest.approx(1)
    printed = capsys.readouterr().out
    assert printed.startswith("1 3 1 4 1 -> ") and "self-attention of the encoder, layer 2 head 3: 1 -> " in printed
    assert printed.endswith(f"page: {tmp_path.as_posix()}/look.html\n")
    page = (tmp_path / "look.html").read_text()
    assert page.count("<figure") == len(drawn) and "data-words" in page
    assert not re.search(r'(src|href)="(?!#|data:|figures/)', page), "the page needs nothing else"


def test_text_is_drawn_between_words_and_a_word_is_found_but_for_case_and_punctuation(
    trained: Trial, tmp_path: Path
) -> None:
    assert look(checkpoint_of(trained), tmp_path, "The *big* dog sees the old man.", "--word", "MAN") == 0
    assert files(tmp_path, "csv") == {"lines", "cross", "gradient"}
    assert {row["looks_at"] for row in rows_of(tmp_path / "figures" / "lines.csv")} == {"man."}
    assert (
        '<h2 id="section-1-the-big-dog-sees-the-old-man">1. The *big* dog sees the old man.</h2>'
        in (tmp_path / "look.html").read_text()
    )


def test_the_vectors_of_a_word_are_compared_between_sentences(trained: Trial, tmp_path: Path) -> None:
    sentences = ["The big dog sees the man.", "The old man.", "The tree likes the man."]
    assert look(checkpoint_of(trained), tmp_path, *sentences, "--word", "man") == 0
    points = rows_of(tmp_path / "figures" / "vectors.csv")
    assert [(row["sentence"], row["other_sentence"]) for row in points] == [(a, b) for a in "123" for b in "123"]
    assert [float(row["cosine_similarity"]) for row in points[::4]] == pytest.approx([1, 1, 1])  # with itself
    assert {f"{name}_{number}" for name in ("lines", "cross", "gradient") for number in (1, 2, 3)} | {
        "vectors"
    } == files(tmp_path, "png")


def test_whether_heads_follow_antecedents_is_tabulated(
    transformer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("3 1 4 1\t4\t1\t2\n2 7 1\t3\t1\t2\n")
    assert look(transformer, tmp_path / "look", "--antecedents", str(pairs)) == 0
    rows = rows_of(tmp_path / "look" / "antecedents.csv")
    assert [(row["layer"], row["head"]) for row in rows] == [(layer, head) for layer in "12" for head in "1234"]
    assert {row["sentences"] for row in rows} == {"2"}
    assert [float(row["chance"]) for row in rows] == pytest.approx([(1 / 4 + 1 / 3) / 2] * 8)
    for row in rows:
        assert 0 <= float(row["low"]) <= float(row["share"]) <= float(row["high"]) <= 1
    printed = capsys.readouterr().out
    assert "self-attention of the encoder, layer 1 head 1" in printed and "right before wrong" in printed
    assert "Does a head follow the antecedent?" in (tmp_path / "look" / "look.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], 'give a sentence, "in quotation marks", or a file with --antecedents'),
        (["3 1", " "], "sentence 2 is empty"),
        (["3 1", "3 9"], "sentence 2: '9' is no symbol"),
        (["3 1", "--word", "7"], "--word: '7' is no word or position of sentence 1; what looks is 3 1"),
        (["3 1", "--layer", "3"], "--layer: 3 does not exist; the self-attention of the encoder has layers 1 to 2"),
        (["3 1", "--head", "0"], "--head: 0 does not exist; the self-attention of the encoder has heads 1 to 4"),
        (["3 1", "--attention", "gradient"], "--attention: this model has no gradient at the source; choose encoder"),
        (["--antecedents", "missing.tsv"], "missing.tsv cannot be read"),
    ],
)
def test_bad_input_is_named_in_one_line_and_leaves_nothing(
    options: list[str], message: str, transformer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(transformer, tmp_path / "look", *options) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "look").exists()
