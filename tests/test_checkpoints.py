"""Trees on disk: exact, atomic, reproducible, and no damage goes unnoticed."""

import io
import json
import os
import subprocess
import sys
import zipfile
from typing import NamedTuple

import numpy as np
import pytest

from npattn.training.checkpoints import CheckpointError, load_metadata, load_tree, save_tree
from npattn.trees import tree_items, tree_leaves, tree_map


class Layer(NamedTuple):
    W: np.ndarray
    b: np.ndarray | None


def tree():
    rng = np.random.default_rng(3)
    return (
        Layer(rng.normal(size=(2, 3)), rng.normal(size=3).astype(np.float32)),
        Layer(np.asfortranarray(rng.normal(size=(4, 2))), None),
        np.array(5, np.int64),
        np.zeros((0, 3)),
        np.array([True, False]),
    )


METADATA = {"step": 7, "vocabulary": ["a", "ä", "日"], "big": 2**127, "rate": 0.1}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "params.npz"
    save_tree(path, tree(), METADATA)
    return path


def assert_same(one, other):
    assert [path for path, _ in tree_items(one)] == [path for path, _ in tree_items(other)]
    for X, Y in zip(tree_leaves(one), tree_leaves(other), strict=True):
        assert X.dtype == Y.dtype and X.shape == Y.shape and X.tobytes() == Y.tobytes()


def rewrite(path, **changes):
    """The same file with entries replaced, added, or (None) left out; checksums are right."""
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{key: X for key, X in arrays.items() if X is not None})


def test_round_trip_is_exact(saved):
    back, metadata = load_tree(saved, tree())
    assert_same(back, tree())
    assert type(back[0]) is Layer and back[1].b is None
    assert metadata == METADATA == load_metadata(saved)
    assert all(X.flags.writeable and X.flags.c_contiguous for X in tree_leaves(back))


def test_values_of_like_do_not_matter(saved):
    blank = tree_map(lambda X: np.full_like(X, 1), tree())
    assert_same(load_tree(saved, blank)[0], tree())


def test_a_lone_array_is_a_tree(tmp_path):
    save_tree(tmp_path / "one.npz", np.arange(3.0))
    back, metadata = load_tree(tmp_path / "one.npz", np.zeros(3))
    np.testing.assert_array_equal(back, [0.0, 1.0, 2.0])
    assert metadata == {}


def test_numpy_reads_the_file_without_pickle(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert {*file} == {"[0].W", "[0].b", "[1].W", "[2]", "[3]", "[4]", "__metadata__"}
        np.testing.assert_array_equal(file["[1].W"], tree()[1].W)
        assert json.loads(str(file["__metadata__"])) == {"format": 1, "metadata": METADATA}


def test_arrays_in_metadata_come_back_as_lists(tmp_path):
    metadata = {"key": np.arange(3, dtype=np.uint64), "size": np.int64(4), "pair": (1, 2)}
    save_tree(tmp_path / "a.npz", (), metadata)
    assert load_metadata(tmp_path / "a.npz") == {"key": [0, 1, 2], "size": 4, "pair": [1, 2]}


def test_same_content_same_bytes(saved, tmp_path):
    other = tmp_path / "other.npz"
    contiguous = tree_map(lambda X: np.array(X, order="C"), tree())
    save_tree(other, contiguous, dict(reversed(METADATA.items())))
    assert other.read_bytes() == saved.read_bytes()


def test_same_bytes_in_another_process_at_another_time(saved, tmp_path):
    other = tmp_path / "other.npz"
    program = (
        "import sys, time; time.time = lambda: 2e9; sys.path.insert(0, sys.argv[1]);"
        "import test_checkpoints as t; t.save_tree(sys.argv[2], t.tree(), t.METADATA)"
    )
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", program, here, other], check=True, env=environment)
    assert other.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_crash_while_writing_leaves_the_old_file(saved, monkeypatch, name):
    before = saved.read_bytes()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, name, crash)
    with pytest.raises(KeyboardInterrupt):
        save_tree(saved, (np.ones(3),))
    assert saved.read_bytes() == before
    assert [*saved.parent.iterdir()] == [saved]


def test_a_file_is_replaced_and_nothing_is_left_beside_it(saved):
    save_tree(saved, np.ones(3))
    np.testing.assert_array_equal(load_tree(saved, np.zeros(3))[0], np.ones(3))
    assert [*saved.parent.iterdir()] == [saved]


def test_the_leaves_are_not_written_to(tmp_path):
    leaves = tree()
    for X in tree_leaves(leaves):
        X.flags.writeable = False
    save_tree(tmp_path / "a.npz", leaves)
    assert_same(load_tree(tmp_path / "a.npz", leaves)[0], tree())


@pytest.mark.parametrize(
    "leaf, message",
    [
        (np.array([1.0, np.nan, np.inf]), r"\[0\].W holds 2 values that are not finite"),
        (np.array([{}], object), r"\[0\].W must be a numeric array, got object"),
    ],
)
def test_unfit_leaves_are_not_written(saved, leaf, message):
    before = saved.read_bytes()
    with pytest.raises(ValueError, match=message):
        save_tree(saved, (Layer(leaf, None),))
    assert saved.read_bytes() == before


