"""`wandb sweep` and `wandb agent` run a sweep file as it is, against a stand-in for W&B's server."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from analysis.tables.trial_folders import load_runs
from tests.helpers.processes.workers import wait_for
from tests.helpers.trials import SMALL, results, run, small_trial
from tests.helpers.wandb.server import KEY, WandbServer, wandb_server
from tests.helpers.wandb.state import StoredRun

ROOT = Path(__file__).parents[3]
PATIENCE = 300.0  # a machine may be busy; every step of this takes seconds on an idle one
LONG = {"trainer.max_steps": 300, "trainer.val_check_interval": 20, "data.train_examples": 4000}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder to run agents in, with a `lengthwise` on the path that runs these very sources."""
    command = tmp_path / "bin" / "lengthwise"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m experiments.main "$@"\n')
    command.chmod(0o755)
    return tmp_path


def environment(workplace: Path, server: WandbServer) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    home = {"HOME": str(workplace / "home"), "PATH": f"{workplace / 'bin'}:{os.environ['PATH']}"}
    return {**others, **home, **server.environment(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def sweep_file(workplace: Path) -> Path:
    """One small trial, in the form of the committed sweeps, with values as a bayes or random search gives them."""
    content = {
        "name": "small",
        "project": "lengthwise",
        "method": "grid",
        "metric": {"name": "validation/loss", "goal": "minimize"},
        "parameters": {name: {"value": value} for name, value in {**SMALL, **LONG}.items()}
        | {"model.embedding_size": {"value": "replaced"}},
        "command": ["${env}", "lengthwise", "fit", "${args}"],
    }
    path = workplace / "small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def wandb(arguments: list[str], workplace: Path, server: WandbServer) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "wandb", *arguments]
    return subprocess.run(
        command, cwd=workplace, env=environment(workplace, server), capture_output=True, text=True, timeout=PATIENCE
    )


@contextlib.contextmanager
def agent(sweep: str, workplace: Path, server: WandbServer) -> Iterator[subprocess.Popen]:
    """An agent of its own process group, which is gone at the end."""
    command = [sys.executable, "-m", "wandb", "agent", sweep]
    with (workplace / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=workplace, env=environment(workplace, server), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def trainings(workplace: Path) -> list[int]:
    """Processes that train in this folder."""
    training = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if b"experiments.main" in (entry / "cmdline").read_bytes() and (entry / "cwd").resolve() == workplace:
                training.append(int(entry.name))
    return training


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_killed_agents_trial_stops_and_the_next_agent_completes_it(workplace: Path) -> None:
    # Parameters in the order of Z to A, so that a model comes behind its options; null and whole numbers as W&B
    # writes them; and a server that fails now and then.
    values = {"model.embedding_size": None, "model.hidden_size": 12.0, "data.length": 5.0}
    with wandb_server(error_every=6, reverse=True, overrides=values) as server:
        created = wandb(["sweep", str(sweep_file(workplace))], workplace, server)
        assert created.returncode == 0, created.stderr
        (sweep,), (stored,) = server.state.sweeps, server.state.runs.values()
        runs = workplace / "runs"
        with agent(sweep, workplace, server) as process:
            assert wait_for(lambda: list(runs.glob("*/checkpoints/last.ckpt")), PATIENCE), (
                workplace / "agent.log"
            ).read_text()
            process.terminate()
            process.wait(PATIENCE)
        assert wait_for(lambda: not trainings(workplace), PATIENCE)
        assert stored.states == ["pending", "running", "preempted"]
        assert not list(runs.glob("*/summary.json"))
        assert not list(runs.glob("*/failure.json"))
        with agent(sweep, workplace, server) as process:
            process.wait(PATIENCE)
        log = (workplace / "agent.log").read_text()
        assert stored.states[2:] == ["preempted", "running", "finished"], log
        assert "Traceback" not in log
        assert server.refused > 3
    check_run(stored)
    (trial,) = load_runs([runs]).trials["trial"]
    whole = small_trial(workplace / "whole", **{name.replace(".", "__"): value for name, value in LONG.items()})
    run(whole)
    assert whole.name == trial
    assert (runs / trial / "results.csv").read_text() == results(whole)
    assert not [path for path in workplace.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def check_run(stored: StoredRun) -> None:
    """The run belongs to its sweep, and has the sweep's keys beside the flat ones."""
    assert stored.sweep is not None
    assert stored.config["model"] == "GRU"
    flat = {"arch": "GRU", "task": "reverse", "train_length": 5, "seed": 0}
    assert flat.items() <= stored.config.items()
    assert stored.summary["status"] == "complete"
