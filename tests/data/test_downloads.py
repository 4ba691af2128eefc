"""Downloads: complete or not there at all, resumed where they broke off, and plain words when they fail."""

import hashlib
import re
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import pytest

from data import downloads
from data.downloads import DownloadError, download

CONTENT = bytes(range(256)) * 2000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT on loopback; remembers the Range of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.honours_range = True
        self.cuts = 0  # so many answers end half way
        self.failures = 0  # so many answers are 503

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.path != "/file.bin":
            return self.send_error(404)
        if self.server.failures:
            self.server.failures -= 1
            return self.send_error(503)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.honours_range else 0
        if begin >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(downloads, "BACKOFF", 0.001)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_arrives_whole_and_leaves_no_part_behind(server: Server, tmp_path: Path) -> None:
    path = download(server.url, tmp_path / "new" / "file.bin", SUM)
    assert path.read_bytes() == CONTENT
    assert not path.with_name("file.bin.part").exists()


def test_a_file_already_there_asks_nothing_of_the_network(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == b"mine"
    assert server.ranges == []
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_connection_cut_half_way_resumes_there(server: Server, tmp_path: Path) -> None:
    server.cuts = 1
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_later_call_resumes_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_server_that_ignores_range_sends_everything_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.honours_range = 1, False
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == CONTENT
    assert len(server.ranges) == 2


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.failures = 2
    assert download(server.url, tmp_path / "file.bin", SUM).read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_a_wrong_sum_deletes_the_file_and_names_both_sums(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(server.url, tmp_path / "file.bin", "0" * 64)
    assert all(part in str(caught.value) for part in (server.url, "0" * 64, SUM))
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin.lock"]


def test_a_missing_file_fails_at_once_and_says_where_to_put_it(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"404.*put it at .*file\.bin.*--data\.train\.source") as caught:
        download(server.url + ".gone", tmp_path / "file.bin")
    assert len(server.ranges) == 1
    assert "\n" not in str(caught.value)


def test_a_connection_that_always_drops_gives_up_and_keeps_its_part(server: Server, tmp_path: Path) -> None:
    server.cuts = 100
    with pytest.raises(DownloadError, match="connection dropped"):
        download(server.url, tmp_path / "file.bin")
    assert len(server.ranges) == downloads.ATTEMPTS
    part = (tmp_path / "file.bin.part").read_bytes()
    assert part and part == CONTENT[: len(part)]
    assert not (tmp_path / "file.bin").exists()


def test_no_network_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(downloads, "BACKOFF", 0.001)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadError, match=r"no network .*by hand and put it at") as caught:
            download(address, tmp_path / "file.bin")
    assert "\n" not in str(caught.value)


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="unknown url type"):
        download("mirror/file.bin", tmp_path / "file.bin")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot store"):
        download("http://127.0.0.1:9/", tmp_path / "file" / "file.bin")


def test_threads_that_want_the_same_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: download(server.url, tmp_path / "file.bin", SUM), range(8)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.ranges) == 1


def test_processes_that_want_the_same_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    arguments = (server.url, tmp_path / "file.bin", SUM)
    processes = [get_context("spawn").Process(target=download, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.ranges) == 1


def test_without_a_terminal_progress_is_one_line(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.cuts = 1
    download(server.url, tmp_path / "file.bin")
    assert capsys.readouterr().err == f"downloading {server.url} to {tmp_path / 'file.bin'}\n"


@pytest.mark.parametrize("already", [0, len(CONTENT) // 4])
def test_on_a_terminal_one_bar_goes_on_over_all_attempts(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], already: int
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:already])
    server.failures, server.cuts = 1, 2
    download(server.url, tmp_path / "file.bin")
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1  # where a bar ends
    shares = [int(share) for share in re.findall(r"(\d+)%", printed)]
    assert shares == sorted(shares)
    left = len(CONTENT) - already
    assert {round(100 * (1 - left / len(CONTENT) / part)) for part in (2, 4)} <= set(shares)
    assert shares[-1] == 100


def test_progress_can_be_silenced(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download(server.url, tmp_path / "file.bin", progress=False)
    assert capsys.readouterr().err == ""
