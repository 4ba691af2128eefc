"""`lengthwise embed`: vectors of a small text, the words that are nearest, and what is refused."""

import sys
from pathlib import Path

import pytest

from experiments.config.trial import Trial
from experiments.embedding.vector_file import read_vectors
from experiments.main import main
from tests.helpers.text_files import ADJECTIVES, NOUNS, VERBS, write_corpus
from tests.helpers.trials import checkpoint_of

GENSIM = "gensim is not installed: pip install 'lengthwise[embed]'"
ROLES = {word: role for role, words in enumerate((ADJECTIVES, NOUNS, VERBS)) for word in words}


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The toy language, in which words of one role can stand for each other."""
    return write_corpus(tmp_path, train=200)["data.train.source"]


@pytest.mark.parametrize("method", ["glove", "cbow", "skip-gram"])
def test_words_that_can_stand_for_each_other_are_neighbours_and_the_same_seed_gives_the_same(
    method: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if method != "glove":
        pytest.importorskip("gensim", reason=GENSIM)
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for file, seed in zip(files, ("3", "3", "4"), strict=True):
        options = ["--method", method, "--size", "8", "--window", "2", "--epochs", "100", "--lowercase", "--seed", seed]
        assert main(["embed", text, *options, "--output", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    printed = capsys.readouterr().out
    assert f"{files[0]}: 14 of 14 words, 8 numbers each, by {method} in " in printed
    vectors = read_vectors(files[0], "--vectors")
    assert vectors.words[0] == "the"  # the most frequent
    shares = [
        sum(ROLES.get(near) == role for near, _ in nearest) / 2
        for (_, role), nearest in zip(ROLES.items(), vectors.neighbours(list(ROLES), 2), strict=True)
    ]
    # GloVe learns first who stands beside whom; on so few words that is all it learns.
    assert method == "glove" or sum(shares) / len(shares) > 0.8  # by chance 0.26
    assert main(["embed", "--neighbours", str(files[0]), "dog", "red"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["dog", "red"]


def test_pieces_are_those_of_a_tokenizer_that_a_checkpoint_carries(text: str, trained: Trial, tmp_path: Path) -> None:
    output = tmp_path / "pieces.txt"
    options = ["--tokenizer", checkpoint_of(trained), "--size", "4", "--epochs", "1", "--output", str(output)]
    assert main(["embed", text, *options]) == 0
    assert {"▁the", "▁dog"} <= set(read_vectors(output, "--vectors").words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name files of text, one sentence a line, or vectors to look at with --neighbours"),
        (["nowhere.txt"], "FILE: cannot read nowhere.txt: No such file or directory"),
        (["TEXT", "--size", "0"], "--size: 0 must be at least 1"),
        (["TEXT", "--x_max", "nan"], "--x_max: nan must be above 0"),
        (["TEXT", "--seed", "-1"], "--seed: -1 must lie between 0 and 4294967295"),
        (["TEXT", "--output", "TEXT"], "--output: TEXT is the text itself; name another file"),
        (["TEXT", "--output", "nowhere/v.txt"], "--output: cannot write nowhere/v.txt: No such file or directory"),
        (
            ["TEXT", "--min_count", "9000"],
            "--min_count: TEXT has 15 words, the most frequent 399 times; fewer than two stand there 9,000 times",
        ),
        (["TEXT", "--tokenizer", "TEXT"], "--tokenizer: TEXT is neither a SentencePiece model nor a checkpoint"),
        (["--neighbours", "VECTORS", "hause"], "--neighbours: VECTORS has no word 'hause'; did you mean house?"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(
    options: list[str],
    message: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("v.vectors").write_text("house 1 2\ntree 0 1\n")
    names = {"TEXT": text, "VECTORS": "v.vectors"}
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["embed", *(names.get(option, option) for option in options)]) == 2
    for name, path in names.items():
        message = message.replace(name, path)
    assert capsys.readouterr().err == f"lengthwise embed: error: {message}\n"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_missing_gensim_is_told_with_what_installs_it(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    assert main(["embed", text, "--method", "cbow"]) == 2
    assert capsys.readouterr().err == (
        "lengthwise embed: error: --method: cbow is gensim's, which is not installed; "
        "pip install 'lengthwise[embed]', or take glove\n"
    )
