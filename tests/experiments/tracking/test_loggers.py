"""Lightning's other loggers: what they show of a trial."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.errors import UsageError
from tests.helpers.trials import rows_of, run, run_until, small_trial


def test_tensorboard_shows_curves_figures_and_options_of_a_resumed_trial_once(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, model="LuongGlobal", logger="tensorboard", gradients__every=20)
    run_until(trial, 25)
    summary = run(trial)
    events = EventAccumulator(str(trial.folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    steps = [event.step for event in events.Scalars("validation/loss")]
    assert [round(step, -1) for step in steps] == [10, 20, 30, 40]  # Lightning counts the last from 0
    assert events.Scalars("test/greedy_token_accuracy/5")[0].step == summary["steps"]
    images = events.Tags()["images"]
    assert any(name.startswith("attention/") for name in images)
    assert any(name.startswith("gradients/") for name in images)
    assert "model.hidden_size: 12" in (trial.folder / "tensorboard" / "hparams.yaml").read_text()


def test_a_trial_has_one_name_whatever_logs_it(tmp_path: Path) -> None:
    assert len({small_trial(tmp_path, logger=logger).name for logger in (None, "csv", "wandb", "mlflow")}) == 1


def test_the_csv_logger_writes_lightnings_table(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, logger="csv")
    run(trial)
    rows = rows_of(trial.folder / "csv" / "metrics.csv")
    assert len([row for row in rows if row["validation/loss"]]) == 4


def test_a_missing_package_and_two_loggers_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"--logger mlflow: its package is not installed; pip install 'lengthwise"):
        run(small_trial(tmp_path, logger="mlflow"))
    with pytest.raises(UsageError, match="--logger csv: --wandb true asks for W&B; leave one of them out"):
        run(small_trial(tmp_path, logger="csv", wandb="true"))
    assert not list(tmp_path.iterdir())
