"""The README does what it says: its commands resolve, and its architecture goes from one file to the figure."""

import csv
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiments.sweep.sweep_file import read_sweep
from experiments.trial.trial import resolve_trial
from tests.helpers.documents import README, ROOT, commands
from tests.helpers.text_files import stand_in_corpora
from tests.helpers.trials import SMALL

ON_TEXT = (ROOT / "docs" / "text.md").read_text()
ON_GRADIENTS = (ROOT / "docs" / "gradients.md").read_text()
ON_WANDB = (ROOT / "docs" / "wandb.md").read_text()


FIT_COMMANDS = [
    arguments for page in (README, ON_TEXT, ON_GRADIENTS, ON_WANDB) for arguments in commands("lengthwise fit", page)
]


@pytest.mark.parametrize("arguments", FIT_COMMANDS, ids=" ".join)
def test_fit_commands_resolve(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_corpora(tmp_path, monkeypatch)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    for name, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
        for language in ("en", "de"):
            shutil.copy(tmp_path / "corpora" / "by_length" / f"{split}.{language}", tmp_path / f"{name}.{language}")
    resolve_trial([*arguments, f"--runs={tmp_path}"])


@pytest.mark.parametrize("verb", ["translate", "align"])
def test_commands_on_text_are_understood(verb: str) -> None:
    parser = importlib.import_module(f"experiments.verbs.{verb}")._parser()
    understood = [*commands(f"lengthwise {verb}"), *commands(f"lengthwise {verb}", ON_TEXT)]
    assert understood
    for arguments in understood:
        parser.parse_args(arguments)


def test_the_page_on_text_names_a_sweep_and_where_its_trials_go() -> None:
    (swept,), (reported,) = commands("lengthwise sweep", ON_TEXT), commands("lengthwise report", ON_TEXT)
    assert reported == [f"runs/{read_sweep(ROOT / swept[0]).name}"]


def test_commands_on_gradients_are_understood_and_its_sweeps_exist() -> None:
    parser = importlib.import_module("experiments.verbs.gradients")._parser()
    understood = commands("lengthwise gradients", ON_GRADIENTS)
    assert understood
    for arguments in understood:
        parser.parse_args(arguments)
    names = [[f"runs/{read_sweep(ROOT / path).name}"] for (path,) in commands("lengthwise sweep", ON_GRADIENTS)]
    assert commands("lengthwise report", ON_GRADIENTS) == names


def test_the_page_on_wandb_lists_every_sweep() -> None:
    listed = {(ROOT / "docs" / path).resolve() for path in re.findall(r"\]\((\S+\.yaml)\)", ON_WANDB)}
    assert listed == {ROOT / "sweep.yaml", *(ROOT / "experiments" / "sweeps").glob("*.yaml")}


def test_swept_files_exist_and_the_report_reads_where_they_write() -> None:
    (swept,), (reported,) = commands("lengthwise sweep"), commands("lengthwise report")
    assert reported == [f"runs/{read_sweep(ROOT / swept[0]).name}"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for (target,) in commands("make"):
        assert re.search(rf"^{target}:", makefile, re.M)


# In one process, because each pays seconds for its imports.
ALL = """
import sys
import pytest
from experiments.main import main
if __name__ == "__main__":
    assert main(["sweep", "sweep.yaml", "--output", "runs"]) == 0
    assert main(["report", "runs"]) == 0
    sys.exit(pytest.main(["-v", "-p", "no:cacheprovider", "tests/lit_models/test_contract.py", "-k", "MeanContext"]))
"""


def test_the_readmes_architecture_goes_from_one_file_to_the_figure(tmp_path: Path) -> None:
    for package in ("analysis", "data", "experiments", "lit_models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (tmp_path / "lit_models" / "mean_context.py").write_text(code)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    parameters = {name: {"value": value} for name, value in SMALL.items()} | {
        "model": {"values": ["MeanContext", "GRU"]},
        "data.length": {"values": [3, 5]},
        "trainer.max_steps": {"value": 10},
    }
    del parameters["model.dropout"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"method": "grid", "parameters": parameters}))
    (tmp_path / "all.py").write_text(ALL)
    command = [sys.executable, "all.py"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "runs" / "figures" / "accuracy.csv").open() as file:
        drawn = {(row["arch"], row["train_length"]) for row in csv.DictReader(file)}
    assert {("MeanContext", "3"), ("MeanContext", "5"), ("GRU", "3"), ("GRU", "5")} <= drawn
    assert "MeanContext" in (tmp_path / "runs" / "report.md").read_text()
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 7, done.stdout
