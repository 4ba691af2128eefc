"""The command itself: the streams that it is given, whatever the verb."""

import io
import os
from pathlib import Path

import pytest

from experiments.config.trial import Trial
from experiments.main import main
from tests.helpers.trials import checkpoint_of, sweep_file


def closed_pipe() -> io.TextIOWrapper:
    """Standard output whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize(
    "verb", ["sizes", "--help", "fit --help", "sizes --help", "sweep", "predict", "align", "export"]
)
def test_a_reader_that_has_had_enough_ends_every_verb_quietly(
    verb: str, trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = trained.folder.parent.parent / "corpus"
    checkpoint = ["--checkpoint", checkpoint_of(trained)]
    command = {
        "sweep": ["sweep", str(sweep_file(tmp_path)), "--dry-run"],
        "predict": ["predict", *checkpoint],
        "translate": ["translate", *checkpoint, "--method", "greedy", *["The big dog."] * 800],
        "align": ["align", *checkpoint, "--source", str(corpus / "test.en"), "--target", str(corpus / "test.fr")],
        "export": ["report", str(trained.folder), "--export", str(tmp_path / "tables")],
    }.get(verb, verb.split())
    output = closed_pipe()
    monkeypatch.setattr("sys.stdout", output)
    assert main(command) == 0
    output.close()  # as Python does at its end: nothing is left that could fail once more
    assert capsys.readouterr().err == ""


def test_standard_output_that_takes_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["sizes"]) == 2
    assert capsys.readouterr().err == "lengthwise sizes: error: No space left on device: standard output\n"


def test_closed_standard_streams_are_empty_ones(
    trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    assert main(["translate", "--checkpoint", checkpoint_of(trained), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize("verb", ["fit", "translate", "report", "sizes"])
def test_an_argument_that_is_not_utf_8_is_named(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    latin = os.fsdecode("café".encode("latin-1"))
    assert main([verb, "--output", latin]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "is not UTF-8" in error and "argument 3, " in error


def test_a_library_that_wants_a_home_is_told_of_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.verbs.sizes.main", lambda rest: Path("~").expanduser())
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user whom the system does not know
    assert main(["sizes"]) == 2
    assert capsys.readouterr().err == (
        "lengthwise sizes: error: this user has no home; set the environment variable HOME to a folder of yours\n"
    )
