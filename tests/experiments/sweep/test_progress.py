"""The estimate of the time a sweep still takes."""

from pathlib import Path

import pytest

from experiments.sweep import progress
from experiments.sweep.progress import SweepProgress
from experiments.sweep.workers import Job, Outcome


def jobs(*kinds: tuple[str, int]) -> list[Job]:
    return [
        Job(f"{arch} {length} {n}", Path(), None, float(length), (arch, length))
        for n, (arch, length) in enumerate(kinds)
    ]


def test_what_ended_trials_took_weighs_those_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """By model and length where such a trial has ended, else by the model's time for its size, else by all."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    slow, fast, same, longer, other = jobs(("A", 10), ("B", 10), ("A", 10), ("B", 20), ("C", 10))
    watched = SweepProgress([slow, fast, same, longer, other], 5)
    watched.started(slow)
    watched.progressed(slow, 0.0)
    watched.progressed(slow, 0.5)
    clock[0] = 10.0
    assert watched.left() == "at most 2 min left"  # of sizes that sum to 60, 5 are done
    clock[0] = 60.0
    watched.ended(Outcome(slow, "done", seconds=60.0))
    watched.started(fast)
    clock[0] = 64.0
    watched.ended(Outcome(fast, "done", seconds=4.0))
    # A 10 takes 60 s again, B 20 twice the 4 s of B 10, C 10 the mean of 32 s.
    assert watched.left() == "about 2 min left"
    assert watched._ahead() == pytest.approx(60 + 8 + 32)
    watched.started(same)
    clock[0] = 84.0
    assert watched._ahead() == pytest.approx(40 + 8 + 32)


def test_what_an_earlier_run_had_done_took_no_time_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    (resumed,) = jobs(("A", 10))
    watched = SweepProgress([resumed], 1)
    watched.started(resumed)
    watched.progressed(resumed, 0.5)
    assert watched.left() == "estimating the time left"
    clock[0] = 10.0
    watched.progressed(resumed, 0.6)
    assert watched.share == 0.6 and watched.left() == "at most 40 s left"
