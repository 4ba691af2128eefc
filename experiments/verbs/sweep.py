"""`lengthwise sweep FILE`: run the trials of a W&B sweep file here, in parallel, without W&B."""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments.config.arguments import OneLineParser, require_at_least
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.files import exclusive_lock
from experiments.machine import available_cores
from experiments.sweep.sweep_file import LARGEST_SEED, MOST_TRIALS, expand, read_sweep, to_arguments
from experiments.sweep.workers import Job, Outcome, Watcher, run_jobs
from experiments.trial.outcome import read_summary, write_failure
from experiments.trial.run import run_trial


class SweepProgress(Watcher):
    """How far a sweep is: a bar on a terminal; elsewhere a line for each ended trial, and one now and then."""

    QUIET_SECONDS = 30.0

    def __init__(self, jobs: list[Job]) -> None:
        self.sizes = {job.name: job.size for job in jobs}
        self.shares = dict.fromkeys(self.sizes, 0.0)
        self.running: list[str] = []
        self.ended_jobs, self.failed, self.count = 0, 0, len(jobs)
        self.begin = self.last_line = time.monotonic()
        self.total = sum(self.sizes.values())
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(total=1000, dynamic_ncols=True, bar_format="{percentage:3.0f}%|{bar}| {desc}")
        self._show()

    @property
    def share(self) -> float:
        """Of all the work, 0 to 1."""
        return sum(self.sizes[name] * share for name, share in self.shares.items()) / (self.total or 1.0)

    def left(self) -> str:
        """The estimated time to the end."""
        elapsed = time.monotonic() - self.begin
        if self.share < 0.005:
            return "estimating the time left"
        seconds = elapsed * (1 - self.share) / self.share
        return f"about {duration(seconds)} left"

    def started(self, job: Job) -> None:
        self.running.append(job.name)
        self._show()

    def progressed(self, job: Job, share: float) -> None:
        self.shares[job.name] = share
        if self.bar is None and time.monotonic() - self.last_line > self.QUIET_SECONDS:
            self._line(f"{self.share:.0%} done, {self.left()}")
        self._show()

    def ended(self, outcome: Outcome) -> None:
        name = outcome.job.name
        self.running.remove(name)
        if outcome.status == "interrupted":
            return
        self.shares[name] = 1.0
        self.ended_jobs += 1
        self.failed += outcome.status == "failed"
        if self.bar is None:
            what = f"{outcome.status} in {duration(outcome.seconds)}"
            reason = f": {outcome.reason}" if outcome.reason else ""
            self._line(f"[{self.ended_jobs}/{self.count}] {name} {what}{reason}, {self.left()}")
        elif outcome.status == "failed":
            self.bar.write(f"{name} failed: {outcome.reason}", file=sys.stderr)
        self._show()

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


def work(payload: tuple[Trial, int], folder: Path, report: Any) -> None:
    """Run one trial in a worker, with its share of the threads."""
    trial, threads = payload
    if trial.config["threads"] is None:
        trial.config["threads"] = threads
    run_trial(trial, folder, report)


def make_trials(path: Path, output: Path | None, count: int | None, seed: int) -> tuple[list[Trial], Path, list[str]]:
    """The trials of a sweep file, resolved and checked before anything starts; their folder; notes for the user.

    Raises:
        UsageError: one line that names the file, the key or the option.
    """
    sweep = read_sweep(path)
    runs = output or Path("runs") / re.sub(r"[^\w-]+", "-", sweep.name)
    trials: dict[str, Trial] = {}
    for point in expand(sweep, count, seed):
        try:
            trial = resolve_trial([*to_arguments(sweep, point), f"--runs={runs}"])
        except UsageError as error:
            raise UsageError(f"{path}: {error}{_where_to_start(path, str(error))}") from None
        trials.setdefault(trial.name, trial)
    return list(trials.values()), runs, list(sweep.notes)


def _where_to_start(path: Path, message: str) -> str:
    """What to add to a message on a file that is not there: names in a sweep file count from where the sweep starts,
    here as under a W&B agent."""
    missing = re.search(r": ([^:]+) does not exist", message)
    folders = [folder for folder in path.resolve().parents if missing and (folder / missing[1]).exists()]
    return f" here; start the sweep in {folders[0]}" if folders else ""


