"""Files from the web, fetched once: resumed when the line drops, checked, and renamed into place when complete."""

import fcntl
import hashlib
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError

from tqdm import tqdm

ATTEMPTS = 4
BACKOFF = 0.5  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without a byte before the connection counts as dropped
BLOCK = 1 << 16  # bytes read at a time
RETRIED_STATUSES = {408, 416, 429, 500, 502, 503, 504}


class DownloadError(ValueError):
    """What could not be fetched, why, and what to do about it, in one line."""


def cache_folder() -> Path:
    """Where fetched corpora, trained tokenizers and what is remembered of options are kept.

    Returns:
        $LENGTHWISE_CACHE, else $XDG_CACHE_HOME/lengthwise, else ~/.cache/lengthwise.

    Raises:
        DownloadError: nobody knows the user's home.
    """
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(os.environ.get("LENGTHWISE_CACHE") or f"{shared}/lengthwise").expanduser()
    except RuntimeError:
        raise DownloadError("this user has no home; set LENGTHWISE_CACHE to a folder that you may write to") from None


def download(url: str, destination: Path, sha256: str | None = None, progress: bool = True) -> Path:
    """Fetch a file unless it is already there.

    Bytes gather in `destination.part`, which a later call resumes, and are renamed to `destination` once complete
    and verified. Processes that want the same file wait for one another at `destination.lock`.

    Args:
        url: what to fetch.
        destination: where the file belongs; its folder is created. A file found there is used without any network.
        sha256: hexadecimal SHA-256 the file must have; None accepts any.
        progress: a bar with bytes and time left on standard error, or one line where that is no terminal.

    Returns:
        The destination.

    Raises:
        DownloadError: the file cannot be fetched or stored, or it is not the expected one.
    """
    if destination.exists():
        return destination
    try:
        with locked(destination):
            if not destination.exists():
                part = destination.with_name(destination.name + ".part")
                _fetch_persistently(url, part, destination, progress)
                verify(part, sha256, url)
                part.replace(destination)
    except OSError as error:
        raise DownloadError(
            f"cannot store {destination}: {error.strerror or error}; choose a folder with space that you may write to"
        ) from error
    return destination


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path`, which one process or thread at a time can. Creates the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock file stays: removing it would let a newcomer lock a new file while others wait on the old one.
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def verify(path: Path, sha256: str | None, origin: str) -> None:
    """Delete a file whose content is not the expected one.

    Args:
        path: the file.
        sha256: hexadecimal SHA-256 of the expected content; None accepts any.
        origin: where the file came from, for the message.

    Raises:
        DownloadError: naming the origin, the expected and the actual sum.
    """
    if sha256 is None:
        return
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256.lower():
        path.unlink()
        raise DownloadError(
            f"{origin}: expected SHA-256 {sha256.lower()}, got {actual}; the file was deleted: try again, "
            f"or choose your own files with --data.train.source"
        )


def _fetch_persistently(url: str, part: Path, destination: Path, progress: bool) -> None:
    """Fetch into the part file, trying again from where a dropped connection left it."""
    reason = ""
    with ExitStack() as stack:
        bar = cache(lambda: stack.enter_context(_bar(url, destination, progress)))  # one, from the first answer on
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(BACKOFF * 2 ** (attempt - 1))
            try:
                return _fetch(url, part, bar)
            except HTTPError as error:
                reason = f"the server answers {error.code} {error.reason}"
                error.close()
                if error.code not in RETRIED_STATUSES:
                    break
                if error.code == 416:  # the part file is no beginning of what the server has
                    part.unlink(missing_ok=True)
            except URLError as error:
                reason = f"no network ({_one_line(error.reason)})"
            except (ConnectionError, TimeoutError, HTTPException) as error:
                reason = f"the connection dropped ({_one_line(error) or type(error).__name__})"
            except ValueError as error:
                reason = _one_line(error)
                break
    raise DownloadError(
        f"cannot download {url}: {reason}; download it by hand and put it at {destination}, "
        f"or choose your own files with --data.train.source"
    )


def _fetch(url: str, part: Path, progress_bar: Callable[[], tqdm]) -> None:
    """One attempt: append to the part file where the server honours Range, begin anew where it does not."""
    stored = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "lengthwise"})
    if stored:
        request.add_header("Range", f"bytes={stored}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        begin = stored if _resumes_at(response, stored) else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else begin + int(length)
        bar = progress_bar()
        _set_position(bar, begin, total)
        with part.open("ab" if begin else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    size = part.stat().st_size
    if total is not None and size < total:
        raise ConnectionError(f"{size} of {total} bytes came")


def _resumes_at(response: HTTPResponse, stored: int) -> bool:
    """Whether the body continues behind so many stored bytes."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {stored}-")


def _bar(url: str, destination: Path, progress: bool) -> tqdm:
    terminal = sys.stderr.isatty()
    if progress and not terminal:
        print(f"downloading {url} to {destination}", file=sys.stderr)
    return tqdm(
        desc=destination.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        disable=not (progress and terminal),
    )


def _set_position(bar: tqdm, begin: int, total: int | None) -> None:
    """Set the bar to so many bytes: where it was, unless an earlier call left some or all are sent again."""
    bar.total = total
    if begin != bar.n:
        bar.initial = bar.n = bar.last_print_n = begin
    bar.refresh()


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
