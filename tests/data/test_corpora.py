"""Named corpora: fetched and checked once, the same files ever after, and plain words about what there is."""

import gzip
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import corpora, downloads
from data.corpora import CORPORA, MULTI30K_SUMS, CorpusError, load_corpus
from data.datamodule import Seq2SeqDataModule
from data.downloads import DownloadError, cache_folder
from data.parallel_text import ParallelFiles
from tests.helpers.text_files import write_corpus


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and notes what was asked for."""

    def __init__(self, *arguments: Any, asked: list[str], **options: Any) -> None:
        self.asked = asked
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def content(name: str) -> bytes:
    return f"first segment of {name}\nzweites Stück\n".encode()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A mirror of Multi30k on loopback whose small files have sums of their own."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in MULTI30K_SUMS:
        (folder / f"{name}.gz").write_bytes(gzip.compress(content(name)))
        monkeypatch.setitem(MULTI30K_SUMS, name, hashlib.sha256(content(name)).hexdigest())
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder), asked=asked)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("LENGTHWISE_MIRROR", f"http://127.0.0.1:{server.server_address[1]}/")
        yield SimpleNamespace(folder=folder, asked=asked)
        server.shutdown()
        thread.join()


Rows = list[dict[str, Any]]


def rows(count: int, begin: int = 0) -> Rows:
    return [{"translation": {"en": f"line {n}", "de": f"Zeile {n}"}} for n in range(begin, begin + count)]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple]]:
    """Stands in for the package datasets: `hub(train=rows)` sets what it loads and returns the list of calls."""

    def stand_in(**splits: Rows) -> list[tuple]:
        calls: list[tuple] = []

        def load_dataset(path: str, name: str | None = None, data_files: dict | None = None) -> dict[str, Rows]:
            calls.append((path, name or data_files))
            return splits

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
        return calls

    return stand_in


def lines(files: tuple[Path, Path]) -> list[list[str]]:
    return [path.read_text(encoding="utf-8").split("\n")[:-1] for path in files]


def test_multi30k_is_fetched_unpacked_and_checked(mirror: SimpleNamespace, tmp_path: Path) -> None:
    files = load_corpus("multi30k", "en", "de", tmp_path / "cache")
    names = [[path.name for path in pair] for pair in files]
    assert names == [["train.en", "train.de"], ["val.en", "val.de"], ["test_2016_flickr.en", "test_2016_flickr.de"]]
    assert all(path.read_bytes() == content(path.name) for pair in files for path in pair)
    assert sorted(mirror.asked) == sorted(f"/{name}.gz" for pair in names for name in pair)
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_a_corpus_in_the_cache_asks_nothing_of_the_network(mirror: SimpleNamespace, tmp_path: Path) -> None:
    first = load_corpus("multi30k", "en", "de", tmp_path)
    mirror.asked.clear()
    assert load_corpus("multi30k", "en", "de", tmp_path) == first
    assert load_corpus("multi30k", "de", "en", tmp_path) == tuple(pair[::-1] for pair in first)
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("name", "test_set"),
    [
        ("multi30k-2017", "test_2017_flickr"),
        ("multi30k-2018", "test_2018_flickr"),
        ("multi30k-coco", "test_2017_mscoco"),
    ],
)
def test_multi30k_corpora_differ_in_their_test_set_only(
    mirror: SimpleNamespace, tmp_path: Path, name: str, test_set: str
) -> None:
    usual, other = load_corpus("multi30k", "en", "fr", tmp_path), load_corpus(name, "en", "fr", tmp_path)
    assert other[:2] == usual[:2]
    assert [path.name for path in other.test] == [f"{test_set}.en", f"{test_set}.fr"]


def test_a_file_with_another_content_is_refused_and_fetched_anew(mirror: SimpleNamespace, tmp_path: Path) -> None:
    good = (mirror.folder / "train.de.gz").read_bytes()
    (mirror.folder / "train.de.gz").write_bytes(gzip.compress(b"something else\n"))
    with pytest.raises(DownloadError, match=r"train\.de\.gz, unpacked: expected SHA-256 \w+, got \w+"):
        load_corpus("multi30k", "en", "de", tmp_path)
    (mirror.folder / "train.de.gz").write_bytes(good)
    assert load_corpus("multi30k", "en", "de", tmp_path).train[1].read_bytes() == content("train.de")


@pytest.mark.parametrize(
    "damage", [lambda good: good[:-9], lambda good: b"<html>", lambda good: good[:10] + b"\xff" * 9]
)
def test_a_damaged_file_is_refused_and_fetched_anew(
    mirror: SimpleNamespace, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    good = (mirror.folder / "val.en.gz").read_bytes()
    (mirror.folder / "val.en.gz").write_bytes(damage(good))
    with pytest.raises(CorpusError, match=r"val\.en\.gz: is no complete gzip file"):
        load_corpus("multi30k", "en", "de", tmp_path)
    (mirror.folder / "val.en.gz").write_bytes(good)
    load_corpus("multi30k", "en", "de", tmp_path)


def test_a_packed_file_put_there_by_hand_needs_no_network(
    mirror: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "BACKOFF", 0.001)
    monkeypatch.setenv("LENGTHWISE_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="by hand and put it at") as caught:
        load_corpus("multi30k", "en", "de", tmp_path)
    assert str(tmp_path / "multi30k" / "train.en.gz") in str(caught.value)
    for name in MULTI30K_SUMS:
        (tmp_path / "multi30k" / f"{name}.gz").write_bytes(gzip.compress(content(name)))
    load_corpus("multi30k", "en", "de", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("multi30", "en", "de"), r"data\.corpus: 'multi30' is unknown; did you mean 'multi30k'\? .*opus_books"),
        (("multi30k", "en", "xx"), r"data\.target_language: 'xx' .* are cs, de, en, fr$"),
        (("multi30k-2017", "cs", "en"), r"data\.source_language: 'cs' .* are de, en, fr$"),
        (("multi30k", "en", "en"), r"data\.target_language: 'en' is the source language too"),
        (("wmt14", "en", "ja"), r"data\.target_language: 'ja' .* are cs, de, en, fr, hi, ru$"),
        (("wmt14", "de", "fr"), r"data\.target_language: wmt14 has no pair de-fr, one side has to be en"),
    ],
)
def test_what_is_not_there_is_refused_by_name(arguments: tuple[str, str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        load_corpus(*arguments, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "source", "target", "call"),
    [
        ("wmt14", "en", "de", ("wmt/wmt14", "de-en")),
        ("wmt14", "hi", "en", ("wmt/wmt14", "hi-en")),
        ("wmt16", "en", "ro", ("wmt/wmt16", "ro-en")),
        ("opus100", "fr", "en", ("Helsinki-NLP/opus-100", "en-fr")),
        ("opus_books", "en", "de", ("Helsinki-NLP/opus_books", "de-en")),
    ],
)
def test_each_corpus_has_its_repository_and_configuration(
    hub: Callable, tmp_path: Path, name: str, source: str, target: str, call: tuple[str, str]
) -> None:
    calls = hub(train=[], validation=[], test=[])
    load_corpus(name, source, target, tmp_path)
    assert calls == [call]


def test_a_repository_with_a_script_is_read_in_its_parquet_conversion(hub: Callable, tmp_path: Path) -> None:
    calls = hub(train=[], validation=[], test=[])
    load_corpus("iwslt2017", "en", "de", tmp_path)
    [(builder, files)] = calls
    assert builder == "parquet"
    folder = "hf://datasets/IWSLT/iwslt2017@refs/convert/parquet/iwslt2017-en-de"
    assert files == {split: f"{folder}/{split}/*.parquet" for split in ("train", "validation", "test")}


def test_a_corpus_from_the_hub_is_exported_once(hub: Callable, tmp_path: Path) -> None:
    calls = hub(train=rows(100), validation=rows(5, 100), test=rows(3, 200))
    files = load_corpus("wmt14", "de", "en", tmp_path)
    assert lines(files.train) == [[f"Zeile {n}" for n in range(100)], [f"line {n}" for n in range(100)]]
    assert [len(lines(pair)[0]) for pair in files] == [100, 5, 3]
    assert load_corpus("wmt14", "de", "en", tmp_path) == files
    assert len(calls) == 1


def test_line_breaks_within_a_segment_become_spaces_and_are_counted(
    hub: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [{"translation": {"en": "one\ntwo\u2028three", "de": "eins"}}, {"translation": {"en": "a", "de": None}}]
    hub(train=broken, validation=rows(1), test=rows(1))
    assert lines(load_corpus("wmt14", "en", "de", tmp_path).train) == [["one two three", "a"], ["eins", ""]]
    assert capsys.readouterr().err == "wmt14: 1 segments held a line break, which became a space\n"


def test_missing_splits_are_cut_by_content_and_share_no_source(hub: Callable, tmp_path: Path) -> None:
    corpus = rows(5000) + rows(5000)
    hub(train=corpus)
    files = load_corpus("opus_books", "en", "de", tmp_path / "one")
    train, validation, test = ({*lines(pair)[0]} for pair in files)
    assert not (train & validation or train & test or validation & test)
    assert train | validation | test == {f"line {n}" for n in range(5000)}
    assert all(60 < len(cut) < 140 for cut in (validation, test))  # 100 expected, four standard deviations
    hub(train=corpus[::-1])
    again = load_corpus("opus_books", "en", "de", tmp_path / "two")
    assert [sorted(lines(pair)[1]) for pair in again] == [sorted(lines(pair)[1]) for pair in files]


def test_a_split_that_exists_is_left_alone(hub: Callable, tmp_path: Path) -> None:
    hub(train=rows(1000), test=rows(4, 5000))
    files = load_corpus("opus100", "de", "en", tmp_path)
    assert lines(files.test)[1] == [f"line {n}" for n in range(5000, 5004)]
    assert len(lines(files.train)[0]) + len(lines(files.validation)[0]) == 1000


def test_an_export_that_breaks_off_leaves_nothing_that_looks_complete(hub: Callable, tmp_path: Path) -> None:
    hub(train=[*rows(3), {"no translation": {}}], validation=[], test=[])
    with pytest.raises(KeyError):
        load_corpus("wmt16", "en", "de", tmp_path)
    hub(train=rows(4), validation=[], test=[])
    assert len(lines(load_corpus("wmt16", "en", "de", tmp_path).train)[0]) == 4
    assert sorted(path.name for path in (tmp_path / "wmt16").iterdir()) == ["en-de", "en-de.lock"]


def test_without_the_package_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r'^data\.corpus: wmt14 .* -e "\.\[hub\]"$'):
        load_corpus("wmt14", "en", "de", tmp_path)


def test_what_the_hub_says_is_passed_on_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach\nthe hub")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(
        CorpusError, match=r"de-en of wmt/wmt14 .*Couldn't reach the hub.*--data\.train\.source"
    ) as caught:
        load_corpus("wmt14", "en", "de", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(hub: Callable, tmp_path: Path) -> None:
    hub(train=[], validation=[], test=[])
    (tmp_path / "file").write_text("in the way")
    for name in ("wmt14", "multi30k"):
        with pytest.raises(CorpusError, match=f"file: cannot keep {name} there .*LENGTHWISE_CACHE"):
            load_corpus(name, "en", "de", tmp_path / "file")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("LENGTHWISE_CACHE")
    assert cache_folder() == tmp_path / "shared" / "lengthwise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "lengthwise"


def test_without_a_home_corpora_say_what_to_set_and_tokenizers_do_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LENGTHWISE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user whom the system does not know
    with pytest.raises(DownloadError, match="this user has no home; set LENGTHWISE_CACHE"):
        cache_folder()
    files = write_corpus(tmp_path)
    splits: dict[str, Any] = {
        split: ParallelFiles(files[f"data.{split}.source"], files[f"data.{split}.target"])
        for split in ("train", "validation", "test")
    }
    data = Seq2SeqDataModule(task="text", length=60, vocabulary=150, byte_fallback=False, **splits)
    data.prepare_data()
    assert data.text is not None and len(data.text.text("test")) == 20


def test_every_name_is_listed_once() -> None:
    assert len(set(CORPORA)) == len(CORPORA) == len(corpora.MULTI30K_TEST_SETS) + len(corpora.HUB_CORPORA)
