"""Folders that one process owns, and files that are whole or not there."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.errors import UsageError


@contextlib.contextmanager
def owned(folder: Path, option: str) -> Iterator[None]:
    """Make a folder and keep other processes out of it as long as the context lasts.

    Args:
        folder: the folder; its lock ends with this process, however it ends.
        option: the command-line option that named it, for the message.

    Raises:
        UsageError: it cannot be written, or another process owns it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"{option}: cannot write {folder}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{option}: {folder} is in use by another process; wait for it or stop it") from None
        yield


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is either whole or not there."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)
