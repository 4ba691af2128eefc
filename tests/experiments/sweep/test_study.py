"""Sweeps whose trials are compared as they run: bayes and early_terminate, by a study of Optuna's."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.sweep import study as studies
from experiments.sweep.objective import Hyperband, Metric
from experiments.sweep.study import FILE, EarlyTermination, Study
from experiments.sweep.sweep_file import read_sweep
from experiments.sweep.workers import Job, Outcome
from experiments.verbs.sweep import make_trials
from tests.helpers.trials import history, run_sweep, sweep_file

LOSS = {"name": "validation/loss", "goal": "minimize"}
SPACE = {
    "model": {"parameters": {"cell": {"values": ["gru", "lstm"]}, "depth": {"min": 1, "max": 3}}},
    "rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
    "batch": {"distribution": "q_log_uniform_values", "q": 8, "min": 32, "max": 256},
    "noise": {"distribution": "normal", "mu": 1.0, "sigma": 0.5},
    "sizes": {"values": [[1, 2], [3]]},
    "fixed": {"value": 5},
}


class Folder(Study):
    """A study whose trials are not trained: a number stands for what each of them measures."""

    def __init__(self, folder: Path, count: int, seed: int = 0, parameters: Any = SPACE, **more: Any) -> None:
        path = folder / "sweep.yaml"
        content = {"method": "bayes", "metric": LOSS, "parameters": parameters, **more}
        path.write_text(yaml.safe_dump(content))
        first = Trial("first", "", {"trainer": {"max_steps": 90, "val_check_interval": 10}}, {}, 1.0)
        super().__init__(read_sweep(path), None, count, seed, folder, first)

    def play(self, ends: int | None = None) -> list[dict[str, Any]]:
        """Give each trial a value; leave the study as a process that is killed does after so many."""
        played = []
        for number, point in self._trials():
            played.append(point)
            if ends is not None and len(played) > ends:
                break
            self.study.tell(number, math.log10(point["rate"]) ** 2 + point["model.depth"])
        return played


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies that are kept, by their paths, in memory, which is faster."""
    storages: dict[Path, Any] = {}
    make = studies._optuna().storages.InMemoryStorage
    monkeypatch.setattr(studies, "_storage", lambda path: storages.setdefault(path, make()))


@pytest.mark.usefixtures("in_memory")
def test_points_are_values_of_the_file(tmp_path: Path) -> None:
    points = Folder(tmp_path, 25).play()
    assert len(points) == 25
    assert {point["model.cell"] for point in points} == {"gru", "lstm"}
    assert {point["model.depth"] for point in points} <= {1, 2, 3}
    assert all(1e-4 <= point["rate"] <= 0.1 for point in points)
    assert all(point["batch"] % 8 == 0 and 32 <= point["batch"] <= 256 for point in points)
    assert len({point["noise"] for point in points}) > 20
    assert all(point["sizes"] in ([1, 2], [3]) and point["fixed"] == 5 for point in points)


@pytest.mark.usefixtures("in_memory")
def test_a_study_that_was_killed_goes_on_with_the_trials_of_one_that_was_not(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = Folder(tmp_path / "whole", 14, seed=3).play()
    before = Folder(tmp_path / "killed", 14, seed=3).play(ends=11)
    after = Folder(tmp_path / "killed", 14, seed=3).play()
    assert before[:11] + after == whole
    assert before[11] == after[0]  # the one that was running is run again


@pytest.mark.usefixtures("in_memory")
def test_a_study_of_another_sweep_or_seed_is_refused(tmp_path: Path) -> None:
    Folder(tmp_path, 2).play()
    with pytest.raises(UsageError, match=f"{FILE}: the study of another sweep or --seed"):
        Folder(tmp_path, 2, seed=1)


@pytest.mark.usefixtures("in_memory")
def test_no_trial_is_begun_once_the_target_is_reached(tmp_path: Path) -> None:
    parameters = {"x": {"min": 0.0, "max": 1.0}}
    study = Folder(tmp_path, 9, parameters=parameters, metric={**LOSS, "target": 0.5})
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "history.csv").write_text(
        "step,seconds,split,metric,value\n1,1,validation,loss,0.4\n2,1,validation,loss,0.6\n"
    )
    for number, _ in study._trials():
        study.running["trial"] = [number]
        study.told(Outcome(Job("trial", tmp_path / "trial", None), "done"))
    assert [trial.value for trial in study.study.trials] == [0.4]  # the best of its curve
    assert study.unfinished == 0


