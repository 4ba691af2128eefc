"""Runs of a W&B project that have ended, mirrored into trial folders, which everything else reads as local ones.

`experiments.tracking.wandb_run` writes what is read here: the summary of a run holds that of its trial, its history
the rows of results.csv, and its files the tables that analysis reads as they are. The summary of a failed run holds
what its trial's failure.json does.
"""

import csv
import functools
import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables.schema import ALL, ATTENTION, FAILURE, GRADIENTS, RESULTS, SENTENCES, SUMMARY

PREFIX = "wandb:"
MIRRORS = Path("runs") / "wandb"
QUERY_FILE = "query.json"
# Files of a trial that are read as they are; the others are found in the run's summary and history.
KEPT_FILES = (SENTENCES.file, GRADIENTS.file, ATTENTION.file)
# The file that says how a trial ended, by the status in its run's summary.
ENDINGS = {"complete": SUMMARY.file, **dict.fromkeys(("failed", "diverged", "stopped"), FAILURE.file)}
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Query:
    """What is asked of a server: the runs of a project, or of one of its sweeps, that have ended."""

    server: str
    entity: str
    project: str
    sweep: str | None = None
    states: list[str] = field(default_factory=lambda: ["finished", "failed"], kw_only=True)

    @property
    def folder(self) -> Path:
        """Where the mirror lies."""
        return MIRRORS / self.entity / "-".join(filter(None, (self.project, self.sweep)))

    @property
    def filters(self) -> dict[str, Any]:
        """The query as W&B's API takes it."""
        return {"state": {"$in": self.states}} | ({"sweep": self.sweep} if self.sweep else {})


def local_folder(path: str | Path) -> Path:
    """A folder for what a user names: a folder itself, or `wandb:ENTITY/PROJECT` or `wandb:ENTITY/PROJECT/SWEEP`,
    whose finished and failed runs are then mirrored below runs/wandb.

    Raises:
        ReportError: W&B cannot be asked, or a run there cannot be understood.
    """
    text = str(path)
    return mirror(text) if text.startswith(PREFIX) else Path(path)


@functools.cache
def mirror(address: str) -> Path:
    """Fetch what the mirror lacks; asked once in a process, so that one report shows one state of the project.

    The mirror keeps its query and, for each run, when W&B last heard of it; a run unchanged since is not fetched again.
    Where the server cannot be reached, the mirror serves as it is, and a line on standard error says so.

    Raises:
        ReportError: a malformed address, no answer and no mirror, or a run that cannot be understood.
    """
    query = _query(address)
    known = _known(query)
    try:
        found = list(_runs(query))
    except Exception as error:  # whatever the client makes of an unreachable server or of a missing key
        reason = str(error).strip().partition("\n")[0]
        if not known:
            raise ReportError(f"{address}: {reason}; check the address, and log in with wandb login") from error
        print(f"note: {address}: {reason}; using the {len(known)} runs in {query.folder}", file=sys.stderr)
        return query.folder
    runs: dict[str, dict[str, str]] = {}
    for name, run in _latest(address, found).items():
        entry, folder = {"trial": name, "heard": str(run.heartbeat_at)}, query.folder / name
        if known.get(run.id) != entry or not (folder / ENDINGS[run.summary["status"]]).exists():
            _fetch(address, run, folder)
        runs[run.id] = entry
    for gone in {entry["trial"] for entry in known.values()} - {entry["trial"] for entry in runs.values()}:
        shutil.rmtree(query.folder / gone, ignore_errors=True)
    with replacing(query.folder / QUERY_FILE) as temporary:
        temporary.write_text(json.dumps({"query": asdict(query), "runs": runs}, indent=2) + "\n")
    return query.folder


def _query(address: str) -> Query:
    import wandb

    parts = address.removeprefix(PREFIX).split("/")
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"[\w-][\w.-]*", part) for part in parts):
        raise ReportError(f"{address}: write wandb:ENTITY/PROJECT, or wandb:ENTITY/PROJECT/SWEEP")
    server = wandb.setup().settings.base_url
    return Query(server, *parts)


def _known(query: Query) -> dict[str, dict[str, str]]:
    """What the mirror of this very query holds, by run; what another server's left there goes."""
    path = query.folder / QUERY_FILE
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if content["query"] == asdict(query):
        return content["runs"]
    for entry in content["runs"].values():
        shutil.rmtree(query.folder / entry["trial"], ignore_errors=True)
    return {}


def _runs(query: Query) -> Iterator[Any]:
    import wandb

    api = wandb.Api(timeout=TIMEOUT_SECONDS)
    yield from api.runs(f"{query.entity}/{query.project}", filters=query.filters, lazy=False)


def _latest(address: str, found: list[Any]) -> dict[str, Any]:
    """The run that counts of each trial: its last complete one, or where it never was complete its last failed one."""
    runs: dict[str, Any] = {}
    for run in found:
        status = run.summary.get("status")
        if status not in ENDINGS or run.summary.get("trial") is None:  # another program's run, or a stopped one
            continue
        name = _trial_name(address, run)
        if status == "complete" or name not in runs or runs[name].summary["status"] != "complete":
            runs[name] = run
    return runs


def _trial_name(address: str, run: Any) -> str:
    name = run.summary["trial"]
    if not isinstance(name, str) or not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ReportError(f"{address}: the run {run.id} is of the trial {name!r}, which is no trial's name; delete it")
    return name


def _fetch(address: str, run: Any, folder: Path) -> None:
    """One run as a trial folder; its summary, or what says why it failed, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ENDINGS.values():
        (folder / name).unlink(missing_ok=True)
    try:
        told = _plain(run.summary)
        if told["status"] == "complete":
            _fetch_results(run, folder)
        summary = {key: value for key, value in told.items() if not key.startswith("_") and "/" not in key}
        with replacing(folder / ENDINGS[told["status"]]) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")
    except (OSError, ValueError) as error:
        raise ReportError(f"{address}: the run {run.id} ({run.name}) cannot be read: {error}") from error


def _fetch_results(run: Any, folder: Path) -> None:
    rows = _results(run.scan_history())
    with replacing(folder / RESULTS.file) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([RESULTS.names, *rows])
    for name in KEPT_FILES:
        for stored in run.files([name]):
            stored.download(root=str(folder), replace=True).close()


def _results(history: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows of results.csv out of all rows of a history; where a run told something twice, the last counts."""
    found: dict[tuple[Any, ...], float] = {}
    for row in history:
        for key, value in row.items():
            where = _place(row, key)
            if where is not None:
                found[where] = float(value)  # also of the texts Infinity and NaN
    return [("test", *where, repr(value)) for where, value in found.items()]


def _place(row: Mapping[str, Any], key: str) -> tuple[int, str, int | str, str] | None:
    """Test length, bucket, position and metric of a value in a row of history; None if it is not a result."""
    test, _, metric = key.partition("/")
    if test != "test" or metric in ("eval_length", "bucket", "position", "all/eval_length"):
        return None
    if "test/position" in row:
        metric, _, length = metric.partition("/")
        return int(length), "", int(row["test/position"]), metric
    if "test/all/eval_length" in row:
        return int(row["test/all/eval_length"]), ALL, "", metric.removeprefix("all/")
    if "test/eval_length" in row:
        return int(row["test/eval_length"]), row.get("test/bucket", ""), "", metric
    return None


def _plain(value: Any) -> Any:
    """A summary as JSON has it: objects of the client become dictionaries, what is no number null."""
    if hasattr(value, "keys"):
        return {key: _plain(each) for key, each in dict(value).items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
