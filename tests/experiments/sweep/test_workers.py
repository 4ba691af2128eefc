"""Worker processes: one a job, in parallel, none left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.errors import UsageError
from experiments.sweep.workers import Job, Watcher, run_jobs
from tests.helpers.processes.workers import act, wait_for


def job(folder: Path, name: str, **payload: Any) -> Job:
    return Job(name, folder / name, payload)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


class Recorder(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def started(self, job: Job) -> None:
        self.told.append(("started", job.name))

    def progressed(self, job: Job, share: float) -> None:
        self.told.append(("progressed", job.name, share))

    def ended(self, outcome: Any) -> None:
        self.told.append(("ended", outcome.job.name, outcome.status))


def test_jobs_run_and_the_ways_of_ending_are_told_apart(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "good"), *(job(tmp_path, do, do=do) for do in ("fail", "exit", "die")), job(tmp_path, "last")]
    outcomes = {outcome.job.name: (outcome.status, outcome.reason) for outcome in run_jobs(jobs, act, workers=2)}
    assert outcomes == {
        "good": ("done", ""),
        "fail": ("failed", "RuntimeError: no such luck"),
        "exit": ("failed", "the worker ended with exit code 7"),
        "die": ("failed", "killed by SIGKILL; out of memory?"),
        "last": ("done", ""),
    }


def test_output_and_traceback_go_to_the_jobs_log(tmp_path: Path) -> None:
    run_jobs([job(tmp_path, "good"), job(tmp_path, "fail", do="fail")], act, workers=1)
    log = (tmp_path / "good" / "log.txt").read_text()
    assert "this is standard output" in log
    assert "this is standard error" in log
    assert "Traceback" in (tmp_path / "fail" / "log.txt").read_text()


def test_two_workers_work_at_the_same_time_and_each_job_has_its_own_process(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "a", do="meet", other=tmp_path / "b" / "pid"),
        job(tmp_path, "b", do="meet", other=tmp_path / "a" / "pid"),
        job(tmp_path, "c"),
    ]
    outcomes = run_jobs(jobs, act, workers=2)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    pids = {(tmp_path / name / "pid").read_text() for name in "abc"}
    assert len(pids) == 3
    assert str(os.getpid()) not in pids


def test_the_watcher_hears_of_start_progress_and_end(tmp_path: Path) -> None:
    recorder = Recorder()
    run_jobs([job(tmp_path, "a", do="report")], act, workers=1, watcher=recorder)
    assert recorder.told == [
        ("started", "a"),
        ("progressed", "a", 0.25),
        ("progressed", "a", 0.5),
        ("progressed", "a", 0.75),
        ("ended", "a", "done"),
    ]


def test_no_jobs_is_no_work_and_no_workers_is_refused(tmp_path: Path) -> None:
    assert run_jobs([], act, workers=3) == []
    with pytest.raises(UsageError, match="--workers: 0 must be at least 1"):
        run_jobs([job(tmp_path, "a")], act, workers=0)


def test_whatever_goes_wrong_in_the_parent_no_worker_works_on(tmp_path: Path) -> None:
    class Broken(Watcher):
        def started(self, job: Job) -> None:
            path = tmp_path / "slow" / "pid"
            assert wait_for(lambda: path.exists() and bool(path.read_text()))
            raise OSError("nobody is listening")

    with pytest.raises(OSError, match="nobody is listening"):
        run_jobs([job(tmp_path, "slow", do="sleep", seconds=60)], act, workers=1, watcher=Broken())
    pid = int((tmp_path / "slow" / "pid").read_text())
    assert wait_for(lambda: not alive(pid), seconds=5)


def test_a_folder_that_cannot_be_made_is_the_jobs_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (outcome,) = run_jobs([job(tmp_path / "file", "a")], act, workers=1)
    assert outcome.status == "failed"
    assert outcome.reason.startswith("NotADirectoryError")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full here")
def test_a_job_whose_log_cannot_be_written_says_why_it_failed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "fail").mkdir()
    (tmp_path / "fail" / "log.txt").symlink_to("/dev/full")
    (outcome,) = run_jobs([job(tmp_path, "fail", do="fail")], act, workers=1)
    assert (outcome.status, outcome.reason) == ("failed", "RuntimeError: no such luck")


SCRIPT = """
import sys
from pathlib import Path
from experiments.sweep.workers import Job, run_jobs
from tests.helpers.processes.workers import act

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    jobs = [Job("quick", folder / "quick", {})]
    jobs += [Job(f"slow{n}", folder / f"slow{n}", {"do": "sleep", "seconds": 60}) for n in range(3)]
    for outcome in run_jobs(jobs, act, workers=2):
        print(outcome.job.name, outcome.status, flush=True)
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Any:
    """A process that runs one quick and three slow jobs, two at a time, once the slow ones are under way."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    started = [tmp_path / name / "pid" for name in ("slow0", "slow1")]
    assert wait_for(lambda: all(path.exists() and path.read_text() for path in started))
    yield process, [int(path.read_text()) for path in started]
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_within_seconds_and_keeps_what_is_done(sweep: Any, request_to_stop: int) -> None:
    process, pids = sweep
    begin = time.monotonic()
    os.killpg(process.pid, request_to_stop) if request_to_stop == signal.SIGINT else process.send_signal(
        request_to_stop
    )
    printed, _ = process.communicate(timeout=15)
    assert time.monotonic() - begin < 5
    assert printed.split("\n")[0] == "quick done"
    assert sorted(printed.split("\n")[1:3]) == ["slow0 interrupted", "slow1 interrupted"]
    assert "slow2" not in printed
    assert wait_for(lambda: not any(alive(pid) for pid in pids), seconds=3)


def test_workers_do_not_outlive_a_killed_parent(sweep: Any) -> None:
    process, pids = sweep
    process.kill()
    process.wait()
    assert wait_for(lambda: not any(alive(pid) for pid in pids), seconds=5)
