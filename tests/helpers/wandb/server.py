"""A stand-in for the W&B server on the loopback address: as much of its protocol as wandb's own programs use here.

It takes `wandb sweep`, `wandb agent`, online runs, `wandb sync` and the public API, keeps everything in memory, and can
misbehave as networks and servers do. What it does not know it answers with an error and keeps in `unknown`.
"""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.helpers.wandb.state import State, Unknown

KEY = "0123456789abcdef" * 2 + "5ecrette"  # forty characters, as wandb wants them


class WandbServer(ThreadingHTTPServer):
    """The server; its address is `url`, what it was told is in `state`.

    Args:
        state: what it knows.
        error_every: one request in so many is refused with 500 or 429, by turns; 0 refuses none.
    """

    daemon_threads = True

    def __init__(self, state: State, error_every: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = state
        self.error_every = error_every
        self.requests = itertools.count(1)
        self.refusals = itertools.cycle((500, 429))
        self.refused = 0
        self.unknown: list[str] = []
        self.lock = threading.Lock()
        state.url = self.url

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """What wandb's programs need to know to find it."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}


@contextlib.contextmanager
def wandb_server(error_every: int = 0, **quirks: Any) -> Iterator[WandbServer]:
    """A server as long as the context lasts; quirks are those of `State`."""
    server = WandbServer(State(**quirks), error_every)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: WandbServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self._content()
        if self._refused():
            return
        if self.path == "/graphql":
            request = json.loads(content)
            operation = _operation(request)
            with self.server.lock:
                try:
                    answer = self.server.state.answer(operation, request.get("variables") or {})
                except Unknown as error:
                    self.server.unknown.append(f"{operation}: {request['query']}")
                    self._send(400, json.dumps({"errors": [{"message": str(error)}]}).encode())
                    return
            self._send(200, json.dumps({"data": answer}).encode())
        elif match := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", self.path):
            with self.server.lock:
                self.server.state.take_stream(match[3], json.loads(content))
            self._send(200, b'{"limits": {}}')
        elif self.path.startswith("/sdk/otel/"):  # how wandb's own program fares
            self._send(200, b"{}")
        else:
            self._not_known()

    def do_PUT(self) -> None:
        content = self._content()
        if self._refused():
            return
        with self.server.lock:
            self.server.state.take_file(self.path, content)
        self._send(200, b"")

    def do_GET(self) -> None:
        if self._refused():
            return
        with self.server.lock:
            content = self.server.state.stored.get(self.path)
        if content is None:
            self._not_known()
        else:
            self._send(200, content)

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _refused(self) -> bool:
        """Now and then a server is overloaded."""
        with self.server.lock:
            every = self.server.error_every
            if not every or next(self.server.requests) % every:
                return False
            status = next(self.server.refusals)
            self.server.refused += 1
        self._send(status, b'{"error": "try again"}', {"Retry-After": "0"} if status == 429 else {})
        return True

    def _not_known(self) -> None:
        self.server.unknown.append(f"{self.command} {self.path}")
        self._send(404, b"{}")

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: Any) -> None:
        """Say nothing."""


def _operation(request: dict[str, Any]) -> str:
    """The name of a GraphQL operation, which not every client states beside its text."""
    named = re.search(r"\b(?:query|mutation)\s+(\w+)", request["query"])
    return request.get("operationName") or (named[1] if named else "")
