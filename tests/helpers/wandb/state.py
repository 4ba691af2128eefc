"""What the stand-in for the W&B server knows: sweeps, runs, files and artifacts, and its answers to GraphQL."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import yaml

NOW = "2026-01-01T00:00:00Z"
ENTITY = "someone"


class Unknown(Exception):
    """An operation that the stand-in does not know."""


@dataclass
class StoredRun:
    """A run as the server has it.

    Attributes:
        id: what its address ends in.
        states: its states, the last one counts.
        config: plain values.
        history: the rows as they were sent.
        files: what was uploaded, by name.
        preempting: it has said that it may be handed out again.
        revision: how often it was heard of.
    """

    id: str
    project: str
    states: list[str] = field(default_factory=lambda: ["running"])
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    preempting: bool = False
    revision: int = 0

    def node(self) -> dict[str, Any]:
        """All fields of a run that the public API asks for."""
        return {
            "id": f"id-{self.id}", "projectId": 1, "tags": [], "name": self.id, "displayName": self.name,
            "sweepName": self.sweep, "state": self.states[-1], "group": self.group, "jobType": self.job_type,
            "commit": None, "readOnly": False, "createdAt": NOW, "heartbeatAt": f"2026-01-01T00:00:{self.revision:02}Z",
            "description": None, "notes": None, "historyLineCount": len(self.history), "historyKeys": self.keys(),
            "config": json.dumps({key: {"value": value} for key, value in self.config.items()}),
            "summaryMetrics": json.dumps(self.summary), "systemMetrics": "{}",
            "user": {"name": ENTITY, "username": ENTITY},
        }  # fmt: skip

    def keys(self) -> dict[str, Any]:
        return {"lastStep": max((row["_step"] for row in self.history), default=-1), "keys": {}, "sets": []}


@dataclass
class State:
    """Everything, and how it misbehaves.

    Attributes:
        reverse: hand out the parameters of a sweep in reverse order.
        overrides: values a sweep hands out instead of its own.
        page: most runs in an answer.
    """

    reverse: bool = False
    overrides: dict[str, Any] = field(default_factory=dict)
    page: int = 50
    url: str = ""
    runs: dict[str, StoredRun] = field(default_factory=dict)
    sweeps: dict[str, Any] = field(default_factory=dict)
    waiting: list[StoredRun] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a GraphQL operation."""
        method = getattr(self, f"_{operation}", None)
        if method is None:
            raise Unknown(f"{operation} is not known here")
        return method(given)

    # ------------------------------------------------------------------ who is there

    def _Viewer(self, given: dict[str, Any]) -> dict[str, Any]:
        return {
            "viewer": {
                "id": "1", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": None, "admin": False,
                "flags": "{}", "teams": {"edges": [{"node": {"name": ENTITY}}]}, "apiKeys": {"edges": []},
            }
        }  # fmt: skip

    _GetViewer = _GetDefaultEntity = _Viewer

    def _ServerFeaturesQuery(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _OrganizationCoreWeaveOrganizationID(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"entity": {"organization": None}}

    # ------------------------------------------------------------------ sweeps

    def _UpsertSweep(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = f"sweep{next(self.numbers)}"
        self.sweeps[sweep] = yaml.safe_load(given["config"])
        for point in self._points(self.sweeps[sweep]["parameters"]):
            run = StoredRun(f"run{next(self.numbers)}", given["projectName"], ["pending"], sweep=sweep, config=point)
            self.runs[run.id] = run
            self.waiting.append(run)
        project = {"id": "1", "name": given["projectName"], "entity": {"id": "1", "name": ENTITY}}
        return {"upsertSweep": {"sweep": {"name": sweep, "project": project}, "configValidationWarnings": []}}

    def _points(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """A grid, in an order of parameters that is the server's own business."""
        names = sorted(parameters, reverse=self.reverse)
        axes = [parameters[name].get("values") or [parameters[name]["value"]] for name in names]
        points = [dict(zip(names, values, strict=True)) for values in itertools.product(*axes)]
        return [{name: self.overrides.get(name, value) for name, value in point.items()} for point in points]

    def _SweepWithRuns(self, given: dict[str, Any]) -> dict[str, Any]:
        config = self.sweeps.get(given["sweep"])
        if config is None:
            return {"project": {"sweep": None}}
        sweep = {"id": given["sweep"], "name": given["sweep"], "config": yaml.safe_dump(config), "state": "RUNNING"}
        return {"project": {"sweep": {**sweep, "method": config["method"], "runs": {"edges": []}}}}

    def _CreateAgent(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"createAgent": {"agent": {"id": f"agent{next(self.numbers)}"}}}

    def _Heartbeat(self, given: dict[str, Any]) -> dict[str, Any]:
        commands = []
        if not json.loads(given["runState"]):  # the agent has nothing to do
            commands = [self._hand_out(self.waiting.pop(0))] if self.waiting else [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}

    def _hand_out(self, run: StoredRun) -> dict[str, Any]:
        again = run.states != ["pending"]
        arguments = {name: {"value": run.config[name]} for name in self._names(run)}
        return {
            "type": "resume" if again else "run", "run_id": run.id, "program": None, "args": arguments, "logs": [],
        }  # fmt: skip

    def _names(self, run: StoredRun) -> list[str]:
        return sorted(self.sweeps[str(run.sweep)]["parameters"], reverse=self.reverse)

    # ------------------------------------------------------------------ a run that writes

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        model = {"id": "1", "name": given["project"], "entity": {"id": "1", "name": ENTITY}, "bucket": None}
        if run is not None and run.states != ["pending"]:
            tail = [json.dumps(row) for row in run.history[-1:]]
            model["bucket"] = {
                **run.node(), "logLineCount": 0, "eventsLineCount": 0, "historyTail": json.dumps(tail),
                "eventsTail": "[]", "wandbConfig": json.dumps({"t": 1}),
            }  # fmt: skip
        return {"model": model}

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(given["name"], StoredRun(given["name"], given["project"]))
        run.revision += 1
        if run.states[-1] != "running":
            run.states.append("running")
        run.name, run.group = given.get("displayName") or run.name, given.get("groupName") or run.group
        run.job_type, run.sweep = given.get("jobType") or run.job_type, given.get("sweep") or run.sweep
        for key, setting in json.loads(given.get("config") or "{}").items():
            run.config[key] = setting["value"]
        if given.get("summaryMetrics"):
            run.summary.update(json.loads(given["summaryMetrics"]))
        project = {"id": "1", "name": run.project, "entity": {"id": "1", "name": ENTITY}}
        return {"upsertBucket": {"bucket": {**run.node(), "project": project}, "inserted": run.revision == 1}}

    def take_stream(self, run_id: str, sent: dict[str, Any]) -> None:
        """What a run streams: lines of its history, its summary, and that it has ended."""
        run = self.runs[run_id]
        run.revision += 1
        files = sent.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            run.history[history["offset"] :] = map(json.loads, history["content"])
        for line in files.get("wandb-summary.json", {}).get("content", []):
            run.summary = json.loads(line)
        run.preempting = run.preempting or bool(sent.get("preempting"))
        if sent.get("complete"):
            failed = "preempted" if run.preempting else "failed"
            run.states.append("finished" if sent.get("exitcode") == 0 else failed)
            if run.states[-1] == "preempted" and run.sweep:
                self.waiting.append(run)
                run.preempting = False

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/run/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def take_file(self, path: str, content: bytes) -> None:
        """A file that was uploaded."""
        self.stored[path] = content
        _, kind, owner, name = path.split("/", 3)
        if kind == "run":
            self.runs[owner].files[name] = content
        else:
            self.artifacts[owner]["files"][name] = content

    # ------------------------------------------------------------------ artifacts

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted, artifact = given["input"], f"artifact{next(self.numbers)}"
        self.artifacts[artifact] = {
            "name": wanted["artifactCollectionName"], "type": wanted["artifactTypeName"], "run": wanted["runName"],
            "files": {},
        }  # fmt: skip
        created = {"id": artifact, "state": "PENDING", "artifactSequence": {"id": "1", "latestArtifact": None}}
        return {"createArtifact": {"artifact": created}}

    def _CreateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._manifest("createArtifactManifest", given["artifactID"])

    def _UpdateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._manifest("updateArtifactManifest", given["artifactManifestID"])

    def _manifest(self, mutation: str, artifact: str) -> dict[str, Any]:
        upload = {"id": artifact, "uploadUrl": f"{self.url}/artifact/{artifact}/manifest", "uploadHeaders": []}
        return {mutation: {"artifactManifest": {"id": artifact, "file": upload}}}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        edges = []
        for wanted in given["input"]["artifactFiles"]:
            url = f"{self.url}/artifact/{wanted['artifactID']}/{wanted['name']}"
            artifact = {"id": wanted["artifactID"]}
            node = {"storagePath": wanted["name"], "uploadUrl": url, "uploadHeaders": [], "artifact": artifact}
            edges.append({"node": {**node, "uploadMultipartUrls": None}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "0"}}}

    def _UseArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"useArtifact": {"artifact": {"id": given["input"]["artifactID"]}}}

    def _ArtifactType(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    # ------------------------------------------------------------------ the public API

    def _Runs(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = json.loads(given["filters"])
        matching = [run for run in self.runs.values() if run.project == given["project"] and _matches(run, wanted)]
        begin = int(given.get("cursor") or 0)
        end = begin + min(given["perPage"], self.page)
        edges = [{"node": run.node(), "cursor": str(place + 1)} for place, run in enumerate(matching)][begin:end]
        information = {"endCursor": str(end), "hasNextPage": end < len(matching)}
        runs = {"edges": edges, "pageInfo": information}
        return {"project": {"internalId": "1", "runCount": len(matching), "readOnly": False, "runs": runs}}

    def _Run(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        return {"project": {"run": run and run.node()}}

    def _RunHistoryKeys(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"historyKeys": self.runs[given["name"]].keys()}}}

    def _RunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["name"]]
        wanted = [name for name in run.files if name in (given.get("fileNames") or run.files)]
        edges = []
        for name in wanted:
            url = f"{self.url}/run/{run.id}/{name}"
            node = {"id": name, "name": name, "url": url, "directUrl": url, "sizeBytes": len(run.files[name])}
            edges.append({"node": {**node, "mimetype": None, "updatedAt": NOW, "md5": None}, "cursor": name})
        information = {"endCursor": None, "hasNextPage": False}
        files = {"edges": edges, "pageInfo": information}
        return {"project": {"internalId": "1", "run": {"fileCount": len(wanted), "files": files}}}

    def _RunParquetHistory(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}

    def _HistoryPage(self, given: dict[str, Any]) -> dict[str, Any]:
        history = self.runs[given["run"]].history
        rows = [row for row in history if given["minStep"] <= row["_step"] < given["maxStep"]]
        return {"project": {"run": {"history": [json.dumps(row) for row in rows[: given["pageSize"]]]}}}


def _matches(run: StoredRun, wanted: dict[str, Any]) -> bool:
    """By equality, or for `{"$in": [...]}` by being one of several."""
    return all(
        run.node()[_FIELDS[key]] in (value["$in"] if isinstance(value, dict) else [value])
        for key, value in wanted.items()
    )


_FIELDS = {"state": "state", "sweep": "sweepName"}
