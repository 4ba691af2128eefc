"""`lengthwise sweep FILE`: run the trials of a W&B sweep file here, in parallel, without W&B."""

import argparse
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.arguments import OneLineParser, require_at_least
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.files import exclusive_lock
from experiments.machine import available_cores
from experiments.sweep.progress import SweepProgress, duration
from experiments.sweep.sweep_file import LARGEST_SEED, MOST_TRIALS, Sweep, expand, most_trials, read_sweep, to_arguments
from experiments.sweep.workers import Job, Outcome, run_jobs
from experiments.trial.callbacks import TrialStopped
from experiments.trial.environment import graphics_cards
from experiments.trial.outcome import read_summary, was_stopped, write_failure
from experiments.trial.run import run_trial

if TYPE_CHECKING:
    from experiments.sweep.study import Study

AUTO = "auto"  # as many workers as pay


def work(payload: tuple[Any, ...], folder: Path, report: Any) -> None:
    """Run one trial in a worker, with its share of the threads; a study may stop it early."""
    trial, threads, *early = payload
    if trial.config["threads"] is None:
        trial.config["threads"] = threads
    try:
        run_trial(trial, folder, report, [rule.callback() for rule in early])
    except TrialStopped as stopped:
        print(stopped, file=sys.stderr)


def make_trials(
    path: Path, output: Path | None, count: int | None, seed: int, accelerator: str | None = None
) -> tuple[list[Trial], Path, list[str]]:
    """The trials of a sweep file, resolved and checked before anything starts; their folder; notes for the user.

    `accelerator` is that of all trials; None leaves it to the file.

    Raises:
        UsageError: one line that names the file, the key or the option.
    """
    sweep = _read(path, accelerator)
    runs = output or Path("runs") / re.sub(r"[^\w-]+", "-", sweep.name)
    trials: dict[str, Trial] = {}
    for point in expand(sweep, count, seed):
        trial = _resolve(sweep, point, runs)
        trials.setdefault(trial.name, trial)
    return list(trials.values()), runs, list(sweep.notes)


def _read(path: Path, accelerator: str | None) -> Sweep:
    sweep = read_sweep(path)
    chosen = [] if accelerator is None else [f"--accelerator={accelerator}"]
    return replace(sweep, command=(*sweep.command, *chosen))


def _resolve(sweep: Sweep, point: dict[str, Any], runs: Path) -> Trial:
    try:
        return resolve_trial([*to_arguments(sweep, point), f"--runs={runs}"])
    except UsageError as error:
        raise UsageError(f"{sweep.path}: {error}{_where_to_start(sweep.path, str(error))}") from None


def _where_to_start(path: Path, message: str) -> str:
    """What to add to a message on a file that is not there: names in a sweep file count from where the sweep starts,
    here as under a W&B agent."""
    missing = re.search(r": ([^:]+) does not exist", message)
    folders = [folder for folder in path.resolve().parents if missing and (folder / missing[1]).exists()]
    return f" here; start the sweep in {folders[0]}" if folders else ""


