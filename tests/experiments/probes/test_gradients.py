"""`lengthwise gradients`: from architectures and checkpoints to gradients.csv, or one line that says why not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from analysis.tables.gradient_tables import read_gradients
from experiments.config.parser import make_cli
from experiments.config.trial import Trial
from experiments.main import main
from experiments.verbs.gradients import initial_model
from lit_models import architectures
from lit_models.gru import GRU
from tests.helpers.text_files import stand_in_corpora
from tests.helpers.trials import run, small_trial

SMALL = ["--lengths", "4", "9", "--hidden_size", "8", "--seeds", "2", "--sequences", "6", "--vocabulary", "8"]


@pytest.fixture(autouse=True)
def _quick(undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured counts here, not the values, which tests/lit_models/probes holds against known ones."""
    monkeypatch.setattr("lit_models.probes.gradient_flow.ITERATIONS", 2)


def probe(output: Path, *arguments: str) -> int:
    return main(["gradients", *SMALL, "--output", str(output), *arguments])


def test_every_architecture_is_measured_at_every_length_with_every_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "out"
    assert probe(output, "--lengths", "3", "5") == 0
    table = read_gradients([output])
    curves = table[table["quantity"] == "embedding_gradient"]
    for arch in architectures():
        for length in (3, 5):
            for seed in (0, 1):
                curve = curves[(curves["arch"] == arch) & (curves["length"] == length) & (curves["seed"] == seed)]
                assert curve["distance"].tolist() == list(range(1, length + 1))
    assert set(table["phase"]) == {"initial"}
    assert set(table["sequences"]) == {6}
    assert set(table[table["quantity"] == "jacobian"]["arch"]) == {
        name for name, architecture in architectures().items() if architecture.sequential_operations != "O(1)"
    }
    lines = (output / "architectures.csv").read_text().splitlines()
    assert lines[0] == "arch,display_name,attends,windowed,recurrence,work,sequential_operations,path_length"
    assert [line.partition(",")[0] for line in lines[1:]] == list(architectures())
    assert "LuongLocal,Luong local,True,True,," in "\n".join(lines)
    printed = capsys.readouterr()
    assert json.loads((output / "environment.json").read_text())["device"] == "cpu"
    for name in ("gradients.csv", "gradients.md", "figures"):
        assert (output / name).as_posix() in printed.out
        assert (output / name).exists()
    assert "100%" in printed.err


def test_the_same_command_gives_the_same_table_and_leaves_the_random_state(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    for name in ("first", "second"):
        assert probe(tmp_path / name, "--models", "GRU") == 0
    first, second = ((tmp_path / name / "gradients.csv").read_text() for name in ("first", "second"))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_positions_of_the_target_count_in_the_distance(tmp_path: Path) -> None:
    assert probe(tmp_path, "--models", "GRU", "--position", "2") == 0
    table = read_gradients([tmp_path])
    curves = table[(table["quantity"] == "embedding_gradient") & (table["length"] == 4)]
    assert sorted(set(curves["distance"])) == [3, 4, 5, 6]


def test_initial_weights_are_those_a_trial_of_the_same_seed_begins_with(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, seed_everything=3)
    model = make_cli(trial.config).model
    initial = initial_model(GRU, {"source_vocab_size": 12, "target_vocab_size": 12, "hidden_size": 12}, 3)
    for first, second in zip(model.parameters(), initial.parameters(), strict=True):
        assert torch.equal(first, second)


def test_a_checkpoint_is_measured_on_its_own_task_with_its_own_seed(tmp_path: Path) -> None:
    trial = small_trial(tmp_path / "runs", seed_everything=1)
    run(trial)
    moved = shutil.copy(trial.folder / "checkpoints" / "best.ckpt", tmp_path)
    assert probe(tmp_path / "out", "--models", "GRU", "--checkpoint", str(moved)) == 0
    table = read_gradients([tmp_path / "out"])
    trained = table[table["phase"] == "trained"]
    assert set(zip(trained["task"], trained["seed"], trained["variant"], strict=True)) == {
        ("reverse", 1, "dropout=0.1")
    }
    assert set(trained["length"]) == {4, 9}
    assert 0 < trained["step"].max() <= 40
    assert set(table[table["phase"] == "initial"]["task"]) == {"copy"}


def test_two_checkpoints_of_one_seed_are_refused(
    finished: Callable[..., Trial], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    both = [str(finished().folder / "checkpoints" / name) for name in ("best.ckpt", "last.ckpt")]
    assert probe(tmp_path / "out", "--checkpoint", *both) == 2
    assert "are both GRU, reverse, seed 0; give only one of them" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_cannot_take_a_length_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    learned = {"model": "Transformer", "model__positions": "learned", "model__max_positions": 8}
    trial = small_trial(tmp_path / "runs", **learned, trainer__max_steps=2)
    run(trial)
    best = trial.folder / "checkpoints" / "best.ckpt"
    assert probe(tmp_path / "out", "--checkpoint", str(best)) == 2
    printed = capsys.readouterr().err
    assert f"{best} cannot take length 9: model.max_positions: 8 learned positions are too few" in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_trained_on_text_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    stand_in_corpora(tmp_path, monkeypatch)
    trial = small_trial(
        tmp_path / "runs", data__task="numbers", data__vocabulary=400, data__batch_tokens=1000, trainer__max_steps=2
    )
    run(trial)
    assert probe(tmp_path / "out", "--checkpoint", str(trial.folder / "checkpoints" / "best.ckpt")) == 2
    assert "was trained on numbers, which is text; lengthwise fit --gradients.every N" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lengths", "0"], "--lengths: 0 must be at least 1"),
        (["--lengths", "ten"], "--lengths: invalid int value: 'ten'"),
        (["--models", "GRUU"], "--models: 'GRUU' is unknown; the models are Bahdanau, "),
        (["--seeds", "0"], "--seeds: 0 must be at least 1"),
        (["--position", "5"], "--position: 5 does not exist; at length 4 a target of copy has 5 tokens"),
        (["--position", "-1"], "--position: -1 must be at least 0"),
        (["--task", "associative-recall", "--lengths", "2"], "--lengths: 2 is too short; associative-recall needs"),
        (["--task", "unroll", "--lengths", "6", "7"], "--lengths: at 6 and at 7 a source of unroll has 3 tokens; give"),
        (["--vocabulary", "1"], "--vocabulary: 1 is too small"),
        (["--hidden_size", "6", "--models", "Transformer"], "--hidden_size: Transformer: model.hidden_size: 6 must be"),
        (["--checkpoint", "nothing.ckpt"], "--checkpoint: nothing.ckpt does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["gradients", *SMALL, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("lengthwise gradients: error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert probe(tmp_path / "file" / "out", "--models", "GRU") == 2
    assert "--output: cannot write" in capsys.readouterr().err


def test_the_verb_explains_itself(capsys: pytest.CaptureFixture) -> None:
    assert main(["gradients", "--help"]) == 0
    assert "usage: lengthwise gradients" in capsys.readouterr().out
