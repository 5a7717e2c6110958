"""A file is whole or as it was, and who cannot write is told which file."""

import os

import pytest

from npattn.files import replace_file


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
