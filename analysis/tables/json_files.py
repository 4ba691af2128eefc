"""Reads JSON files of a trial's folder."""

import json
from pathlib import Path
from typing import Any

from analysis.errors import ReportError


def read_json(path: Path, remedy: str) -> Any:
    """What the file holds.

    Args:
        path: the file.
        remedy: what to do where it is corrupt, the end of the message.

    Raises:
        ReportError: it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{path}: is no valid JSON; {remedy}") from error
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
