"""Files of word vectors: read as they were written, by gensim too, and refused in one line where they are broken."""

from pathlib import Path

import numpy as np
import pytest

from experiments.embedding.vector_file import WordVectors, read_vectors, write_vectors
from experiments.errors import UsageError

WORDS = ["the", "▁dog", ",", "größer", "\u3000", "3"]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


def written(path: Path, vectors: WordVectors = VECTORS) -> Path:
    with path.open("w", encoding="utf-8") as file:
        write_vectors(file, vectors)
    return path


def test_vectors_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = written(tmp_path / "vectors.txt")
    assert path.read_text().startswith("6 3\nthe 0.12573")
    read = read_vectors(path, "--vectors")
    assert read.words == WORDS
    np.testing.assert_array_equal(read.vectors, VECTORS.vectors)
    some = read_vectors(path, "--vectors", wanted={"größer", "cat"})
    assert some.words == ["größer"]
    np.testing.assert_array_equal(some.vectors, VECTORS.vectors[3:4])


def test_gensim_reads_what_is_written_and_writes_what_is_read(tmp_path: Path) -> None:
    reason = "gensim is not installed: pip install 'lengthwise[embed]'"
    models = pytest.importorskip("gensim.models", reason=reason)
    loaded = models.KeyedVectors.load_word2vec_format(str(written(tmp_path / "vectors.txt")))
    assert loaded.index_to_key == WORDS
    np.testing.assert_array_equal(loaded.vectors, VECTORS.vectors)
    loaded.save_word2vec_format(str(tmp_path / "gensim.txt"))
    read = read_vectors(tmp_path / "gensim.txt", "--vectors")
    assert read.words == WORDS
    np.testing.assert_array_equal(read.vectors, VECTORS.vectors)


def test_files_of_glove_lack_the_first_line_and_a_word_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("\ufeffa 1 0 \r\n\nb 0 1\na 5 5\n")
    read = read_vectors(path, "--vectors")
    assert (read.words, read.vectors.tolist()) == (["a", "b"], [[1, 0], [0, 1]])


def test_neighbours_are_by_the_cosine_nearest_first_and_without_the_word_itself() -> None:
    vectors = WordVectors(["up", "high", "right", "down", "none"], np.array([[0, 1], [1, 2], [5, 0], [0, -1], [0, 0]]))
    assert [[(word, round(cosine, 3)) for word, cosine in one] for one in vectors.neighbours(["up", "right"], 3)] == [
        [("high", 0.894), ("right", 0), ("none", 0)],
        [("high", 0.447), ("up", 0), ("down", 0)],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "FILE has no vectors"),
        (b"2 2\n", "FILE has 0 vectors and says 2 in its first line; is it whole?"),
        (b"2 2\na 1 0\n", "FILE has 1 vectors and says 2 in its first line; is it whole?"),
        (b"1 2\na 1 0 3\n", "FILE:2 has 3 numbers behind the word, not 2"),
        (b"a 1 0\nb 1\n", "FILE:2 has 1 numbers behind the word, not 2"),
        (b"word\n", "FILE:1 has 0 numbers behind the word, not one"),
        (b"a 1 0\nb 1 x0\n", "FILE:2: 'x0' is not a finite number"),
        (b"a 1 0\nb nan 0\n", "FILE:2: 'nan' is not a finite number"),
        (b"a 1 0\n\xff\xfe 1 0\n", "FILE:2 is not UTF-8"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_vectors(path, "--vectors")
    assert str(caught.value).removeprefix("--vectors: ") == message.replace("FILE", str(path))
