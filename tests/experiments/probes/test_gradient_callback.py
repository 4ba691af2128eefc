"""Gradient flow measured while a trial trains: nothing of the training changes, and a restart is not seen."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger

from analysis.tables.gradient_tables import read_gradients
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.trial.run import run_trial
from tests.helpers.trials import Killed, arguments, history, results, run, run_until, small_trial


def measured_trial(runs: Path, every: int = 4, **changes: Any) -> Trial:
    return small_trial(runs, gradients__every=every, **changes)


Finished = Callable[..., Trial]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The small trial, measured at every fourth step and run to its end; tests leave it as it is."""
    trial = measured_trial(tmp_path_factory.mktemp("measured"))
    run(trial)
    return trial


@pytest.fixture(scope="module")
def measured_at_each_step(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The same, measured at each step."""
    trial = measured_trial(tmp_path_factory.mktemp("each"), every=1)
    run(trial)
    return trial


def table(trial: Trial) -> list[dict[str, str]]:
    with (trial.folder / "gradients.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def text_of(trial: Trial) -> str:
    return (trial.folder / "gradients.csv").read_text()


def test_without_the_option_nothing_is_measured(finished: Finished) -> None:
    assert not (finished().folder / "gradients.csv").exists()


def test_measuring_is_no_part_of_the_name_and_needs_a_number_of_steps(tmp_path: Path) -> None:
    assert measured_trial(tmp_path).name == small_trial(tmp_path).name
    with pytest.raises(UsageError, match=r"gradients\.every: -1 must be at least 0"):
        measured_trial(tmp_path, every=-1)


@pytest.mark.parametrize("model", ["GRU", "Transformer"])
def test_training_gives_bit_identical_weights_with_and_without(finished: Finished, tmp_path: Path, model: str) -> None:
    measured, plain = measured_trial(tmp_path, every=3, model=model), finished(model=model)
    run(measured)
    first, second = (
        torch.load(trial.folder / "checkpoints" / "last.ckpt", weights_only=True) for trial in (measured, plain)
    )
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, weight in first["state_dict"].items():
        assert torch.equal(weight, second["state_dict"][name])
    assert history(measured) == history(plain)
    assert results(measured) == results(plain)


def test_the_curve_is_written_at_step_0_while_training_and_at_the_end(tmp_path: Path) -> None:
    trial = measured_trial(tmp_path, every=15)
    run(trial)
    curves = [row for row in table(trial) if row["quantity"] == "embedding_gradient"]
    looks = dict.fromkeys((row["phase"], int(row["step"])) for row in curves)
    assert list(looks) == [("initial", 0), ("training", 15), ("training", 30), ("trained", 40)]
    for phase, step in looks:
        curve = [row for row in curves if (row["phase"], int(row["step"])) == (phase, step)]
        assert [int(row["distance"]) for row in curve] == [1, 2, 3, 4, 5]
        assert all(row["sequences"] == "32" and float(row["mean"]) > 0 for row in curve)
    assert len({row["mean"] for row in curves if row["distance"] == "1"}) == 4


def test_the_analysis_reads_what_training_writes(tmp_path: Path) -> None:
    trial = measured_trial(tmp_path, model__reverse_source="true", trainer__gradient_clip_val="null")
    run(trial)
    read = read_gradients([trial.folder])
    assert set(read["arch"] + "|" + read["variant"]) == {"GRU|dropout=0.1, reverse_source=True, gradient_clip_val=None"}
    assert set(read["task"]) == {"reverse"}
    assert len(read) == len(table(trial))


def test_total_norms_are_made_of_those_of_the_modules(measured_at_each_step: Trial) -> None:
    by_step: dict[str, dict[str, float]] = defaultdict(dict)
    for row in table(measured_at_each_step):
        if row["quantity"].startswith("gradient_norm"):
            by_step[row["step"]][row["quantity"]] = float(row["mean"])
            assert row["low"] == row["mean"] == row["high"]  # of a single step
    assert len(by_step) == 40
    for norms in by_step.values():
        total = norms.pop("gradient_norm")
        assert set(norms) == {
            f"gradient_norm/{module}"
            for module in ("source_embedding", "target_embedding", "encoder", "decoder", "readout")
        }
        assert total**2 == pytest.approx(sum(norm**2 for norm in norms.values()), rel=1e-6)


def test_norms_are_those_before_clipping(tmp_path: Path) -> None:
    """The first step's gradient is the same whatever the limit, and more than half of them are above 0.01."""
    firsts, shares = [], {}
    for limit in (0.01, 1000.0, "null"):
        trial = measured_trial(tmp_path / str(limit), every=1, trainer__max_steps=5, trainer__gradient_clip_val=limit)
        run(trial)
        rows = table(trial)
        firsts.append(next(row["mean"] for row in rows if row["quantity"] == "gradient_norm"))
        shares[limit] = [float(row["mean"]) for row in rows if row["quantity"] == "clipped"]
    assert len(set(firsts)) == 1
    assert float(firsts[0]) > 0.01
    assert shares == {0.01: [1.0] * 5, 1000.0: [0.0] * 5, "null": []}


def test_a_row_sums_up_the_steps_since_the_one_before(measured_at_each_step: Trial, tmp_path: Path) -> None:
    all_together = measured_trial(tmp_path, every=100)
    run(all_together)
    single = [float(row["mean"]) for row in table(measured_at_each_step) if row["quantity"] == "gradient_norm"]
    [row] = [row for row in table(all_together) if row["quantity"] == "gradient_norm"]
    assert float(row["mean"]) == pytest.approx(sum(single) / 40, rel=1e-9)
    assert (float(row["low"]), float(row["high"])) == (min(single), max(single))
    assert row["phase"] == "trained"


# Validation and checkpoint fall on every tenth step, a look on every fourth.
@pytest.mark.parametrize("step", [7, 15, 21, 39])
def test_a_stopped_trial_leaves_the_same_table(measured: Trial, tmp_path: Path, step: int) -> None:
    stopped = measured_trial(tmp_path)
    run_until(stopped, step)
    with (stopped.folder / "gradients.csv").open("a") as file:
        file.write("GRU,,rever")  # what a killed process may leave
    run(stopped)
    assert text_of(stopped) == text_of(measured)
    assert results(stopped) == results(measured)


@pytest.mark.parametrize("changes", [{}, {"early_stopping__patience": 1, "early_stopping__min_delta": 100.0}])
def test_a_trial_stopped_behind_its_last_step_leaves_the_same_table(tmp_path: Path, changes: dict) -> None:
    whole, stopped = measured_trial(tmp_path / "whole", **changes), measured_trial(tmp_path / "stopped", **changes)
    run(whole)

    def die_when_evaluating(share: float, note: str) -> None:
        if note == "evaluating":
            raise Killed

    with pytest.raises(Killed):
        run_trial(stopped, stopped.folder, die_when_evaluating)
    run(stopped)
    assert text_of(stopped) == text_of(whole)


def test_text_is_measured_by_distance_from_the_end_of_each_sentence(tmp_path: Path) -> None:
    trial = measured_trial(tmp_path, every=20, data__task="numbers", data__vocabulary=400, data__batch_tokens=1000)
    run(trial)
    counts = [int(row["sequences"]) for row in table(trial) if row["phase"] == "trained" and row["distance"]]
    assert counts[0] == 32
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 32


class Recorder(DummyLogger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[int | None, dict[str, float]] = defaultdict(dict)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.told[step].update(metrics)


def test_loggers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("experiments.tracking.wandb_run.begin_run", lambda *_: recorder)
    monkeypatch.setattr("experiments.tracking.wandb_run.WandbTracker.log_trial", lambda *_: None)
    trial = measured_trial(tmp_path, wandb="true", trainer__max_steps=10)
    run(trial)
    for step in (0, 4, 8, 10):
        distances = {f"gradient/distance_{distance}" for distance in range(1, 6)}
        scalars = {"gradient/norm", "gradient/norm/encoder", "gradient/clipped"} if step else set()
        assert distances | scalars <= recorder.told[step].keys()
    rows = [row for row in table(trial) if (row["phase"], row["distance"]) == ("trained", "5")]
    assert [float(row["mean"]) for row in rows] == [recorder.told[10]["gradient/distance_5"]]


def test_a_saved_configuration_keeps_the_option(measured: Trial, tmp_path: Path) -> None:
    again = resolve_trial([f"--config={measured.folder / 'config.yaml'}", arguments(tmp_path / "elsewhere")[-1]])
    assert again.config["gradients"] == {"every": 4}
