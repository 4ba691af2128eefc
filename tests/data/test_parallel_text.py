"""Reading parallel text: what is wrong with a line is said, with file and line, before anything is trained on it."""

from pathlib import Path

import pytest

from data.parallel_text import ParallelFiles, read_parallel


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_line_n_of_one_file_matches_line_n_of_the_other(tmp_path: Path) -> None:
    files = ParallelFiles(write(tmp_path / "a", b"one\ntwo\n"), write(tmp_path / "b", "eins\nzwei ß\n".encode()))
    text = read_parallel(files, "data.train", "refuse")
    assert (text.source, text.target) == (["one", "two"], ["eins", "zwei ß"])
    assert text.places == [f"{tmp_path / 'a'}:1", f"{tmp_path / 'a'}:2"]


def test_several_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    sources = [write(tmp_path / "a1", b"one\n"), write(tmp_path / "a2", b"two\nthree\n")]
    targets = [write(tmp_path / "b1", b"eins\n"), write(tmp_path / "b2", b"zwei\ndrei\n")]
    text = read_parallel(ParallelFiles(sources, targets), "data.train", "refuse")
    assert list(zip(text.source, text.target, strict=True)) == [("one", "eins"), ("two", "zwei"), ("three", "drei")]


def test_a_tab_separated_file_holds_both_sides(tmp_path: Path) -> None:
    text = read_parallel(ParallelFiles(write(tmp_path / "ab", b"one\teins\ntwo\tzwei\n")), "data.test", "refuse")
    assert (text.source, text.target) == (["one", "two"], ["eins", "zwei"])


def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path: Path) -> None:
    unusual = "one\u2028still one\x0band on\n".encode()
    text = read_parallel(ParallelFiles(write(tmp_path / "a", unusual), write(tmp_path / "b", b"eins")), "x", "refuse")
    assert text.source == ["one\u2028still one\x0band on"]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    files = ParallelFiles(write(tmp_path / "a", b"\xef\xbb\xbfone\n"), write(tmp_path / "b", b"eins\n"))
    assert read_parallel(files, "data.train", "refuse").source == ["one"]


BAD = {
    "empty": (b"one\n\nthree\n", b"eins\nzwei\ndrei\n", "1 empty ({a}:2)"),
    "blank": (b"one\n \t \nthree\n", b"eins\nzwei\ndrei\n", "1 empty ({a}:2)"),
    "empty target": (b"one\ntwo\nthree\n", b"eins\nzwei\n\n", "1 empty ({b}:3)"),
    "not UTF-8": (b"one\n\xff\xfe\nthree\n", b"eins\nzwei\ndrei\n", "1 invalid UTF-8 ({a}:2)"),
    "carriage return": (b"one\ntwo\r\nthree\n", b"eins\nzwei\ndrei\n", "1 with a carriage return ({a}:2)"),
    "several": (b"\n\r\nthree\n", b"eins\nzwei\ndrei\n", "1 empty ({a}:1), 1 with a carriage return ({a}:2)"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_refused_by_file_and_number(tmp_path: Path, case: str) -> None:
    source, target, expected = BAD[case]
    files = ParallelFiles(write(tmp_path / "a", source), write(tmp_path / "b", target))
    with pytest.raises(ValueError, match=r"data\.train: bad lines: ") as error:
        read_parallel(files, "data.train", "refuse")
    assert expected.format(a=tmp_path / "a", b=tmp_path / "b") in str(error.value)
    assert "--data.bad_lines drop" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_dropped_with_its_pair_and_counted(tmp_path: Path, case: str) -> None:
    source, target, expected = BAD[case]
    files = ParallelFiles(write(tmp_path / "a", source), write(tmp_path / "b", target))
    text = read_parallel(files, "data.train", "drop")
    assert str(text.problems) == expected.format(a=tmp_path / "a", b=tmp_path / "b")
    assert set(zip(text.source, text.target, strict=True)) <= {("one", "eins"), ("two", "zwei"), ("three", "drei")}
    assert len(text) + sum(text.problems.counts().values()) == 3


def test_many_bad_lines_are_counted_and_the_first_few_named(tmp_path: Path) -> None:
    files = ParallelFiles(write(tmp_path / "a", b"\n" * 1500 + b"x\n"), write(tmp_path / "b", b"y\n" * 1501))
    problems = read_parallel(files, "data.train", "drop").problems
    assert str(problems).startswith("1,500 empty (") and str(problems).endswith("a:3, …)")


def test_a_tab_separated_line_with_another_number_of_fields_is_bad(tmp_path: Path) -> None:
    path = write(tmp_path / "ab", b"one\teins\ntwo\nthree\tdrei\tx\n")
    problems = read_parallel(ParallelFiles(path), "data.train", "drop").problems
    assert problems.counts() == {
        "with 1 instead of 2 tab-separated fields": 1,
        "with 3 instead of 2 tab-separated fields": 1,
    }


def test_files_of_different_length_are_always_refused(tmp_path: Path) -> None:
    files = ParallelFiles(write(tmp_path / "a", b"one\ntwo\n"), write(tmp_path / "b", b"eins\n"))
    with pytest.raises(ValueError, match=r"data\.train: .*a has 2 lines and .*b 1; line n"):
        read_parallel(files, "data.train", "drop")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("missing", None, r"data\.test\.source: missing does not exist"),
        ([], None, r"data\.test\.source: names no file"),
        (None, "pyproject.toml", r"data\.test\.source: names no file"),
        (["pyproject.toml"], ["a", "b"], r"data\.test\.target: 2 files do not match the 1"),
    ],
)
def test_files_that_are_not_there_are_named(source, target, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_parallel(ParallelFiles(source, target), "data.test", "drop")


def test_a_corpus_of_bad_lines_alone_is_refused(tmp_path: Path) -> None:
    files = ParallelFiles(write(tmp_path / "a", b"\n"), write(tmp_path / "b", b"x\n"))
    with pytest.raises(ValueError, match="no pair of segments is left of 1 empty"):
        read_parallel(files, "data.train", "drop")
