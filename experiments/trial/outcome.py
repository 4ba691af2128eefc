"""What the folder of a trial says of its end: complete, failed, diverged or stopped by its sweep."""

import contextlib
import json
from pathlib import Path
from typing import Any

import torch

from analysis.tables.schema import FAILURE, RESULTS, SUMMARY
from experiments.errors import UsageError
from experiments.files import write_json
from experiments.trial.callbacks import TrialDiverged, TrialStopped


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a complete trial; None where it or the table of results is missing or damaged.

    Both are written whole, the summary last. What damages them later, such as a copy cut short, makes the trial
    incomplete again: it is evaluated anew from its last checkpoint.
    """
    try:
        summary = json.loads((folder / SUMMARY.file).read_text())
        whole = (folder / RESULTS.file).read_bytes().endswith(b"\n")
    except (OSError, ValueError):
        return None
    return summary if whole and isinstance(summary, dict) and summary.get("status") == "complete" else None


def write_failure(folder: Path, failure: dict[str, Any]) -> None:
    """Leave failure.json: status, reason, step and labels of a trial. On a full disk the file stays away, no more."""
    with contextlib.suppress(OSError):
        write_json(folder / FAILURE.file, failure)


def failure_of(error: Exception) -> dict[str, Any]:
    """Whether a trial failed, diverged or was stopped by its sweep, why, and for the latter two the step."""
    statuses = {TrialDiverged: "diverged", TrialStopped: "stopped"}
    return {
        "status": statuses.get(type(error), "failed"),
        "reason": reason(error),
        "step": getattr(error, "step", None) if type(error) in statuses else None,
    }


def was_stopped(folder: Path) -> bool:
    """Whether its sweep has stopped the trial of a folder."""
    try:
        return json.loads((folder / FAILURE.file).read_text())["status"] == "stopped"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def reason(error: BaseException) -> str:
    """Why a trial ended, in one line."""
    message = str(error).strip().partition("\n")[0]
    if isinstance(error, TrialDiverged | TrialStopped | UsageError):
        return message
    refused = out_of_memory(error)
    if refused is not None:
        return f"out of memory: {refused}".removesuffix(": ")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def out_of_memory(error: BaseException) -> str | None:
    """What an error says of an allocation that was refused; None where that is not what went wrong.

    On a CPU torch raises an ordinary RuntimeError, which the parser that makes a model wraps in one of its own.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return str(error).partition("\n")[0]
    lines = (line.strip(" -") for line in str(error).splitlines() if "can't allocate memory" in line)
    return next(lines, None)


def totals(rows: list[dict[str, str]]) -> dict[str, float]:
    """The rows of results.csv that are of no position, by metric and test length or bucket."""
    return {
        f"test/{row['metric']}/{row['bucket'] or row['eval_length']}": float(row["value"])
        for row in rows
        if not row["position"]
    }
