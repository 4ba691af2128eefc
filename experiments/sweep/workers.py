"""Running jobs in parallel worker processes, each job in a process of its own.

A server process imports the heavy libraries once and forks for every job (multiprocessing's forkserver), so a job
costs no import, and neither a crash nor a leak of one can touch another.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from experiments.errors import UsageError

GRACE_SECONDS = 2.0  # between asking a worker to end and ending it
REPORT_SECONDS = 0.3  # a worker reports its progress no more often


@dataclass(frozen=True)
class Job:
    """Something to run in a folder of its own.

    Attributes:
        name: what people see.
        folder: where it works; its output goes to log.txt there.
        payload: what `work` gets; anything that can be pickled.
        size: relative cost, for the estimate of the time left.
        kind: jobs that take about as long share it, those that are somewhat alike its first part.
    """

    name: str
    folder: Path
    payload: Any
    size: float = 1.0
    kind: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a job ended: done, failed or interrupted, and why."""

    job: Job
    status: str
    reason: str = ""
    seconds: float = 0.0


class Watcher:
    """Is told what happens; does nothing by itself."""

    def started(self, job: Job) -> None:
        """A worker has begun the job."""

    def progressed(self, job: Job, share: float) -> None:
        """The job is this far, 0 to 1."""

    def ended(self, outcome: Outcome) -> None:
        """The job has ended."""


@dataclass
class _Running:
    job: Job
    process: Any
    pipe: Connection
    card: str | None = None
    begin: float = field(default_factory=time.monotonic)
    ending: str | None = None  # what the worker itself said at its end


Work = Callable[[Any, Path, Callable[[float, str], None]], None]


def run_jobs(
    jobs: Iterable[Job],
    work: Work,
    workers: int,
    preload: Sequence[str] = (),
    watcher: Watcher | None = None,
    cards: Sequence[str] = (),
) -> list[Outcome]:
    """Run every job, at most `workers` at a time, in the given order.

    Args:
        jobs: what to run; each is asked for when a worker is free, and after `watcher` has heard of what ended before.
        work: a function of a module, called in the worker as work(payload, folder, report); it tells its progress
            by report(share, note).
        workers: processes at a time.
        preload: modules the server imports once for all of them.
        watcher: is told what happens.
        cards: GPUs, as CUDA_VISIBLE_DEVICES names them; a job sees the one that fewest others use.

    Returns:
        An outcome for each job that was started, in the order in which they ended. Ctrl-C and SIGTERM end the
        running jobs, which come back as interrupted; the rest is not started.

    Raises:
        UsageError: fewer than one worker.
    """
    if workers < 1:
        raise UsageError(f"--workers: {workers} must be at least 1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    watcher = watcher or Watcher()
    waiting, running, outcomes, more = iter(jobs), [], [], True
    with _stop_requests() as stopped, contextlib.ExitStack() as at_the_end:
        at_the_end.callback(_stop, running)  # whatever goes wrong here, nothing trains on unseen
        while (more or running) and not stopped.is_set():
            while more and len(running) < workers:
                job = next(waiting, None)
                if job is None:
                    more = False
                    break
                used = Counter(worker.card for worker in running)
                running.append(_start(context, job, work, min(cards, key=used.__getitem__, default=None)))
                watcher.started(running[-1].job)
            wait([worker.pipe for worker in running] + [worker.process.sentinel for worker in running], timeout=0.5)
            for worker in list(running):
                _listen(worker, watcher)
                if not worker.process.is_alive():
                    _listen(worker, watcher)
                    running.remove(worker)
                    outcomes.append(_outcome(worker))
                    watcher.ended(outcomes[-1])
        _stop(running)
        for worker in running:
            outcomes.append(Outcome(worker.job, "interrupted", seconds=time.monotonic() - worker.begin))
            watcher.ended(outcomes[-1])
    return outcomes


@contextlib.contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, in place of the exception that could strike anywhere."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(context: Any, job: Job, work: Work, card: str | None) -> _Running:
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_worker, args=(job, work, theirs, card), name=job.name)
    process.start()
    theirs.close()
    return _Running(job, process, mine, card)


def _listen(worker: _Running, watcher: Watcher) -> None:
    """Read what a worker has sent."""
    try:
        while worker.pipe.poll():
            kind, value = worker.pipe.recv()
            if kind == "progress":
                watcher.progressed(worker.job, value)
            else:
                worker.ending = value
    except (EOFError, OSError):
        pass


def _outcome(worker: _Running) -> Outcome:
    worker.process.join()
    seconds = time.monotonic() - worker.begin
    code = worker.process.exitcode
    if code == 0 and worker.ending == "":
        return Outcome(worker.job, "done", seconds=seconds)
    if worker.ending:
        return Outcome(worker.job, "failed", worker.ending, seconds)
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return Outcome(worker.job, "failed", f"killed by {name}{hint}", seconds)
    return Outcome(worker.job, "failed", f"the worker ended with exit code {code}", seconds)


def _stop(running: list[_Running]) -> None:
    """End the workers: politely, then not."""
    for worker in running:
        worker.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for worker in running:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _worker(job: Job, work: Work, pipe: Connection, card: str | None) -> None:
    """The life of a worker process."""
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card  # read when the GPU is first used
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    last = 0.0

    def report(share: float, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > REPORT_SECONDS:
            last = now
            pipe.send(("progress", share))

    try:
        log_output(job.folder)
        work(job.payload, job.folder, report)
    except BaseException as error:
        pipe.send(("end", in_one_line(error)))
        with contextlib.suppress(OSError):  # on a full disk the log has no room for it
            traceback.print_exc()
        sys.exit(1)
    pipe.send(("end", ""))


def log_output(folder: Path) -> None:
    """Send what this process prints to log.txt in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


def in_one_line(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}".removesuffix(": ")


def _end_with_parent() -> None:
    """A worker whose parent was killed must not train on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
