"""A sweep on a Ray cluster of two nodes on this machine, one of which is lost."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.main import main
from experiments.verbs.sweep import make_trials
from tests.helpers.trials import history, results, run, sweep_file

ray = pytest.importorskip("ray")
ROOT = Path(__file__).parents[3]
PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster  # type: ignore[import-not-found]

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cluster = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()


def node() -> dict[str, int]:
    """A node of one core. Its ports are settled: Ray waits only so long for its processes to choose theirs."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for opened in sockets:
            opened.bind(("", 0))
        ports = {name: opened.getsockname()[1] for name, opened in zip(PORTS, sockets, strict=True)}
    return {"num_cpus": 1, "object_store_memory": 80 * 2**20, **ports}


def nodes_of(folder: Path) -> list[str]:
    """The nodes on which a trial was begun."""
    log = folder / "log.txt"
    return re.findall(r"begun on node (\w+)", log.read_text()) if log.exists() else []


@pytest.mark.slow
def test_a_node_is_lost_and_its_trial_is_continued_on_another(cluster: Any, tmp_path: Path) -> None:
    second = cluster.add_node(**node())
    cluster.wait_for_nodes()
    path = sweep_file(
        tmp_path, model={"values": ["GRU", "LuongGlobal", "LSTM"]}, trainer__max_steps={"value": 300},
        early_stopping__patience={"value": 1000},
    )  # fmt: skip
    trials = make_trials(path, tmp_path / "runs", None, 0)[0]
    command = [sys.executable, "-m", "experiments.main", "sweep", str(path), "--output", str(tmp_path / "runs")]
    sweep = subprocess.Popen(
        [*command, "--ray", cluster.address], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        lost, deadline = [], time.monotonic() + 900
        while not lost and time.monotonic() < deadline and sweep.poll() is None:
            begun = [trial for trial in trials if (trial.folder / "checkpoints" / "last.ckpt").exists()]
            lost = [trial for trial in begun if nodes_of(trial.folder) == [second.node_id]]
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        printed, _ = sweep.communicate(timeout=900)
    finally:
        sweep.kill()
        sweep.wait()
    assert sweep.returncode == 0, printed
    assert "3 trials done" in printed
    assert len(lost) == 1, printed
    assert len(set(nodes_of(lost[0].folder))) == 2
    [whole] = [trial for trial in make_trials(path, tmp_path / "whole", None, 0)[0] if trial.name == lost[0].name]
    run(whole)
    assert (results(lost[0]), history(lost[0])) == (results(whole), history(whole))


def test_what_no_cluster_can_do_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, output = sweep_file(tmp_path), str(tmp_path / "runs")
    for more, message in (
        (["--workers", "2"], "--workers: Ray places the trials"),
        (["--cpus", "0"], "--cpus: 0 must be at least 1"),
        (["--gpus", "nan"], "--gpus: nan must be at least 0"),
    ):
        assert main(["sweep", str(path), "--output", output, "--ray", "127.0.0.1:1", *more]) == 2
        printed = capsys.readouterr().err
        assert message in printed and printed.count("\n") == 1
