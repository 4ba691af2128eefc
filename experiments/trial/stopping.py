"""A trial that is told to stop: by SIGTERM, or because the W&B agent that started it is gone."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from experiments.tracking.agent import agent_is_gone

POLL_SECONDS = 1.0  # between two looks whether the agent is still there


@contextlib.contextmanager
def stops_like_ctrl_c(follow_agent: bool) -> Iterator[None]:
    """SIGTERM ends what runs inside like Ctrl-C; while a Trainer is at work, Lightning does it, between two steps.

    Args:
        follow_agent: end with the process that started this one. A W&B agent keeps its trials out of its process
            group, so that what stops the agent would leave them running.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if signal.getsignal(signal.SIGTERM) is stop:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    if follow_agent:
        threading.Thread(target=_end_with_agent, daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with_agent() -> None:
    while not agent_is_gone():
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
