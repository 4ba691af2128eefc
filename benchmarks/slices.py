"""Several commands at once, of which one runs at a time, for some seconds, while the others are stopped.

Where a machine's speed changes from one minute to the next, commands that run one after the other do not meet the same
machine. Stopped processes spend no processor time, so what they did in a second of it can be compared.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple


class Ended(NamedTuple):
    """What came of a command."""

    exit_code: int
    output: str


def run_in_slices(commands: Sequence[str], seconds: float) -> list[Ended]:
    """Run shell commands to their ends, each for so many seconds at a time, in turn.

    Raises:
        OSError: the system cannot stop processes.
    """
    if not hasattr(signal, "SIGSTOP"):
        raise OSError("this system cannot stop a process and let it go on")
    processes: list[subprocess.Popen] = []
    with contextlib.ExitStack() as opened:
        opened.callback(_end, processes)
        outputs = [opened.enter_context(tempfile.TemporaryFile("w+")) for _ in commands]
        for command, output in zip(commands, outputs, strict=True):
            processes.append(subprocess.Popen(command, shell=True, stdout=output, start_new_session=True))
            os.killpg(processes[-1].pid, signal.SIGSTOP)
        while any(process.poll() is None for process in processes):
            for process in processes:
                _run_for(process, seconds)
        for output in outputs:
            output.seek(0)
        return [Ended(process.returncode, output.read()) for process, output in zip(processes, outputs, strict=True)]


def _end(processes: list[subprocess.Popen]) -> None:
    """Leave none behind where something went wrong."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _run_for(process: subprocess.Popen, seconds: float) -> None:
    """Let a stopped process and its children go on for so long, or until it ends."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGCONT)
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(min(0.05, seconds / 4))
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGSTOP)