def main(arguments: list[str]) -> int:
    """Run a sweep; 0 when every trial is complete, 1 when some failed, 130 after Ctrl-C."""
    options = _options(arguments)
    sweep = _read(options.file, options.accelerator)
    count = most_trials(sweep, options.count)
    if sweep.method == "bayes" and not options.dry_run:
        count = 1  # further ones depend on results
    trials, runs, notes = make_trials(options.file, options.output, count, options.seed, options.accelerator)
    cores = available_cores()
    on_gpu = any(trial.config["trainer"]["accelerator"] != "cpu" for trial in trials)
    cards = graphics_cards() if on_gpu else []
    preload = ("experiments.verbs.sweep", *(["experiments.sweep.study", "optuna"] if sweep.metric else []))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    workers = cores if options.workers is None else options.workers
    if workers == AUTO:
        workers = _workers_that_pay(trials, cores, preload, cards)
    threads = max(1, cores // workers)
    if options.dry_run:
        return _dry_run(trials, workers, threads)
    with exclusive_lock(runs, "--output"):
        study = None if sweep.metric is None else _study(sweep, options, runs, trials[0])
        if options.ray is not None:
            from experiments.sweep.ray_cluster import run_on_ray

            share = {"cpus": options.cpus, "gpus": options.gpus}
            place = partial(run_on_ray, work=work, address=options.ray, **share)
            how = f"on Ray, {options.cpus} core{'s' * (options.cpus > 1)} each"
            return _run(trials, study, runs.resolve(), place, options.cpus, how)
        place = partial(run_jobs, work=work, workers=workers, preload=preload, cards=cards)
        return _run(
            trials, study, runs, place, threads, f"{workers} at a time, {threads} thread{'s' * (threads > 1)} each"
        )


def _workers_that_pay(trials: list[Trial], cores: int, preload: tuple[str, ...], cards: list[str]) -> int:
    """As many as pay for the first trial that is missing, at most one a core; said as it is measured."""
    from experiments.sweep.worker_probe import steps_a_second, workers_that_pay

    missing = [trial for trial in trials if read_summary(trial.folder) is None]

    def rate(count: int) -> float:
        steps = steps_a_second(missing[0], count, max(1, cores // count), preload, cards)
        print(f"workers: {count} {f'come to {steps:.4g} steps a second' if steps else 'cannot run'}", file=sys.stderr)
        return steps

    return workers_that_pay(rate, cores) if missing else 1


def _study(sweep: Sweep, options: argparse.Namespace, runs: Path, first: Trial) -> "Study":
    from experiments.sweep.study import Study  # Optuna is slow to import, and an extra

    points = None if sweep.method == "bayes" else expand(sweep, options.count, options.seed)
    count = most_trials(sweep, options.count) if points is None else len(points)
    assert count is not None
    return Study(sweep, points, count, options.seed, runs, first)


def _dry_run(trials: list[Trial], workers: int, threads: int) -> int:
    from experiments.sweep.dry_run import cells, table, total

    kinds = cells(trials)
    for line in table(kinds, threads):
        print(line, flush=True)
    print(total(kinds, workers, threads))
    return 0


def _run(
    trials: list[Trial], study: "Study | None", runs: Path, place: Callable[..., list[Outcome]], threads: int, how: str
) -> int:
    """Run the trials that are missing; the exit code."""
    if study is None:
        missing = [trial for trial in trials if read_summary(trial.folder) is None]
        jobs = [Job(trial.name, runs / trial.name, (trial, threads), trial.cost, trial.kind) for trial in missing]
        total, already = len(trials), len(trials) - len(missing)
    else:
        jobs = study.jobs(lambda point: _resolve(study.sweep, point, runs), runs, threads)
        total, already = study.count, study.ended
    print(
        f"{total} trials in {runs}{f', {already} of them complete already' if already else ''}; {how}",
        file=sys.stderr,
        flush=True,
    )
    told = {"then": study.told} if study else {}
    progress = SweepProgress([] if study else jobs, total - already, **told)
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
    return _summary(outcomes, already, total - already, study, runs, time.monotonic() - begin)


def _summary(
    outcomes: list[Outcome], already: int, missing: int, study: "Study | None", runs: Path, seconds: float
) -> int:
    """Say what ran, what failed and where to look, and which was best; the exit code that goes with it."""
    counts = Counter(outcome.status for outcome in outcomes)
    stopped = sum(outcome.status == "done" and was_stopped(outcome.job.folder) for outcome in outcomes)
    parts = [f"{counts['done'] - stopped} trials done in {duration(seconds)}"]
    if stopped:
        parts.append(f"{stopped} stopped early")
    if already:
        parts.append(f"{already} were complete already")
    failed = counts["failed"] + (study.refused if study else 0)
    if failed:
        parts.append(f"{failed} failed")
    unstarted = missing - len(outcomes) + counts["interrupted"] if study is None else study.unfinished
    if unstarted:
        parts.append(f"{unstarted} not finished; the same command continues")
    print(", ".join(parts) + f". Results: {runs}", file=sys.stderr)
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"  {outcome.job.name}: {outcome.reason}; see {outcome.job.folder / 'log.txt'}", file=sys.stderr)
    if study and (best := study.best()):
        point, value = best
        print(f"best: {study.metric.name} {value:.6g}, {_resolve(study.sweep, point, runs).name}", file=sys.stderr)
        print(f"lengthwise fit {shlex.join([*to_arguments(study.sweep, point), f'--runs={runs}'])}", flush=True)
    if unstarted:
        return 130
    return 1 if failed else 0


def _count_or_auto(text: str) -> int | str:
    if text == AUTO:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor {AUTO}") from None


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        prog="lengthwise sweep",
        description="Run the trials of a W&B sweep file on this machine, without W&B: in parallel, each in a folder "
        "named after its configuration. The same command again runs only what is missing.",
    )
    parser.add_argument("file", type=Path, help="sweep file, such as sweep.yaml")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where trials are kept (default runs/NAME)")
    parser.add_argument(
        "--workers",
        type=_count_or_auto,
        metavar="N",
        help="trials at a time (default: one a core); auto measures how many pay, at most one a core",
    )
    parser.add_argument(
        "--accelerator",
        choices=("auto", "cpu", "gpu"),
        help="where trials run (default: as the file says, else cpu); several GPUs are shared out among the workers",
    )
    parser.add_argument(
        "--count", type=int, metavar="N", help="most trials; a random or bayes sweep needs it or a run_cap"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="what a random or bayes sweep draws from (default %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the trials, their sizes and the time; run none")
    cluster = parser.add_argument_group("several machines, by Ray")
    cluster.add_argument("--ray", metavar="ADDRESS", help="run on this Ray cluster: host:port, or auto")
    cluster.add_argument("--cpus", type=int, default=1, metavar="N", help="cores of a trial (default %(default)s)")
    cluster.add_argument("--gpus", type=float, default=0.0, metavar="X", help="GPUs of a trial, such as 0.5")
    options = parser.parse_args(arguments)
    for name, least in (("count", 1), ("seed", 0), ("workers", 1), ("cpus", 1)):
        if isinstance(getattr(options, name), int):
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
