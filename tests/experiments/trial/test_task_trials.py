"""Every task is trained, tested at its lengths and told apart from guessing, under the protocol of base.yaml."""

import csv
from pathlib import Path

import pytest

from data.tasks import TASKS, alphabet
from experiments.config.trial import resolve_trial
from tests.helpers.trials import run

BASE = Path(__file__).parents[3] / "experiments" / "configs" / "base.yaml"
TINY = {
    "parameter_budget": "null", "model.hidden_size": 8, "data.train_examples": 40, "data.validation_examples": 8,
    "data.test_examples": 8, "trainer.max_steps": 2, "trainer.val_check_interval": 2, "trainer.accelerator": "cpu",
    "threads": 1,
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_trained_and_tested(tmp_path: Path, task: str) -> None:
    asked = {"data.task": task, "data.length": 20, "data.eval_lengths": "[30]", **TINY, "runs": tmp_path}
    trial = resolve_trial([f"--config={BASE}", "--model=LSTM", *(f"--{name}={value}" for name, value in asked.items())])
    summary = run(trial)
    assert summary["vocabulary"] == alphabet(task, 32)
    assert summary["min_train_length"] == TASKS[task].least_length
    with (trial.folder / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "chance"]
    chances = {int(row["eval_length"]): float(row["value"]) for row in rows}
    assert set(chances) == {20, 30}
    assert chances == {length: TASKS[task].chance(alphabet(task, 32), length) for length in chances}