@pytest.mark.usefixtures("in_memory")
def test_hyperband_stops_what_falls_behind(tmp_path: Path) -> None:
    """Of trials that differ from their first validation on, the later and worse ones are stopped at a comparison."""
    hyperband = {"type": "hyperband", "min_iter": 1, "eta": 3}
    study = Folder(tmp_path, 12, parameters={"x": {"min": 0.0, "max": 1.0}}, early_terminate=hyperband)
    assert study.hyperband == Hyperband(1, 9, 3)
    assert study.hyperband is not None
    stopped_at = []
    for number, _ in study._trials():
        rule = EarlyTermination(study.path, number, Metric("validation/loss", False, None), study.hyperband)
        compare: Any = rule.callback()
        for count in range(1, 10):
            compare.trial.report(float(number), count)
            if compare.trial.should_prune():
                stopped_at.append(count)
                study.study.tell(number, state=study.optuna.trial.TrialState.PRUNED)
                break
        else:
            study.study.tell(number, float(number))
    assert len(stopped_at) >= 6
    assert set(stopped_at) <= {1, 3, 9}
    assert study.best() is not None and study.best()[1] == 0.0  # type: ignore[index]


def test_without_optuna_the_sweep_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match=r"needs Optuna, which is not installed; pip install 'lengthwise\[bayes\]'"):
        Folder(tmp_path, 2)


@pytest.mark.slow
def test_a_bayes_sweep_runs_stops_and_names_its_best_trial(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Trials with a learning rate of nothing fall behind; the same command again has nothing left to do."""
    path = sweep_file(tmp_path, model__learning_rate={"values": [1e-9, 0.02]}, model__dropout={"min": 0.0, "max": 0.2})
    content = yaml.safe_load(path.read_text())
    extra = {"method": "bayes", "metric": LOSS, "run_cap": 4, "early_terminate": {"type": "hyperband", "min_iter": 2}}
    path.write_text(yaml.safe_dump({**content, **extra}))
    output = tmp_path / "runs"
    assert run_sweep(path, output, "--workers", "1") == 0
    out, err = capsys.readouterr()
    assert err.count("unlike the W&B server") == 1
    stopped = [json.loads(each.read_text()) for each in output.glob("*/failure.json")]
    complete = list(output.glob("*/summary.json"))
    assert stopped and len(stopped) + len(complete) == 4
    assert {(each["status"], each["step"]) for each in stopped} <= {("stopped", step) for step in (10, 20, 30, 40)}
    assert f"{len(complete)} trials done" in err and f"{len(stopped)} stopped early" in err
    best = min(
        (float(value), trial.folder.name)
        for trial in (Trial(each.parent.name, "", {"runs": output}, {}, 1.0) for each in complete)
        for _, split, metric, value in history(trial)
        if (split, metric) == ("validation", "loss")
    )[1]
    assert f", {best}\n" in err
    assert out.startswith("lengthwise fit ") and "--model.learning_rate=0.02" in out
    written = {each: each.stat().st_mtime_ns for each in output.glob("*/*.json")}
    assert run_sweep(path, output, "--workers", "1") == 0
    assert written == {each: each.stat().st_mtime_ns for each in output.glob("*/*.json")}
    assert "4 of them complete already" in capsys.readouterr().err


def test_a_dry_run_of_a_bayes_sweep_draws_at_random(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, model__dropout={"min": 0.0, "max": 0.2})
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "method": "bayes", "metric": LOSS, "run_cap": 3}))
    assert len(make_trials(path, tmp_path / "runs", None, 0)[0]) == 3
