"""The memory of a sweep of many small trials: python -m tests.helpers.processes.long_sweep FOLDER TRIALS."""

import json
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.config.trial import Trial, resolve_trial
from experiments.sweep.workers import Job, Outcome, Watcher, run_jobs
from experiments.verbs.sweep import work
from tests.helpers.trials import arguments


def resident(pid: int) -> float:
    """Memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured_work(payload: tuple[Trial, int], folder: Path, report: Any) -> None:
    """Run a trial, and write down the most memory it took, in MiB, and what the server takes it is forked from."""
    work(payload, folder, report)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    (folder / "memory.json").write_text(json.dumps([most, resident(os.getppid())]))


class Memory(Watcher):
    """Looks at this process when a job has ended."""

    def __init__(self) -> None:
        self.parent: list[float] = []

    def ended(self, outcome: Outcome) -> None:
        assert outcome.status == "done", outcome
        self.parent.append(resident(os.getpid()))


def main(folder: Path, count: int) -> None:
    """Run the trials, one after the other, and print MiB behind each of them."""
    first = resolve_trial(arguments(folder, trainer__max_steps=10))
    configs = [{**first.config, "seed_everything": seed} for seed in range(count)]
    trials = [replace(first, name=f"seed {seed}", config=config) for seed, config in enumerate(configs)]
    jobs = [Job(trial.name, trial.folder, (trial, 1)) for trial in trials]
    watcher = Memory()
    run_jobs(jobs, measured_work, workers=1, preload=("experiments.verbs.sweep",), watcher=watcher)
    memory = [json.loads((trial.folder / "memory.json").read_text()) for trial in trials]
    print(json.dumps({"parent": watcher.parent, "workers": [a for a, _ in memory], "server": [b for _, b in memory]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