def main(arguments: list[str]) -> int:
    """Run a sweep; 0 when every trial is complete, 1 when some failed, 130 after Ctrl-C."""
    options = _options(arguments)
    trials, runs, notes = make_trials(options.file, options.output, options.count, options.seed)
    cores = available_cores()
    workers = options.workers if options.workers is not None else cores
    threads = max(1, cores // workers)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if options.dry_run:
        return _dry_run(trials, workers, threads)
    with exclusive_lock(runs, "--output"):
        if options.ray is not None:
            from experiments.sweep.ray_cluster import run_on_ray

            share = {"cpus": options.cpus, "gpus": options.gpus}
            place = partial(run_on_ray, work=work, address=options.ray, **share)
            how = f"on Ray, {options.cpus} core{'s' * (options.cpus > 1)} each"
            return _run(trials, runs.resolve(), place, options.cpus, how)
        place = partial(run_jobs, work=work, workers=workers, preload=("experiments.verbs.sweep",))
        return _run(trials, runs, place, threads, f"{workers} at a time, {threads} thread{'s' * (threads > 1)} each")


def _dry_run(trials: list[Trial], workers: int, threads: int) -> int:
    from experiments.sweep.dry_run import cells, table, total

    kinds = cells(trials)
    for line in table(kinds, threads):
        print(line, flush=True)
    print(total(kinds, workers, threads))
    return 0


def _run(trials: list[Trial], runs: Path, place: Callable[..., list[Outcome]], threads: int, how: str) -> int:
    """Run the trials that are missing; the exit code."""
    missing = [trial for trial in trials if read_summary(trial.folder) is None]
    already = len(trials) - len(missing)
    jobs = [Job(trial.name, runs / trial.name, (trial, threads), trial.cost) for trial in missing]
    print(
        f"{len(trials)} trials in {runs}{f', {already} of them complete already' if already else ''}; {how}",
        file=sys.stderr,
        flush=True,
    )
    progress = SweepProgress(jobs)
    begin = time.monotonic()
    try:
        outcomes = place(jobs, watcher=progress)
    finally:
        progress.close()
    for outcome in outcomes:
        if outcome.status == "failed" and not (outcome.job.folder / "failure.json").exists():
            # The worker died before it could say why itself.
            labels = outcome.job.payload[0].labels
            write_failure(outcome.job.folder, {"status": "failed", "reason": outcome.reason, "step": None, **labels})
    return _summary(outcomes, already, len(jobs), runs, time.monotonic() - begin)


def _summary(outcomes: list[Outcome], already: int, missing: int, runs: Path, seconds: float) -> int:
    """Say what ran, what failed and where to look; the exit code that goes with it."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts['done']} trials done in {duration(seconds)}"]
    if already:
        parts.append(f"{already} were complete already")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    unstarted = missing - len(outcomes) + counts["interrupted"]
    if unstarted:
        parts.append(f"{unstarted} not finished; the same command continues")
    print(", ".join(parts) + f". Results: {runs}", file=sys.stderr)
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"  {outcome.job.name}: {outcome.reason}; see {outcome.job.folder / 'log.txt'}", file=sys.stderr)
    if unstarted:
        return 130
    return 1 if counts["failed"] else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        prog="lengthwise sweep",
        description="Run the trials of a W&B sweep file on this machine, without W&B: in parallel, each in a folder "
        "named after its configuration. The same command again runs only what is missing.",
    )
    parser.add_argument("file", type=Path, help="sweep file, such as sweep.yaml")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where trials are kept (default runs/NAME)")
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time (default: one a core)")
    parser.add_argument("--count", type=int, metavar="N", help="most trials; a random sweep needs it or a run_cap")
    parser.add_argument("--seed", type=int, default=0, help="what a random sweep draws from (default %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="print the trials, their sizes and the time; run none")
    cluster = parser.add_argument_group("several machines, by Ray")
    cluster.add_argument("--ray", metavar="ADDRESS", help="run on this Ray cluster: host:port, or auto")
    cluster.add_argument("--cpus", type=int, default=1, metavar="N", help="cores of a trial (default %(default)s)")
    cluster.add_argument("--gpus", type=float, default=0.0, metavar="X", help="GPUs of a trial, such as 0.5")
    options = parser.parse_args(arguments)
    for name, least in (("count", 1), ("seed", 0), ("workers", 1), ("cpus", 1)):
        if getattr(options, name) is not None:
            require_at_least(name, getattr(options, name), least)
    if options.count is not None and options.count > MOST_TRIALS:
        raise UsageError(f"--count: {options.count} must be at most {MOST_TRIALS}")
    if options.seed > LARGEST_SEED:
        raise UsageError(f"--seed: {options.seed} must be at most 2^128 - 1")
    if not 0 <= options.gpus < float("inf"):
        raise UsageError(f"--gpus: {options.gpus} must be at least 0")
    if options.ray is not None and options.workers is not None:
        raise UsageError("--workers: Ray places the trials; --cpus and --gpus are the share of each")
    return options
