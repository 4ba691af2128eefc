"""A sweep over several machines by Ray, which places the trials, balances, and starts anew what a lost machine ran.

Every machine needs this suite and its data at the same paths, and one file system that all of them write to: a trial
that is started again elsewhere continues from the last checkpoint in its folder.
"""

import itertools
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UsageError
from experiments.sweep.workers import Job, Outcome, Watcher, Work, in_one_line, log_output

RETRIES = 5  # starts of a trial after the first, for machines and processes that are lost


def run_on_ray(
    jobs: Iterable[Job], work: Work, address: str, cpus: int, gpus: float, watcher: Watcher
) -> list[Outcome]:
    """Run every job as a task of a Ray cluster.

    Args:
        jobs: what to run; a sequence is placed at once, of anything else as many as have room, and the next when one
            has ended.
        work: a function of a module, called on some machine as work(payload, folder, report).
        address: of the cluster: host:port, or auto.
        cpus: cores a job takes.
        gpus: GPUs a job takes; 0.25 lets four share one.
        watcher: is told of each end.

    Returns:
        An outcome for each job that ended, in the order in which they did. After Ctrl-C the rest is missing.

    Raises:
        UsageError: Ray is not installed, or the cluster does not answer or can never hold a job.
    """
    try:
        import ray  # type: ignore[import-not-found]  # an optional extra
    except ImportError:
        raise UsageError("--ray: Ray is not installed; pip install 'lengthwise[ray]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, AssertionError, TimeoutError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UsageError(f"--ray: no cluster at {address}: {first}; start one with ray start --head") from None
    try:
        _check_share(max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), "cpus", cpus)
        _check_share(max(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), "gpus", gpus)
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, max_calls=1)(_work_in_folder)
        room = len(jobs) if isinstance(jobs, Sequence) else _room(ray.cluster_resources(), cpus, gpus)
        here, waiting = Path.cwd(), iter(jobs)
        return _collect(waiting, room, lambda job: task.remote(job, work, here), watcher)
    finally:
        ray.shutdown()  # which also ends what still runs


def _check_share(most: float, option: str, asked: float) -> None:
    if asked > most:
        raise UsageError(f"--{option}: {asked:g} is more than any machine of the cluster has, {most:g}")


def _room(resources: dict[str, float], cpus: int, gpus: float) -> int:
    """How many jobs a cluster holds at a time."""
    room = resources.get("CPU", 0) // cpus
    return max(1, int(min(room, resources.get("GPU", 0) / gpus) if gpus else room))


def _collect(waiting: Iterator[Job], room: int, start: Callable[[Job], Any], watcher: Watcher) -> list[Outcome]:
    import ray  # type: ignore[import-not-found]
    from ray.exceptions import RayError  # type: ignore[import-not-found]

    outcomes = []
    try:
        running = {start(job): job for job in itertools.islice(waiting, room)}
        while running:
            [ended], _ = ray.wait(list(running), num_returns=1)
            job = running.pop(ended)
            try:
                reason, seconds = ray.get(ended)
            except RayError as error:
                reason, seconds = f"{type(error).__name__} after {RETRIES + 1} starts", 0.0
            outcomes.append(Outcome(job, "failed" if reason else "done", reason, seconds))
            watcher.started(job)
            watcher.ended(outcomes[-1])
            running |= {start(job): job for job in itertools.islice(waiting, 1)}
    except KeyboardInterrupt:
        pass
    return outcomes


def _work_in_folder(job: Job, work: Work, directory: Path) -> tuple[str, float]:
    """What happens on a machine: the reason of a failure, empty where there is none, and seconds."""
    import ray  # type: ignore[import-not-found]

    begin = time.monotonic()
    try:
        os.chdir(directory)  # relative names of files mean what they mean where the sweep was started
        log_output(job.folder)
        print(f"begun on node {ray.get_runtime_context().get_node_id()}", file=sys.stderr, flush=True)
        work(job.payload, job.folder, lambda share, note: None)
    except Exception as error:
        traceback.print_exc()
        return in_one_line(error), time.monotonic() - begin
    return "", time.monotonic() - begin