@pytest.mark.parametrize(
    "metadata, error", [({"a": object()}, TypeError), ({"a": float("nan")}, ValueError)]
)
def test_unfit_metadata_is_not_written(tmp_path, metadata, error):
    with pytest.raises(error):
        save_tree(tmp_path / "a.npz", (), metadata)
    assert not [*tmp_path.iterdir()]


def test_no_file_is_no_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tree(tmp_path / "none.npz", ())


def test_truncation_is_found_wherever_it_falls(saved):
    whole = saved.read_bytes()
    for size in {0, 1, 30, 100, 500, len(whole) // 2, len(whole) - 22, len(whole) - 1}:
        saved.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="params.npz is damaged or no .npz file"):
            load_tree(saved, tree())


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_flipped_bit_is_found_or_harmless(tmp_path, bit):
    path = tmp_path / "params.npz"
    like = Layer(np.array([[1.0, 2.0, 3.0]]), None)
    save_tree(path, like, {"step": 1})
    whole = path.read_bytes()
    found = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            back, metadata = load_tree(path, like)
        except CheckpointError:
            found += 1
        else:  # a date or a file mode of the container
            assert_same(back, like)
            assert metadata == {"step": 1}
    assert found > 0.8 * len(whole)


def test_a_flipped_byte_in_the_values_is_named(saved):
    whole = saved.read_bytes()
    place = whole.index(tree()[0].W.tobytes())
    saved.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    with pytest.raises(CheckpointError, match=r"Bad CRC-32.*\[0\].W"):
        load_tree(saved, tree())


@pytest.mark.parametrize(
    "key, X, message",
    [
        ("[0].W", None, r"\[0\].W is missing"),
        ("[9]", np.ones(2), r"\[9\] is not expected"),
        ("[0].W", np.ones((3, 2)), r"\[0\].W has shape \(3, 2\), expected \(2, 3\)"),
        ("[0].b", np.ones(3), r"\[0\].b has dtype float64, expected float32"),
        ("[1].W", np.full((4, 2), np.inf), r"\[1\].W holds 8 values that are not finite"),
    ],
)
def test_what_does_not_fit_is_named(saved, key, X, message):
    rewrite(saved, **{key: X})
    with pytest.raises(CheckpointError, match=f"params.npz does not fit: {message}"):
        load_tree(saved, tree())


def test_all_faults_are_told_at_once_up_to_eight(saved):
    with pytest.raises(CheckpointError) as caught:
        load_tree(saved, tuple(np.zeros(9) for _ in range(8)))
    message = str(caught.value)
    assert "[0] is missing; [1] is missing; [2] has shape (), expected (9,)" in message
    assert message.endswith("; and 3 more")


def test_pickled_objects_are_refused(saved):
    rewrite(saved, **{"[0].W": np.array([{"a": 1}], object)})
    with pytest.raises(CheckpointError, match="Object arrays cannot be loaded"):
        load_tree(saved, tree())


def test_other_kinds_of_file_are_refused(saved):
    saved.write_text("step,loss\n1,2.0\n")
    with pytest.raises(CheckpointError, match="no .npz file"):
        load_metadata(saved)
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="no .npz file"):
        load_metadata(saved)


def test_a_file_of_numpy_savez_has_no_metadata(saved):
    rewrite(saved, __metadata__=None)
    with pytest.raises(CheckpointError, match="save_tree did not write it"):
        load_tree(saved, tree())


def test_a_compressed_entry_is_not_unpacked(saved):
    """A file of 12 kB would become 12 MB; another one more than there is memory."""
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W.npy", bytes(12_000_000))
    with pytest.raises(CheckpointError, match="W.npy is compressed; save_tree does not compress"):
        load_tree(saved, tree())


@pytest.mark.parametrize("text", [
    "{", "[]", '{"metadata": {}}', "null", '{"format": 1}', "[" * 100_000,
])
def test_unreadable_metadata_is_refused(saved, text):
    rewrite(saved, __metadata__=np.array(text))
    with pytest.raises(CheckpointError, match="metadata that cannot be read"):
        load_metadata(saved)


def test_another_format_is_refused(saved):
    rewrite(saved, __metadata__=np.array('{"format": 2, "metadata": {}}'))
    with pytest.raises(CheckpointError, match="has format 2, this version reads 1"):
        load_tree(saved, tree())


def test_no_array_is_read_from_a_stream_that_ends_early(saved):
    entry = io.BytesIO()
    np.lib.format.write_array(entry, np.ones((2, 3)))
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("[0].W.npy", entry.getvalue()[:-8])
    with pytest.raises(CheckpointError, match="damaged"):
        load_tree(saved, tree())


def test_a_checkpoint_error_is_a_value_error():
    assert issubclass(CheckpointError, ValueError)
