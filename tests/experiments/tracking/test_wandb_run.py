"""What a trial shows in W&B, against a stand-in for its server; and that it comes back as the same tidy table."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.report.command import main as report
from analysis.tables import wandb_mirror as wandb_runs
from analysis.tables.trial_folders import Runs, load_runs
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.main import main
from tests.helpers.trials import arguments, copied, results, run, small_trial, text_trial
from tests.helpers.wandb.server import KEY, WandbServer, wandb_server
from tests.helpers.wandb.state import ENTITY, StoredRun

PROJECT = f"wandb:{ENTITY}/lengthwise"
ROW = ["trial", "eval_length", "bucket", "position", "metric"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No login, no leftover service, and a mirror of its own for each test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    wandb_runs.mirror.cache_clear()
    yield
    if wandb := sys.modules.get("wandb"):
        wandb.teardown()


def use(server: WandbServer, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {**server.environment(), **more}.items():
        monkeypatch.setenv(name, value)


def assert_same(local: Runs, remote: Runs) -> None:
    here, there = (runs.results.sort_values(ROW, ignore_index=True) for runs in (local, remote))
    pd.testing.assert_frame_equal(here, there)
    pd.testing.assert_frame_equal(local.trials, remote.trials, check_dtype=False)
    pd.testing.assert_frame_equal(local.sentences, remote.sentences)


def only(server: WandbServer) -> StoredRun:
    (stored,) = server.state.runs.values()
    return stored


def keys(stored: StoredRun) -> set[str]:
    return {key for row in stored.history for key in row}


def secret_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_run_shows_flat_keys_curves_tables_and_images_and_comes_back_as_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    options = {"model": "LuongGlobal", "data__eval_lengths": "[3,5,8]", "gradients__every": 20}
    trial = small_trial(tmp_path / "local", wandb="true", wandb_artifacts="true", **options)
    with wandb_server(error_every=12) as server:
        use(server, monkeypatch)
        run(trial)
        stored = only(server)
        assert server.refused > 1
        assert stored.states == ["running", "finished"]
        assert (stored.name, stored.group, stored.job_type) == (trial.name, trial.group, "fit")
        flat = {"arch": "LuongGlobal", "task": "reverse", "train_length": 5, "seed": 0, "num_params": 3372}
        assert flat.items() <= stored.config.items()
        assert flat.items() <= stored.summary.items()
        assert {"train/loss", "validation/greedy_token_accuracy", "gradient/distance_1"} <= keys(stored)
        lengths = [row["test/eval_length"] for row in stored.history if "test/eval_length" in row]
        positions = [row["test/position"] for row in stored.history if "test/position" in row]
        assert (lengths, positions) == ([3, 5, 8], [1, 2, 3, 4, 5, 6, 7, 8])
        assert {"samples", "attention/length_8", "gradients/gradient_norm"} <= keys(stored)
        images = [name for name in stored.files if name.endswith(".png")]
        assert images and all(stored.files[name].startswith(b"\x89PNG") for name in images)
        model, table = sorted(server.state.artifacts.values(), key=lambda artifact: artifact["type"])
        assert (model["type"], model["name"]) == ("model", f"{trial.name}-model")
        assert model["files"]["best.ckpt"] == (trial.folder / "checkpoints" / "best.ckpt").read_bytes()
        assert len(json.loads(table["files"]["samples.table.json"])["data"]) == 3 * 8
        assert_same(load_runs([tmp_path / "local"]), load_runs([PROJECT]))
        assert report([PROJECT]) == 0
        mirror = tmp_path / "runs" / "wandb" / ENTITY / "lengthwise"
        assert (mirror / "report.md").exists()
        local, mirrored = (
            json.loads((folder / trial.name / "summary.json").read_text())["architecture"]
            for folder in (tmp_path / "local", mirror)
        )
        assert mirrored == local and local["attends"] is True
        assert not secret_files(tmp_path)
    wandb_runs.mirror.cache_clear()
    monkeypatch.setattr(wandb_runs, "TIMEOUT_SECONDS", 2)
    capsys.readouterr()
    assert_same(load_runs([tmp_path / "local"]), load_runs([PROJECT]))  # the server is gone, the mirror is not
    assert "using the 1 runs in" in capsys.readouterr().err


def test_an_offline_run_of_text_gives_the_same_after_wandb_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = text_trial(
        tmp_path, model="Bahdanau", model__hidden_size=8, wandb="true", wandb_artifacts="true", trainer__max_steps=10
    )
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run(trial)
    (offline,) = (trial.folder / "wandb").glob("offline-run-*")
    with wandb_server() as server:
        use(server, monkeypatch)
        command = [sys.executable, "-m", "wandb", "sync", str(offline)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        stored = only(server)
        assert (stored.name, stored.group) == (trial.name, trial.group)
        assert {"samples", "test/bleu", "test/all/bleu", "validation/bleu"} <= keys(stored)
        assert any(key.startswith("attention/sentence_") for key in keys(stored))
        kinds = {artifact["type"]: set(artifact["files"]) for artifact in server.state.artifacts.values()}
        assert kinds["tokenizer"] >= {"source.model", "target.model"}
        assert kinds["model"] >= {"best.ckpt", "config.yaml"}
        assert_same(load_runs([tmp_path / "runs"]), load_runs([PROJECT]))
        mirrored = tmp_path / "runs" / "wandb" / ENTITY / "lengthwise" / trial.name
        assert (mirrored / "attention.json").read_bytes() == (trial.folder / "attention.json").read_bytes()
    assert not secret_files(tmp_path)


def complete_run(name: str, positions: int = 3, **changes: Any) -> StoredRun:
    """A run as this suite leaves it, with so many rows of history besides."""
    summary = {
        "status": "complete", "trial": name, "arch": "GRU", "task": "copy", "train_length": 5, "seed": 0,
        "min_train_length": 5, "vocabulary": 8, "num_params": 100, "device": "cpu", "threads": 1,
        "precision": "32-true", "steps": 10, "train_seconds": 1.5, "version": "0.1.0", "model": {"hidden_size": 4},
    }  # fmt: skip
    rows = [{"test/position": n, "test/greedy_token_accuracy_by_position/9": n / 7} for n in range(1, positions + 1)]
    rows.append({"test/eval_length": 9, "test/loss": 0.25, "test/perplexity": "Infinity"})
    stored = StoredRun(name, "lengthwise", ["finished"], name="renamed", summary=summary)
    stored.history = [{"_step": step, **row} for step, row in enumerate(rows)]
    for key, value in changes.items():
        setattr(stored, key, value)
    return stored


def test_all_rows_of_all_finished_runs_are_read_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [
        complete_run("long", positions=2345),
        complete_run("short", sweep="sweep1"),
        complete_run("running", states=["running"]),
        complete_run("foreign", summary={"loss": 1.0}),
    ]
    with wandb_server(page=1) as server:
        server.state.runs = {run.id: run for run in stored}
        use(server, monkeypatch)
        runs = load_runs([PROJECT])
        assert runs.trials["trial"].tolist() == ["long", "short"]
        by_position = runs.results[runs.results["position"].notna() & (runs.results["trial"] == "long")]
        assert by_position["position"].tolist() == list(range(1, 2346))
        assert by_position["value"].tolist() == [n / 7 for n in range(1, 2346)]
        assert float("inf") in runs.results["value"].tolist()
        assert load_runs([f"{PROJECT}/sweep1"]).trials["trial"].tolist() == ["short"]


def test_the_mirror_keeps_its_query_and_fetches_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = tmp_path / "runs" / "wandb" / ENTITY / "lengthwise"
    with wandb_server() as server:
        use(server, monkeypatch)
        server.state.runs = {name: complete_run(name) for name in ("same", "changed", "deleted")}
        load_runs([PROJECT])
        query = json.loads((mirrored / "query.json").read_text())["query"]
        assert query == {
            "server": server.url, "entity": ENTITY, "project": "lengthwise", "sweep": None,
            "states": ["finished", "failed"],
        }  # fmt: skip
        before = {path.parent.name: path.stat().st_mtime_ns for path in mirrored.glob("*/summary.json")}
        del server.state.runs["deleted"]
        server.state.runs["changed"].revision += 1
        wandb_runs.mirror.cache_clear()
        load_runs([PROJECT])
        after = {path.parent.name: path.stat().st_mtime_ns for path in mirrored.glob("*/summary.json")}
        assert after["same"] == before["same"]
        assert after["changed"] > before["changed"]
        assert "deleted" not in after
        (mirrored / "same" / "summary.json").unlink()
        wandb_runs.mirror.cache_clear()
        assert load_runs([PROJECT]).trials["trial"].tolist() == ["changed", "same"]


@pytest.mark.parametrize("address", ["wandb:lengthwise", "wandb:a/b/c/d", "wandb:../b", "wandb:a/ b"])
def test_a_malformed_address_is_one_line(address: str) -> None:
    with pytest.raises(ReportError, match="write wandb:ENTITY/PROJECT"):
        load_runs([address])


def test_a_project_without_a_server_or_a_mirror_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with wandb_server() as server:
        use(server, monkeypatch)
        assert report([f"wandb:{ENTITY}/other"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("lengthwise report: error: ")
    assert printed.count("\n") == 1


def test_disabled_wandb_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would fail
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    trial = small_trial(tmp_path, wandb="true")
    assert run(trial)["status"] == "complete"
    assert not (trial.folder / "wandb").exists()


def test_no_account_is_one_line_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        with pytest.raises(UsageError, match=r"^--wandb: .*; log in with wandb login, or set WANDB_MODE=offline$"):
            run(small_trial(tmp_path, wandb="true"))


def test_a_diverged_trial_is_a_failed_run_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": "Transformer", "model__learning_rate": 1e30, "wandb": "true"}
    with wandb_server() as server:
        use(server, monkeypatch)
        assert main(["fit", *arguments(tmp_path / "local", **options)]) == 2
        stored = only(server)
        assert stored.states == ["running", "failed"]
        assert stored.summary["status"] == "diverged"
        assert "lower model.learning_rate" in stored.summary["reason"]
        local, remote = (load_runs([path]).failures for path in (tmp_path / "local", PROJECT))
        assert len(remote) == 1
        pd.testing.assert_frame_equal(local, remote)


def failed_run(name: str, **changes: Any) -> StoredRun:
    """A run of a diverged trial as this suite leaves it."""
    flat = {"trial": name, "arch": "GRU", "task": "copy", "train_length": 5, "seed": 1, "num_params": 100}
    summary = {"status": "diverged", "reason": "the loss is not finite at step 7", "step": 7, "train/loss": 3.5, **flat}
    return StoredRun(**{"id": name, "project": "lengthwise", "states": ["failed"], "summary": summary, **changes})


@pytest.mark.usefixtures("undrawn")
def test_a_report_from_wandb_names_the_trials_that_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    with wandb_server() as server:
        stopped = failed_run("stopped", summary={"trial": "stopped", "arch": "GRU"})
        server.state.runs = {run.id: run for run in (complete_run("whole"), failed_run("diverged"), stopped)}
        use(server, monkeypatch)
        runs = load_runs([PROJECT])
        assert runs.trials["trial"].tolist() == ["whole"]
        assert runs.failures[["trial", "status", "step"]].to_numpy().tolist() == [["diverged", "diverged", 7]]
        assert report([PROJECT]) == 0
    written = (wandb_runs.MIRRORS / ENTITY / "lengthwise" / "report.md").read_text()
    assert "| diverged | diverged | 7 | the loss is not finite at step 7 |" in written


def test_a_trial_counts_by_its_last_complete_run_and_failed_only_where_it_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, failed = complete_run("twice"), failed_run("twice", id="failed")
    again = failed_run("twice", id="again", summary={**failed.summary, "step": 9})

    def complete_and_failed() -> tuple[list[str], list[int]]:
        wandb_runs.mirror.cache_clear()
        runs = load_runs([PROJECT])
        return runs.trials["trial"].tolist(), runs.failures["step"].tolist()

    with wandb_server() as server:
        use(server, monkeypatch)
        for stored, expected in (
            ([failed, again], ([], [9])),
            ([failed, whole, again], (["twice"], [])),
            ([failed, again], ([], [9])),
        ):
            server.state.runs = {run.id: run for run in stored}
            assert complete_and_failed() == expected


def test_an_agent_gets_its_run_of_a_trial_that_was_complete_already(
    finished: Callable[..., Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = copied(finished(), tmp_path / "local")
    with wandb_server() as server:
        server.state.runs = {"handed": StoredRun("handed", "lengthwise", ["pending"], sweep="sweep1")}
        use(server, monkeypatch, WANDB_SWEEP_ID="sweep1", WANDB_RUN_ID="handed")
        run(trial)
        assert only(server).states == ["pending", "running", "finished"]
        assert "train/loss" in keys(only(server))
        assert_same(load_runs([tmp_path / "local"]), load_runs([PROJECT]))


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """What a terminal's programs do; one started in the background of a script ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop_once_there(path: Path, number: signal.Signals) -> None:
    """Send this process a signal as soon as a file exists."""
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(os.getpid(), number)


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_trial_told_to_stop_ends_its_run_and_continues_to_the_same_numbers(
    finished: Callable[..., Trial],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    number: signal.Signals,
) -> None:
    options = {"trainer__max_steps": 160, "data__train_examples": 4000}
    whole, stopped = finished(**options), small_trial(tmp_path / "stopped", wandb="true", **options)
    last = stopped.folder / "checkpoints" / "last.ckpt"
    with wandb_server() as server:
        use(server, monkeypatch)
        thread = threading.Thread(target=stop_once_there, args=(last, number))
        thread.start()
        assert main(["fit", *arguments(tmp_path / "stopped", wandb="true", **options)]) == 130
        thread.join()
        assert "stopped; the same command continues where it was" in capsys.readouterr().err
        assert only(server).states == ["running", "failed"]
        assert not (stopped.folder / "failure.json").exists()
        assert not (stopped.folder / "summary.json").exists()
        run(stopped)
    assert results(stopped) == results(whole)
    first, second = server.state.runs.values()
    curve = [row for row in second.history if "train/loss" in row]
    assert [row["trainer/global_step"] for row in curve] == list(range(5, 161, 5))
    assert second.states[-1] == "finished"
    assert len([row for row in first.history if "train/loss" in row]) < len(curve)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_offline_runs_of_a_task_that_ctrl_c_stopped_and_that_was_continued_are_whole_after_wandb_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"wandb": "true", "trainer__max_steps": 160, "data__train_examples": 4000}
    trial = small_trial(tmp_path / "local", **options)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    thread = threading.Thread(target=stop_once_there, args=(trial.folder / "checkpoints" / "last.ckpt", signal.SIGINT))
    thread.start()
    assert main(["fit", *arguments(tmp_path / "local", **options)]) == 130
    thread.join()
    num_params = run(trial)["num_params"]
    offline = [str(path) for path in (trial.folder / "wandb").glob("offline-run-*")]
    assert len(offline) == 2
    with wandb_server() as server:
        use(server, monkeypatch)
        command = [sys.executable, "-m", "wandb", "sync", *offline]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        stopped, complete = sorted(server.state.runs.values(), key=lambda stored: "status" in stored.summary)
        assert (stopped.states[-1], complete.states[-1]) == ("failed", "finished")
        flat = {"arch": "GRU", "task": "reverse", "train_length": 5, "seed": 0, "num_params": num_params}
        for stored in (stopped, complete):
            assert (stored.name, stored.group) == (trial.name, trial.group)
            assert flat.items() <= stored.config.items()
            assert flat.items() <= stored.summary.items()
        steps = [
            [row["trainer/global_step"] for row in stored.history if "train/loss" in row]
            for stored in (stopped, complete)
        ]
        assert steps[1] == list(range(5, 161, 5))
        assert 0 < len(steps[0]) < len(steps[1])
        assert "samples" in keys(complete)
        assert_same(load_runs([tmp_path / "local"]), load_runs([PROJECT]))
    assert not secret_files(tmp_path)
