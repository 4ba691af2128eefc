"""Checkpoints, configurations and sweep files from elsewhere run no code that they name."""

import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.main import main
from tests.helpers.trials import (
    run,
    run_sweep,
    small_trial,
    sweep_file,
)


class Runs:
    """Runs code where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_from_elsewhere_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mark = tmp_path / "it ran"
    plain, packed = tmp_path / "plain.ckpt", tmp_path / "packed.ckpt"
    plain.write_bytes(pickle.dumps({"state_dict": Runs(mark)}))
    torch.save({"state_dict": {"weight": Runs(mark)}}, packed)
    for checkpoint in (plain, packed):
        for verb in ("translate", "gradients"):
            assert main([verb, "--checkpoint", str(checkpoint)]) == 2
            assert "is not a readable checkpoint" in capsys.readouterr().err
        trial = small_trial(tmp_path / "runs")
        (trial.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        shutil.copy(checkpoint, trial.folder / "checkpoints" / "last.ckpt")
        run(trial)
        shutil.rmtree(trial.folder)
    assert not mark.exists()
    pickle.loads(plain.read_bytes())
    assert mark.exists()  # so that this test would see it


FOREIGN = {
    "tag": "model: GRU\ntrainer:\n  max_steps: !!python/object/apply:foreign.called []\n",
    "class": "model:\n  class_path: foreign.Model\n",
    "name": "model: foreign.Model\n",
    "callback": "model: GRU\ntrainer:\n  callbacks:\n  - class_path: LambdaCallback\n    init_args:\n"
    "      on_fit_start: foreign.called\n",
    "logger": "model: GRU\ntrainer:\n  logger: foreign.Logger\n",
    "profiler": "model: GRU\ntrainer: {profiler: foreign.Profiler}\n",
    "optimizer": "model: GRU\noptimizer: {class_path: foreign.Optimizer}\n",
    "group": "model: GRU\ntrainer: further.yaml\n",
    "data": "model: GRU\ndata: {train: {class_path: foreign.Files}}\n",
    "data in words": "model: GRU\ndata: '{train: {class_path: foreign.Files}}'\n",
    "data in a file": "model: GRU\ndata: {train: ./further}\n",
    "file": "model: GRU\ntrainer: {callbacks: ./further}\n",
    "file without a suffix": "model: GRU\ntrainer: {callbacks: further}\n",
    "further configuration": "model: GRU\nconfig: other.yaml\n",
    "no date": "model: GRU\nruns: 2024-13-45\ntrainer: {logger: foreign.Logger}\n",
    "nested": "model: GRU\nruns: &runs [*runs]\n",
    "deeply nested": "model: GRU\ntrainer: {callbacks: %s}\n" % ("[" * 3000 + "]" * 3000),
}
FOREIGN_OPTIONS = {
    "abbreviation": ("--conf=mine.yaml",),
    "short": ("-c", "mine.yaml"),
    "short in one": ("-cmine.yaml",),
    "short with a sign": ("-c=mine.yaml",),
    "help": ("--trainer.logger.help=foreign.Logger",),
    "help of a model": ("--model.help=foreign.Model",),
    "class": ("--data.train.class_path=foreign.Files",),
    "group": ("--data", "further.yaml"),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_configuration_from_elsewhere_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, content: str
) -> None:
    (tmp_path / "foreign.py").write_text("raise SystemExit('foreign code has run')\n")
    (tmp_path / "further.yaml").write_text("logger: foreign.Logger\n")
    (tmp_path / "further").write_text("class_path: foreign.Class\n")
    (tmp_path / "other.yaml").write_text("model: GRU\ntrainer: {logger: foreign.Logger}\n")
    (tmp_path / "mine.yaml").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config=mine.yaml"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "mine.yaml" in printed
    assert "foreign" not in sys.modules
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("options", FOREIGN_OPTIONS.values(), ids=FOREIGN_OPTIONS)
def test_options_from_elsewhere_run_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, options: tuple[str, ...]
) -> None:
    (tmp_path / "foreign.py").write_text("raise SystemExit('foreign code has run')\n")
    (tmp_path / "further.yaml").write_text("train: {class_path: foreign.Files}\n")
    (tmp_path / "mine.yaml").write_text("model: foreign.Model\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert "foreign" not in sys.modules
    assert not (tmp_path / "runs").exists()


def test_a_sweep_file_from_elsewhere_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "foreign.py").write_text("raise SystemExit('foreign code has run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for path in (
        sweep_file(tmp_path, model={"value": "foreign.Model"}),
        sweep_file(tmp_path, trainer__callbacks={"value": "foreign.Callback"}),
        sweep_file(tmp_path, data__validation={"value": {"class_path": "foreign.Files"}}),
        sweep_file(tmp_path, model__help={"value": "foreign.Model"}),
    ):
        assert run_sweep(path, tmp_path / "runs") == 2
        assert str(path) in capsys.readouterr().err
    path.write_text("method: !!python/object/apply:foreign.called []\n")
    assert run_sweep(path, tmp_path / "runs") == 2
    assert f"{path}:1: not valid YAML" in capsys.readouterr().err
    assert "foreign" not in sys.modules
