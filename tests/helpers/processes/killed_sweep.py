"""A sweep whose workers are killed again and again.

Half of the kills come after a random time, wherever the worker is then; the others at a random one of its operations
on files, so that reading, checkpoints, tables and summaries are all struck in the middle of being written.
"""

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from experiments.config.trial import Trial
from experiments.sweep.workers import Job, Outcome, run_jobs
from experiments.trial.outcome import read_summary
from experiments.verbs.sweep import work

KILLS = 20
FILE_OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")
MOST_OPERATIONS = 60  # of a trial of this size, about


def killed_work(payload: tuple[Trial, str, float], folder: Path, report: Any) -> None:
    """Run a trial in a worker that is killed by SIGKILL on the way, unless it has ended before."""
    trial, how, when = payload
    if how == "time":
        _kill_after(when)
    elif how == "operation":
        _kill_at_operation(int(when))
    work((trial, 1), folder, report)


def _kill_after(seconds: float) -> None:
    victim = os.getpid()
    if os.fork() == 0:
        time.sleep(seconds)
        if os.getppid() == victim:
            os.kill(victim, signal.SIGKILL)
        os._exit(0)


def _kill_at_operation(number: int) -> None:
    seen = 0

    def count(event: str, details: Any) -> None:
        nonlocal seen
        if event in FILE_OPERATIONS:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _run(trials: list[Trial], plan: list[tuple[str, float]]) -> list[Outcome]:
    jobs = [Job(trial.name, trial.folder, (trial, *how)) for trial, how in zip(trials, plan, strict=True)]
    return run_jobs(jobs, killed_work, workers=2, preload=("experiments.verbs.sweep",))


def kill_workers(whole: list[Trial], killed: list[Trial]) -> int:
    """Run the trials of `whole` undisturbed, and those of `killed` until KILLS workers have been killed.

    Args:
        whole: trials of a sweep.
        killed: the same trials in another folder.

    Returns:
        The kills.
    """
    outcomes = _run(whole, [("never", 0.0)] * len(whole))
    assert all(outcome.status == "done" for outcome in outcomes), outcomes
    longest = max(outcome.seconds for outcome in outcomes)
    generator, kills = random.Random(7), 0
    while kills < KILLS:
        missing = [trial for trial in killed if read_summary(trial.folder) is None]
        if not missing:  # lucky ones: the last thing they wrote is taken away again, and they are begun anew
            for trial in killed:
                with contextlib.suppress(FileNotFoundError):
                    (trial.folder / "summary.json").unlink()
            missing = killed
        plan = [
            ("time", generator.uniform(0.0, longest)) if generator.random() < 0.5
            else ("operation", generator.randint(1, MOST_OPERATIONS))
            for _ in missing
        ]  # fmt: skip
        for outcome in _run(missing, plan):
            assert outcome.status == "done" or outcome.reason.startswith("killed by SIGKILL"), outcome
            kills += outcome.status == "failed"
    return kills
