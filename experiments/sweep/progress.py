"""How far a sweep is, and how long it will still take."""

import sys
import time
from collections.abc import Callable, Iterable

from tqdm import tqdm

from experiments.sweep.workers import Job, Outcome, Watcher


class Durations:
    """What jobs take, from those that have ended: by their kind, else by their size.

    Trials mostly end before their last step, and architectures differ in their cost a step by far more than their
    tokens; so neither steps nor sizes alone say how long a trial will take.
    """

    def __init__(self) -> None:
        self.ended: list[tuple[Job, float]] = []

    def of(self, job: Job) -> float:
        """The seconds a job is expected to take: as those of its kind, else by its size as those that share the first
        part of its kind, else as all."""
        for parts in (len(job.kind), 1, 0):
            alike = [end for end in self.ended if end[0].kind[:parts] == job.kind[:parts]]
            if alike:
                return job.size * sum(seconds for _, seconds in alike) / sum(other.size for other, _ in alike)
        raise LookupError("no job has ended")


class SweepProgress(Watcher):
    """How far a sweep is: a bar on a terminal; elsewhere a line for each ended trial, and one now and then."""

    QUIET_SECONDS = 30.0

    def __init__(self, jobs: Iterable[Job], count: int, then: Callable[[Outcome], None] = lambda outcome: None) -> None:
        """Args:
        jobs: those that are known beforehand.
        count: how many there are in all.
        then: is told of each end, after the user.
        """
        self.then = then
        self.waiting = {job.name: job for job in jobs}
        self.running: dict[str, tuple[Job, float]] = {}  # with the time of its start
        self.shares: dict[str, float] = {}  # of what runs
        self.found: dict[str, float] = {}  # such shares that an earlier run had done
        self.durations = Durations()
        self.ended_jobs, self.failed, self.count = 0, 0, count
        self.begin = self.last_line = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(total=1000, dynamic_ncols=True, bar_format="{percentage:3.0f}%|{bar}| {desc}")
        self._show()

    @property
    def share(self) -> float:
        """Of all the work, 0 to 1."""
        if not self.durations.ended:
            return self._of_all(self.shares)
        done = sum(seconds for _, seconds in self.durations.ended)
        ahead = self._ahead()
        return done / ((done + ahead) or 1.0)

    def _of_all(self, shares: dict[str, float]) -> float:
        """What shares of running jobs are of all the work, by the sizes of jobs."""
        known = {**self.waiting, **{name: job for name, (job, _) in self.running.items()}}
        total = sum(job.size for job in known.values()) * self.count / (len(known) or 1)
        return sum(known[name].size * share for name, share in shares.items()) / (total or 1.0)

    def _ahead(self) -> float:
        """Seconds that the jobs to come and the rest of the running ones take, one after the other."""
        now, of = time.monotonic(), self.durations.of
        rest = [max(0.0, of(job) - (now - begin)) for job, begin in self.running.values()]
        known = [of(job) for job in self.waiting.values()]
        unknown = self.count - self.ended_jobs - len(rest) - len(known)  # whose turn decides what they are
        mean = sum(seconds for _, seconds in self.durations.ended) / len(self.durations.ended)
        return sum(rest) + sum(known) + max(0, unknown) * mean

    def left(self) -> str:
        """The estimated time to the end. Until a trial has ended it is the most: most end before their last step."""
        now = time.monotonic()
        if self.durations.ended:
            busy = sum(seconds for _, seconds in self.durations.ended)
            busy += sum(now - begin for _, begin in self.running.values())
            at_a_time = max(1.0, busy / (now - self.begin))
            return f"about {duration(self._ahead() / at_a_time)} left"
        gained = self.share - self._of_all(self.found)
        if gained < 0.005:
            return "estimating the time left"
        return f"at most {duration((now - self.begin) * (1 - self.share) / gained)} left"

    def started(self, job: Job) -> None:
        self.waiting.pop(job.name, None)
        self.running[job.name] = job, time.monotonic()
        self._show()

    def progressed(self, job: Job, share: float) -> None:
        self.shares[job.name] = share
        self.found.setdefault(job.name, share)
        if self.bar is None and time.monotonic() - self.last_line > self.QUIET_SECONDS:
            self._line(f"{self.share:.0%} done, {self.left()}")
        self._show()

    def ended(self, outcome: Outcome) -> None:
        name = outcome.job.name
        del self.running[name]
        self.shares.pop(name, None)
        self.found.pop(name, None)
        if outcome.status == "interrupted":
            return
        self.durations.ended.append((outcome.job, outcome.seconds))
        self.ended_jobs += 1
        self.failed += outcome.status == "failed"
        if self.bar is None:
            what = f"{outcome.status} in {duration(outcome.seconds)}"
            reason = f": {outcome.reason}" if outcome.reason else ""
            self._line(f"[{self.ended_jobs}/{self.count}] {name} {what}{reason}, {self.left()}")
        elif outcome.status == "failed":
            self.bar.write(f"{name} failed: {outcome.reason}", file=sys.stderr)
        self._show()
        self.then(outcome)

    def _line(self, text: str) -> None:
        self.last_line = time.monotonic()
        print(text, file=sys.stderr, flush=True)

    def _show(self) -> None:
        if self.bar is None:
            return
        failed = f", {self.failed} failed" if self.failed else ""
        names = ", ".join(name.rpartition("-")[0] for name in self.running)
        self.bar.set_description_str(
            f"{self.ended_jobs}/{self.count} trials{failed}, {self.left()} · {names}", refresh=False
        )
        self.bar.n = round(self.share * 1000)
        self.bar.refresh()

    def close(self) -> None:
        """Leave the terminal in order."""
        if self.bar is not None:
            self.bar.close()


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
