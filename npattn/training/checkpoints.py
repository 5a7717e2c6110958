"""Trees of arrays on disk: whole, checked and reproducible.

A file is an ordinary `.npz`: one entry per leaf, named by its path in the tree, and one,
"__metadata__", with a JSON text. `numpy.load(path, allow_pickle=False)` reads it.

Writing is atomic: the file holds the old content or the new one, never a part. The same
content gives the same bytes. Reading trusts nothing: every leaf is compared with the tree
that the caller expects, and anything that does not fit is a CheckpointError that says what.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from npattn.files import replace_file
from npattn.kernels.arrays import came
from npattn.trees import tree_items, tree_unflatten

FORMAT = 1
METADATA = "__metadata__"  # no path starts like this: NamedTuple forbids the underscore


class CheckpointError(ValueError):
    """A file that is damaged, or that does not hold what was expected of it."""


def save_tree(path, tree, metadata=None):
    """Write a tree of arrays, and a dict to go with it.

    path      the file; its folder must exist. A file of that name is replaced
    tree      numeric arrays, None and (Named)tuples of these; floats must be finite
    metadata  dict that JSON can hold; tuples come back as lists, arrays as nested lists

    A crash at any moment leaves a file that is whole, as `replace_file` writes it.
    Raises ValueError for a leaf that is not finite or not numeric, TypeError for metadata
    that JSON cannot hold. Then nothing has been written.
    """
    replace_file(path, _to_bytes(tree, {} if metadata is None else metadata))


def load_tree(path, like):
    """The tree and the metadata that `save_tree` wrote.

    like  a tree of the expected structure, shapes and dtypes; its values do not matter

    Returns (tree, metadata), the tree with the structure of `like` and arrays of its own.
    Raises CheckpointError, a ValueError, naming the file and everything that does not fit;
    FileNotFoundError if there is no file.
    """
    arrays, metadata = _read(path)
    expected = dict(tree_items(like))
    faults = [_fault(key, expected.get(key), arrays.get(key)) for key in expected | arrays]
    faults = [fault for fault in faults if fault]
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise CheckpointError(f"{path} does not fit: {'; '.join(faults[:8])}{more}")
    return tree_unflatten(like, [arrays[key] for key in expected]), metadata


def load_metadata(path):
    """The metadata alone: what is needed to build the tree that `load_tree` takes."""
    return _read(path)[1]


def _to_bytes(tree, metadata):
    """The content of the file, in which no time of day and no other chance has a part."""
    envelope = {"format": FORMAT, "metadata": metadata}
    text = json.dumps(envelope, allow_nan=False, sort_keys=True, default=_as_list)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, X in [*tree_items(tree), (METADATA, np.array(text))]:
            kind = getattr(getattr(X, "dtype", None), "kind", "O")
            if kind not in "biufcU" or isinstance(X, np.ma.MaskedArray):
                raise ValueError(f"{key} must be a numeric array, got {came(X)}")
            if not _finite(X):
                raise ValueError(f"{key} holds {_count_bad(X)} values that are not finite")
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.array(X, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()


def _read(path):
    """All arrays by key, and the metadata; every entry's checksum is verified on the way."""
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _require_stored(archive)
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False
                )
                for name in archive.namelist()
            }
    except Exception as error:  # zipfile and numpy have a dozen ways to reject a damaged file
        raise CheckpointError(f"{path} is damaged or no .npz file: {error}") from error
    if METADATA not in arrays:
        raise CheckpointError(f"{path} has no entry {METADATA}: save_tree did not write it")
    try:
        envelope = json.loads(str(arrays.pop(METADATA)))
        version, metadata = envelope["format"], envelope["metadata"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} has metadata that cannot be read: {error!r}") from error
    if version != FORMAT:
        raise CheckpointError(f"{path} has format {version}, this version reads {FORMAT}")
    return arrays, metadata


def _require_stored(archive):
    """Raises ValueError for a compressed entry: a small one could unpack to more than memory."""
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{entry.filename} is compressed; save_tree does not compress")


def _fault(key, expected, found):
    """What is wrong with one entry, in words; None if nothing is."""
    if found is None:
        return f"{key} is missing"
    if expected is None:
        return f"{key} is not expected"
    if found.shape != expected.shape:
        return f"{key} has shape {found.shape}, expected {expected.shape}"
    if found.dtype != expected.dtype:
        return f"{key} has dtype {found.dtype}, expected {expected.dtype}"
    if not _finite(found):
        return f"{key} holds {_count_bad(found)} values that are not finite"
    return None


def _finite(X):
    return X.dtype.kind not in "fc" or bool(np.isfinite(X).all())


def _count_bad(X):
    return int((~np.isfinite(X)).sum())


def _as_list(value):
    """What json.dumps asks about a value that it does not know."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"metadata must be what JSON can hold, got {type(value).__name__}: {value!r}")
