"""The keys of a sweep file that say how trials are compared: metric and early_terminate."""

from pathlib import Path

import pytest
import yaml

from experiments.errors import UsageError
from experiments.sweep.objective import Hyperband
from experiments.sweep.sweep_file import read_sweep

LOSS = {"name": "validation/loss"}
HYPERBAND = {"type": "hyperband", "min_iter": 1}
GOOD = {"method": "grid", "parameters": {"data.length": {"values": [5]}}}


def written(folder: Path, content: dict) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "metric: missing; method: bayes needs its name and its goal"),
        ({"early_terminate": HYPERBAND}, "metric: missing; early_terminate needs its name"),
        ({"metric": LOSS, "early_terminate": {"type": "median"}}, "early_terminate: W&B knows one type"),
        (
            {"metric": LOSS, "early_terminate": {"type": "hyperband"}},
            "early_terminate: give min_iter, or max_iter and s",
        ),
        ({"metric": LOSS, "early_terminate": HYPERBAND | {"eta": 1.5}}, "eta: 1.5 must be a whole number, at least 2"),
        (
            {"metric": LOSS, "early_terminate": HYPERBAND | {"min_itr": 1}},
            "key min_itr is unknown; did you mean min_iter?",
        ),
        ({"metric": LOSS | {"name": "test/loss/5"}, "early_terminate": HYPERBAND}, "test/loss/5 is known at the end"),
        (
            {"method": "bayes", "metric": {"name": "val_loss"}},
            "metric: val_loss is not measured; name validation/METRIC",
        ),
        ({"method": "bayes", "metric": {"name": "validation/los"}}, "did you mean validation/loss?"),
        ({"method": "bayes", "metric": {"name": "validation/bleu"}}, "minimize contradicts validation/bleu"),
    ],
)
def test_what_trials_cannot_be_compared_by_is_refused_in_one_line(tmp_path: Path, change: dict, message: str) -> None:
    path = written(tmp_path, {**GOOD, **change})
    with pytest.raises(UsageError) as refused:
        read_sweep(path)
    assert str(refused.value).startswith(f"{path}: ") and message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_differs_from_the_server_is_one_note(tmp_path: Path) -> None:
    path = written(tmp_path, {**GOOD, "method": "bayes", "metric": LOSS, "early_terminate": HYPERBAND})
    (note,) = read_sweep(path).notes
    assert note.startswith("unlike the W&B server: bayes is Optuna's")
    assert "early_terminate is Optuna's Hyperband" in note


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"min_iter": 3}, Hyperband(first=3, most=None, eta=3)),
        ({"min_iter": 2, "eta": 2, "strict": True}, Hyperband(first=2, most=None, eta=2)),
        ({"max_iter": 27, "s": 2}, Hyperband(first=3, most=27, eta=3)),
    ],
)
def test_hyperband_counts_as_in_a_sweep_file_of_wandb(tmp_path: Path, settings: dict, expected: Hyperband) -> None:
    path = written(tmp_path, {**GOOD, "metric": LOSS, "early_terminate": {"type": "hyperband", **settings}})
    assert read_sweep(path).hyperband == expected
