"""Help and misspelt options answer at once where this very version has answered before."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments import main as command
from experiments.config import remembered
from experiments.config.parser import typed_actions
from experiments.main import main
from lit_models import architectures


def nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(verb: str, rest: list[str]) -> int:
        raise AssertionError(f"{verb} {rest} was started")

    monkeypatch.setattr(command, "_start", start)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "cache"))
    typed_actions.cache_clear()  # what this process has remembered lies in the folder of another test
    return tmp_path / "cache"


@pytest.mark.parametrize("words", ["fit --help", "fit --model.help GRU", "sizes -h"])
def test_help_is_made_once(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    made = capsys.readouterr().out
    nothing_heavy(monkeypatch)
    assert main(words.split()) == 0
    assert capsys.readouterr().out == made != ""


def test_help_of_other_code_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["sizes", "--help"]) == 0
    monkeypatch.setattr(remembered, "_fingerprint", lambda: "code that has changed since")
    nothing_heavy(monkeypatch)
    with pytest.raises(AssertionError, match="was started"):
        main(["sizes", "--help"])


@pytest.mark.parametrize("words", ["--data.lenght 5", "--thread=2", "--model.hiden_size 8", "--trainer.steps 10"])
def test_a_misspelt_option_is_refused_at_once_with_the_line_that_the_parser_has(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fit", "--model", "GRU", *words.split()]
    assert main(arguments) == 2
    by_the_parser = capsys.readouterr().err
    nothing_heavy(monkeypatch)
    assert main(arguments) == 2
    assert capsys.readouterr().err == by_the_parser
    assert "is not an option" in by_the_parser


def test_whoever_has_seen_the_help_has_misspelt_options_refused_at_once_for_every_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--help"]) == 0
    nothing_heavy(monkeypatch)
    for model in architectures():
        assert main(["fit", "--model", model, "--data.lenght", "5"]) == 2
        assert "did you mean --data.length?" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--print_config --model GRU", "--model GRU --print_config --data.length 5"])
def test_the_configuration_is_printed_again_and_again(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        assert main(["fit", *words.split()]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and "class_path: GRU" in printed[0]


def test_what_may_be_an_option_is_left_to_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["fit", "--model", "GRU", "--data.lenght", "5"]) == 2
    others = "--model.LSTM.hidden_size 8 --data {length:5} --trainer.callbacks null --config --dashes --wandb true"
    remembered.refuse_misspelt(["--model", "GRU", *others.split(), "--trainer.max_steps=5"])
    remembered.refuse_misspelt(["--data.lenght", "5"])  # the model may stand in a file


def test_without_a_cache_folder_help_is_made_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert main(["sizes", "--help"]) == 0
        assert capsys.readouterr().out.startswith("usage: lengthwise sizes")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"of": "another", "help": {}, "options": {}}'])
def test_a_damaged_file_counts_for_nothing(content: str, cache: Path) -> None:
    cache.mkdir()
    (cache / "options.json").write_text(content)
    assert remembered.remembered_help("fit", ["--help"]) is None


def test_none_of_this_loads_torch() -> None:
    code = "import sys, experiments.main; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
