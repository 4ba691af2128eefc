"""`--workers auto`: as many workers as pay, measured by the steps that they take a second side by side."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.main import main
from experiments.sweep import dry_run, worker_probe
from experiments.sweep.worker_probe import steps_a_second, work, workers_that_pay
from experiments.verbs import sweep
from tests.helpers.pretend_device import ACCELERATOR
from tests.helpers.pretend_device.trainer import pretend_trainer
from tests.helpers.trials import small_trial, sweep_file


@pytest.mark.parametrize(
    ("rates", "most", "expected"),
    [
        ({1: 10, 2: 19, 4: 33, 8: 34}, 16, 4),
        ({1: 10, 2: 10.5}, 16, 1),
        ({1: 10, 2: 20, 4: 40, 6: 60}, 6, 6),
        ({1: 10, 2: 20, 4: 0}, 16, 2),  # a card without memory for four
        ({1: 0}, 16, 1),  # the sweep itself says why
        ({1: 10}, 1, 1),
    ],
)
def test_workers_are_doubled_until_that_gains_less_than_a_tenth(
    rates: dict[int, float], most: int, expected: int
) -> None:
    asked = []
    assert workers_that_pay(lambda count: asked.append(count) or rates[count], most) == expected
    assert asked == list(rates)


class Meeting:
    """What lets all workers begin at a time; here there is one."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture(params=["cpu", ACCELERATOR], name="accelerator")
def _accelerator(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "cpu":
        yield request.param
        return
    with pretend_trainer():
        yield request.param


def test_a_worker_counts_its_steps_once_all_have_warmed_up(
    tmp_path: Path, accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which every look takes a second."""
    looks = itertools.count(1.0)
    for module in (worker_probe, dry_run):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(looks)))
    monkeypatch.setattr(worker_probe, "SECONDS", 4.0)
    trial = small_trial(tmp_path / "runs", trainer__accelerator=accelerator)
    meeting, rates = Meeting(), []
    work((trial, 1, meeting), tmp_path, lambda rate, note: rates.append(rate))
    assert meeting.waited == [worker_probe.PATIENCE]
    assert rates == [4 / 5]  # the look that ends it is one more
    assert not (tmp_path / "runs").exists()


def test_the_sweep_runs_with_as_many_workers_as_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rate(trial: Any, count: int, threads: int, *_: Any) -> float:
        assert (trial.labels["arch"], threads) == ("GRU", 8 // count)
        return min(count, 4) * 10.0

    monkeypatch.setattr(sweep, "available_cores", lambda: 8)
    monkeypatch.setattr(worker_probe, "steps_a_second", rate)
    arguments = ["sweep", str(sweep_file(tmp_path)), "--output", str(tmp_path / "runs"), "--dry-run"]
    assert main([*arguments, "--workers", "auto"]) == 0
    printed = capsys.readouterr()
    assert "workers: 4 come to 40 steps a second" in printed.err
    assert "4 at a time with 2 threads each" in printed.out
    assert main([*arguments, "--workers", "many"]) == 2
    assert capsys.readouterr().err.strip().endswith("--workers: 'many' is neither a number nor auto")


@pytest.mark.slow
def test_processes_side_by_side_come_to_a_rate_and_one_that_fails_to_none(tmp_path: Path) -> None:
    preload = ("experiments.verbs.sweep",)
    assert steps_a_second(small_trial(tmp_path), 2, 1, preload, []) > 0
    assert steps_a_second(small_trial(tmp_path, data__vocabulary=10**12), 2, 1, preload, []) == 0
    assert not list(tmp_path.iterdir())
