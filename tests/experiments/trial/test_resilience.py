"""Whatever strikes a sweep: finished trials stay valid, nothing half written counts, the same command completes it."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.errors import ReportError
from analysis.tables.trial_folders import load_runs
from experiments.config.trial import Trial
from experiments.main import main
from experiments.trial.callbacks import read_history
from experiments.trial.outcome import read_summary
from experiments.verbs.sweep import make_trials
from tests.helpers.processes.killed_sweep import kill_workers
from tests.helpers.trials import (
    arguments,
    copied,
    history,
    results,
    run,
    run_sweep,
    run_until,
    small_trial,
    sweep_file,
)

ROOT = Path(__file__).parents[3]
Finished = Callable[..., Trial]


def process(*command: str) -> subprocess.Popen[str]:
    """A Python process in a session of its own, so that it can be killed with all its workers."""
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def kill_with_workers(running: subprocess.Popen[str]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 300
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"there never was {pattern}"
        time.sleep(0.01)


def tables(trials: list[Trial]) -> dict[str, Any]:
    return {trial.name: (results(trial), history(trial)) for trial in trials}


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_ends_with_the_same_tables(tmp_path: Path) -> None:
    path = sweep_file(
        tmp_path, model={"values": ["GRU", "Bahdanau", "Transformer"]}, trainer__max_steps={"value": 20},
        trainer__val_check_interval={"value": 5}, data__eval_lengths={"value": [3]},
    )  # fmt: skip
    whole, killed = (make_trials(path, tmp_path / name, None, 0)[0] for name in ("whole", "killed"))
    assert kill_workers(whole, killed) >= 20
    assert run_sweep(path, tmp_path / "killed") == 0
    assert len(whole) == 3
    assert tables(killed) == tables(whole)
    seen = [load_runs([tmp_path / name]).results.drop(columns="device") for name in ("whole", "killed")]
    assert seen[0].equals(seen[1])
    assert not list(tmp_path.glob("killed/**/*.partial"))


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_one_is_killed_and_then_continues_its_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    steps = {"trainer__max_steps": {"value": 400}, "trainer__val_check_interval": {"value": 50}}
    path = sweep_file(tmp_path, model={"values": ["GRU"]}, **steps)
    small = str(path), "--output", str(tmp_path / "runs"), "--workers", "1"
    first = process("-m", "experiments.main", "sweep", *small)
    try:
        wait_for(tmp_path, "runs/*/checkpoints/last.ckpt")
        os.killpg(first.pid, signal.SIGSTOP)  # or it would be done before the other has come, on a busy machine
        assert main(["sweep", *small]) == 2
    finally:
        kill_with_workers(first)
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1 and "is in use by another process" in refused
    [trial], [whole] = (make_trials(path, tmp_path / name, None, 0)[0] for name in ("runs", "whole"))
    assert read_summary(trial.folder) is None
    assert main(["sweep", *small]) == 0
    run(whole)
    assert tables([trial]) == tables([whole])


def test_a_checkpoint_between_two_rows_of_the_curves_takes_the_losses_along(tmp_path: Path) -> None:
    intervals = {"trainer__max_steps": 12, "trainer__val_check_interval": 4, "trainer__log_every_n_steps": 5}
    whole, cut = (small_trial(tmp_path / name, **intervals) for name in ("whole", "cut"))
    run(whole)
    run_until(cut, 6)  # the checkpoint is that of step 4, the next row is the mean of steps 1 to 5
    run(cut)
    assert tables([cut]) == tables([whole])


def test_a_crashed_sweep_copied_elsewhere_is_continued_there(finished: Finished, tmp_path: Path) -> None:
    values = {"model": {"values": ["GRU", "LuongGlobal"]}}
    path = sweep_file(tmp_path, **values)
    first, second = make_trials(path, tmp_path / "crashed", None, 0)[0]
    shutil.copytree(finished().folder, first.folder)
    run_until(second, 26)
    shutil.copytree(tmp_path / "crashed", tmp_path / "copied")
    shutil.rmtree(tmp_path / "crashed")
    trials = make_trials(path, tmp_path / "copied", None, 0)[0]
    begun = (trials[0].folder / "summary.json").stat().st_mtime_ns
    assert run_sweep(path, tmp_path / "copied", "--workers", "1") == 0
    assert (trials[0].folder / "summary.json").stat().st_mtime_ns == begun
    last = torch.load(trials[1].folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["callbacks"] and str(tmp_path / "crashed") not in (trials[1].folder / "log.txt").read_text()
    whole = finished(model="LuongGlobal")
    assert whole.name == trials[1].name
    assert tables([trials[1]]) == tables([whole])


@pytest.mark.parametrize("damaged", ["summary.json", "results.csv"])
@pytest.mark.parametrize("content", [b"", None])
def test_a_trial_whose_results_are_damaged_is_not_complete_and_is_evaluated_again(
    finished: Finished, tmp_path: Path, damaged: str, content: bytes | None
) -> None:
    trial = copied(finished(), tmp_path)
    before, path = results(trial), trial.folder / damaged
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    assert read_summary(trial.folder) is None
    run(trial)
    assert results(trial) == before


def test_what_a_report_says_of_a_table_damaged_in_its_middle_mends_it(finished: Finished, tmp_path: Path) -> None:
    trial = copied(finished(), tmp_path)
    before, path = results(trial), trial.folder / "results.csv"
    path.write_text(before.replace(",loss,", ",loss,x", 1))
    run(trial)
    with pytest.raises(ReportError, match=r"results\.csv: line .*; remove the trial's summary\.json and run it again"):
        load_runs([tmp_path])
    (trial.folder / "summary.json").unlink()
    run(trial)
    assert results(trial) == before


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"step,seconds\n", b"step,seconds,split,metric,value\n10,x,a,b,c\n"]
)
def test_a_trial_whose_curves_are_damaged_begins_anew(
    finished: Finished, killed: Trial, tmp_path: Path, content: bytes
) -> None:
    damaged = copied(killed, tmp_path)
    (damaged.folder / "history.csv").write_bytes(content)
    run(damaged)
    assert tables([damaged]) == tables([finished()])


@pytest.mark.parametrize("content", [b"", None])
def test_a_trial_whose_best_checkpoint_is_cut_short_begins_anew_and_keeps_what_there_was(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture, content: bytes | None
) -> None:
    trial = copied(finished(), tmp_path)
    best, last = (trial.folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    cut = best.read_bytes()[:-1000] if content is None else content
    before = last.read_bytes()
    best.write_bytes(cut)
    (trial.folder / "summary.json").unlink()
    run(trial)
    assert tables([trial]) == tables([finished()])
    assert f"{best} does not fit or cannot be read; " in capsys.readouterr().err
    aside = trial.folder / "checkpoints-unreadable"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {"best.ckpt": cut, "last.ckpt": before}


@pytest.mark.parametrize(
    "failure", [OSError(errno.EIO, "Input/output error"), MemoryError(), RuntimeError("can't allocate memory: 8 bytes")]
)
def test_a_disk_or_a_memory_that_fails_while_a_checkpoint_is_read_costs_no_checkpoint(
    finished: Finished, killed: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    trial = copied(killed, tmp_path)
    checkpoints = {path: path.read_bytes() for path in (trial.folder / "checkpoints").iterdir()}

    def fails(*_: Any, **__: Any) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "read_bytes") if isinstance(failure, OSError) else (torch, "load")), fails)
        with pytest.raises((OSError, MemoryError)):
            run(trial)
    assert {path: path.read_bytes() for path in (trial.folder / "checkpoints").iterdir()} == checkpoints
    run(trial)
    assert tables([trial]) == tables([finished()])


def test_a_row_that_a_killed_process_left_unfinished_is_not_read(killed: Trial, tmp_path: Path) -> None:
    path = copied(killed, tmp_path).folder / "history.csv"
    rows = read_history(path)
    path.write_bytes(path.read_bytes() + b"2,0.1,train,loss,1")
    assert read_history(path) == rows


FULL = """
import resource, sys
from experiments.main import main
if __name__ == "__main__":
    limit = int(sys.argv.pop(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.exit(main(sys.argv[1:]))
"""


def on_a_full_disk(folder: Path, limit: int, *command: str) -> tuple[int, str]:
    """Run the command where files grow to `limit` bytes, behind which writing fails as on a full disk."""
    script = folder / "full.py"
    script.write_text(FULL)
    started = process(str(script), str(limit), *command)
    printed, _ = started.communicate()
    return started.returncode, printed


def test_a_disk_that_is_full_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        code = main(["fit", *arguments(tmp_path / "runs")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 2
    printed = capsys.readouterr().err
    [line] = [line for line in printed.splitlines() if line.startswith("lengthwise")]
    assert "File too large: " in line and "config.yaml" in line
    assert "Traceback" not in printed
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_a_disk_that_fills_during_a_sweep_fails_its_trials_which_the_same_command_completes(
    finished: Finished, tmp_path: Path
) -> None:
    path = sweep_file(tmp_path, model={"values": ["GRU", "LuongGlobal"]})
    first, second = make_trials(path, tmp_path / "runs", None, 0)[0]
    shutil.copytree(finished().folder, first.folder)
    before = tables([first])
    small = str(path), "--output", str(tmp_path / "runs"), "--workers", "1"
    code, printed = on_a_full_disk(tmp_path, 20_000, "sweep", *small)  # too little for a checkpoint
    assert code == 1
    assert "1 failed" in printed and "File too large" in printed and "Traceback" not in printed
    assert not list(tmp_path.rglob("*.partial"))
    assert read_summary(second.folder) is None
    assert main(["sweep", *small]) == 0
    assert tables([first]) == before
    assert tables([second]) == tables([finished(model="LuongGlobal")])


def test_a_trial_that_asks_for_more_memory_than_there_is_fails_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = sweep_file(tmp_path, data__vocabulary={"values": [10**12, 8]})
    assert run_sweep(path, tmp_path / "runs", "--workers", "1") == 1
    [failure] = tmp_path.glob("runs/*/failure.json")
    recorded = json.loads(failure.read_text())
    assert recorded["status"] == "failed"
    assert recorded["reason"].startswith("out of memory: ")
    assert "\n" not in recorded["reason"]
    assert "1 trials done" in capsys.readouterr().err
    assert len(list(tmp_path.glob("runs/*/summary.json"))) == 1


def test_a_loss_that_explodes_without_becoming_infinite_is_diverged_at_its_step(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, model="Transformer", model__learning_rate=1e5, trainer__gradient_clip_val=None)
    with pytest.raises(Exception, match=r"the loss .* at step"):
        run(trial)
    failure = json.loads((trial.folder / "failure.json").read_text())
    assert failure["status"] == "diverged"
    assert 0 < failure["step"] <= 40


@pytest.mark.slow
def test_memory_of_a_sweep_stays_flat(tmp_path: Path) -> None:
    printed, _ = process("-m", "tests.helpers.processes.long_sweep", str(tmp_path), "24").communicate()
    seen = json.loads(printed.splitlines()[-1])
    assert len(seen["workers"]) == len(seen["parent"]) == 24
    for kind, tolerance in (("parent", 0.5), ("server", 0.5), ("workers", 4.0)):  # MiB
        early, late = (sorted(part)[len(part) // 2] for part in (seen[kind][3:10], seen[kind][-7:]))
        assert late - early < tolerance, (kind, seen[kind])
