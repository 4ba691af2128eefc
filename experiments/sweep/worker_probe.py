"""How many workers pay, `--workers auto`: measured, by the training steps a second of several of them side by side."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from experiments.config.trial import Trial
from experiments.sweep.dry_run import now, train
from experiments.sweep.workers import Job, Watcher, run_jobs

PAYS = 1.1  # what further workers have to multiply the steps a second by
WARM_UP = 3  # steps that are not counted
SECONDS = 3.0  # that are
ENOUGH = 10**9  # steps: time ends training here
PATIENCE = 120.0  # seconds until the last worker has warmed up


def workers_that_pay(rate: Callable[[int], float], most: int) -> int:
    """The number of workers, 1, 2, 4 and so on, beyond which steps a second grow by less than a tenth.

    Args:
        rate: steps a second of so many workers together, 0 where they cannot run side by side.
        most: workers.
    """
    count, best = 1, rate(1)
    while best > 0 and count < most:
        more = min(2 * count, most)
        further = rate(more)
        if further < PAYS * best:
            break
        count, best = more, further
    return count


def steps_a_second(trial: Trial, count: int, threads: int, preload: Sequence[str], cards: Sequence[str]) -> float:
    """What so many workers come to that train the same trial side by side; 0 where one fails, as without memory.

    No trial is written.

    Args:
        trial: what each trains, for some seconds.
        count: workers.
        threads: of each.
        preload: as in `run_jobs`.
        cards: likewise.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    together = multiprocessing.get_context("forkserver").Barrier(count)
    rates = _Rates()
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(f"{number}", Path(folder) / str(number), (trial, threads, together)) for number in range(count)]
        ended = {outcome.status for outcome in run_jobs(jobs, work, count, preload, rates, cards)}
    if "interrupted" in ended:
        raise KeyboardInterrupt
    return sum(rates.of.values()) if ended == {"done"} else 0.0


class _Rates(Watcher):
    """What each worker reports, which here is no share but its steps a second."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}

    def progressed(self, job: Job, share: float) -> None:
        self.of[job.name] = share


def work(payload: tuple[Trial, int, Any], folder: Path, report: Callable[[float, str], None]) -> None:
    """Train a trial for some seconds, at the same time as the other workers, and report its steps a second."""
    trial, threads, together = payload
    window = Window(lambda: together.wait(PATIENCE))
    train(trial, threads, {"max_steps": ENOUGH, "limit_val_batches": 0}, window)
    report(window.rate, "")


class Window(Callback):
    """Counts steps from the moment when all workers have warmed up, and ends training when it has enough.

    Args:
        ready: waits until they have.
    """

    def __init__(self, ready: Callable[[], object]) -> None:
        self.ready = ready
        self.begin, self.rate = 0.0, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step == WARM_UP and not self.begin:
            now(trainer)  # what the device has still to do belongs to the warm-up
            self.ready()
            self.begin = time.perf_counter()
        elif self.begin and step > WARM_UP and time.perf_counter() - self.begin >= SECONDS:
            self.rate = (step - WARM_UP) / (now(trainer) - self.begin)
            trainer.should_stop = True
