"""Errors that are the user's to mend: shown as one line, never as a traceback."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from analysis.errors import ReportError


class UsageError(ReportError):
    """Bad input. The message is one line that names the option, file or key and says what to do."""


def refuse_unknown(path: Path, what: str, keys: Iterable[str], valid: tuple[str, ...]) -> None:
    """Refuse a key of a file that means nothing.

    Raises:
        UsageError: it names the file and the key, and the one that may have been meant.
    """
    for key in keys:
        if key not in valid:
            near = difflib.get_close_matches(str(key), valid, n=1)
            hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(valid)}"
            raise UsageError(f"{path}: {what} {key} is unknown; {hint}")
