"""Work for worker processes, in a module where another process finds it, and waiting for such processes."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Report = Callable[[float, str], None]


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def act(payload: dict[str, Any], folder: Path, report: Report) -> None:
    """Do what the payload says, then leave a file `done`."""
    (folder / "pid").write_text(str(os.getpid()))
    match payload.get("do"):
        case "fail":
            raise RuntimeError("no such luck\nwith a second line")
        case "exit":
            os._exit(7)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "see":  # the GPU that it may use, at the same time as the other job
            (folder / "card").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
            assert wait_for(Path(payload["other"]).exists)
        case "meet":  # ends only if the other job runs at the same time
            deadline = time.monotonic() + 20
            while not Path(payload["other"]).exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("the other job never ran")
                time.sleep(0.02)
        case "sleep":
            time.sleep(payload["seconds"])
        case "report":
            for share in (0.25, 0.5, 0.75):
                report(share, "")
                time.sleep(0.4)
    print("this is standard output")
    print("this is standard error", file=sys.stderr)
    (folder / "done").touch()
