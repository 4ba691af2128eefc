"""Files that are either whole or not there."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write to; what is written takes the place of `path` only when the block succeeds.

        with replacing(folder / "report.md") as temporary:
            temporary.write_text(text)

    Only a regular file is replaced. Of a link, the file that it leads to is. A device or a pipe, such as /dev/stdout,
    is yielded itself and written through.

    Args:
        path: the file; its folder is made.
        durable: wait until it is on the disk: a machine that loses power leaves no empty file of this name.

    Raises:
        OSError: it cannot be written; before the block wherever that can be known.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = None
    try:
        if _is_replaced(path):
            target = Path(os.path.realpath(path))
            temporary = target.with_name(f".{target.name[:40]}.{os.getpid()}.partial")
            temporary.touch()
            if target.exists():
                shutil.copymode(target, temporary)
        yield temporary or path
        if temporary:
            if durable:
                with temporary.open("ab") as written:
                    os.fsync(written.fileno())
            temporary.replace(target)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # writing says of itself only that it failed
            error.filename = str(path)
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Find out before the work whether `replacing` could write a path. Leaves nothing behind.

    Raises:
        OSError: it could not.
    """
    try:
        if _is_replaced(path):
            existing = next(folder for folder in Path(os.path.realpath(path)).parents if folder.exists())
            tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        error.filename = str(path)
        raise


def _is_replaced(path: Path) -> bool:
    """Whether a path is a regular file or nothing yet.

    Raises:
        OSError: it is a folder, for reading only, or a link that leads to itself.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return stat.S_ISREG(mode)
