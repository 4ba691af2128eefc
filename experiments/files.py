"""Folders that one process has to itself, and files that are whole or not there."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.errors import UsageError


@contextlib.contextmanager
def exclusive_lock(folder: Path, option: str) -> Iterator[None]:
    """Make a folder and keep other processes out of it as long as the context lasts.

    Args:
        folder: the folder; its lock ends with this process, however it ends.
        option: the command-line option that named it, for the message.

    Raises:
        UsageError: it cannot be written, or another process has it.
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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file that is either whole or not there: the context writes to the path it is given, which then
    replaces the real one. It is on the disk by then: a machine that loses power leaves no empty file of this name."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # writing says of itself only that it failed
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
