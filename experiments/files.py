"""Folders that one process has to itself, and files that are whole or not there."""

import contextlib
import csv
import fcntl
import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, TextIO

from analysis.files import replacing
from data.parallel_text import MARK, text_of
from experiments.errors import UsageError

whole_file = functools.partial(replacing, durable=True)


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


def open_input(path: Path, option: str) -> IO[bytes]:
    """Open the file that an option names for reading.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{option}: cannot read {path}: {error.strerror}") from None


def text_lines(path: Path, option: str) -> Iterator[str]:
    """The lines of the text file that an option names, see `decoded`.

    Raises:
        UsageError: it cannot be read, or a line is not UTF-8.
    """
    with open_input(path, option) as file:
        yield from decoded(file, str(path))


def decoded(lines: Iterable[bytes], name: str, before: int = 0) -> Iterator[str]:
    """Lines as text, without their ends, blanks around them and the mark that some editors put at the beginning.

    Args:
        lines: of a file.
        name: what the file is called, for messages.
        before: how many lines of it came before these.

    Raises:
        UsageError: a line is not UTF-8.
    """
    for number, line in enumerate(lines, start=before + 1):
        try:
            yield text_of((line.removeprefix(MARK) if number == 1 else line).rstrip(b"\r\n"))
        except UnicodeDecodeError:
            raise UsageError(f"{name}:{number} is not UTF-8") from None


def open_output(path: Path, option: str, stack: ExitStack) -> TextIO:
    """Open the file that an option names for writing, as `replacing` does; the stack ends it. Its folder must exist.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.resolve(strict=True)
        partial = stack.enter_context(replacing(path))
        return stack.enter_context(partial.open("w", encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{option}: cannot write {path}: {error.strerror}") from None


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table below the names of its columns, whole or not at all."""
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of one's own trial, by the names of its columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
