"""A file is whole or as it was, and who cannot write is told which file."""

import os
import subprocess
import sys

import pytest

from npattn.files import HOST, new_file, replace_file, replace_files


def test_a_file_is_written_flushed_and_replaced(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_size))
    path = tmp_path / "file"
    for content in (b"old", b"newer"):
        assert replace_file(str(path), content) == path
        assert path.read_bytes() == content
    assert flushed == [3, 5]
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_where_writing_fails_the_file_is_as_it_was(tmp_path, monkeypatch, name, error):
    def fail(*_):
        raise error

    path = replace_file(tmp_path / "file", b"old")
    monkeypatch.setattr(os, name, fail)
    with pytest.raises(type(error)):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("place", "error"), [
    ("nowhere/x", FileNotFoundError), ("file/x", NotADirectoryError), ("folder", IsADirectoryError)
])
def test_the_error_names_the_file_that_was_asked_for(tmp_path, place, error):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(error) as caught:
        replace_file(tmp_path / place, b"new")
    assert caught.value.filename == str(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_new_file_takes_no_place_that_is_taken(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    assert new_file(path, b"mine").read_bytes() == b"mine"
    link.symlink_to(tmp_path / "nothing")
    for taken in (path, link, tmp_path):
        with pytest.raises(FileExistsError) as caught:
            new_file(taken, b"new")
        assert caught.value.filename == str(taken)
    assert path.read_bytes() == b"mine" and not link.exists()


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    file, link = tmp_path / "disk" / "file", tmp_path / "link"
    file.write_bytes(b"old")
    link.symlink_to(file)
    replace_file(link, b"new")
    assert link.is_symlink() and file.read_bytes() == b"new"
    assert [*file.parent.iterdir()] == [file]


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_stay(tmp_path, mode):
    path = replace_file(tmp_path / "file", b"old")
    path.chmod(mode)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this system")
def test_a_device_is_written_to_and_stays_a_device():
    replace_file("/dev/null", b"new")
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
    with pytest.raises(OSError, match="No space left on device.*/dev/full"):
        replace_file("/dev/full", b"new")
    assert not os.path.isfile("/dev/full")


@pytest.mark.skipif(os.name != "posix", reason="no harmless question whether a process lives")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".file.{HOST}.{ended.pid}.0123.unfinished"
    alive = tmp_path / f".file.{HOST}.{os.getpid()}.4567.unfinished"
    other = tmp_path / f".another.{HOST}.{ended.pid}.0123.unfinished"
    for path in (left, alive, other):
        path.write_bytes(b"half")
    path = replace_file(tmp_path / "file", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([alive, other, path])


def test_of_several_files_none_is_replaced_where_one_cannot_be_written(tmp_path):
    replace_file(tmp_path / "a", b"old")
    with pytest.raises(OSError) as caught:
        replace_files({tmp_path / "a": b"new", tmp_path / "none" / "b": b"new"})
    assert str(tmp_path / "none" / "b") in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old"}
    replace_files({tmp_path / "a": b"new", tmp_path / "b": b"newer"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"new", "b": b"newer"}
