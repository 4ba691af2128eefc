"""Files that are whole or not there: what is replaced, and what is written through."""

import os
import stat
from pathlib import Path

import pytest

from analysis.files import replacing, require_writable


def write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def test_a_file_is_replaced_when_the_block_succeeds_and_stays_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / ("name" * 60)  # as long as a name may be, nearly
    write(path, "old")
    path.chmod(0o600)
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    write(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # who may read it stays as it was
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ["old", None])
def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path, before: str | None) -> None:
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    if before:
        target.write_text(before)
    link.symlink_to(Path("elsewhere") / "target")
    write(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_pipe_is_written_through_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "text")
    assert os.read(reader, 100) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_written_through_and_stays_one(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_text("")
    except PermissionError:
        pytest.skip("this root may make no devices")
    write(device, "text")
    assert stat.S_ISCHR(device.stat().st_mode) and list(tmp_path.iterdir()) == [device]


def test_what_cannot_be_written_is_known_before_the_work_and_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("folder", "Is a directory"), ("loop", "Too many levels of symbolic links")):
        for check in (require_writable, lambda path: write(path, "text")):
            with pytest.raises(OSError, match=reason) as caught:
                check(tmp_path / name)
            assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(NotADirectoryError):
        require_writable(tmp_path / "file" / "inside")
    require_writable(tmp_path / "new" / "deep" / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", "loop"}
