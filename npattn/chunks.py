"""Dask arrays in chunks: do they fit together, which blocks are needed, arrays made of blocks.

The place of a block of X (..., T, D) are its numbers along all axes but the last, which is in one
chunk.
"""

import itertools
import math

import numpy as np

from npattn.kernels.shapes import require_shapes
from npattn.kernels.tiling.restrictions import reach_of


def require_chunks(spec, *arrays):
    """Dask arrays that fit together as `spec` says, in chunks that fit together, too.

    spec  as in `require_shapes`: axes of one name have the same chunks, and so have leading axes,
          unless of length 1; the last axis of each array is in one chunk

    Returns the chunks of the leading axes, broadcast.
    Raises TypeError or ValueError that names the array and says what to do.
    """
    axes = [part.split() for part in spec.split(", ")]
    names = [name for name, *_ in axes]
    for name, X in zip(names, arrays, strict=True):
        _require_array(name, X)
    # arrays of that shape and kind without any memory
    require_shapes(spec, *(np.broadcast_to(np.zeros((), X.dtype), X.shape) for X in arrays))
    lead, known = {}, {}
    for (name, _, *own), X in zip(axes, arrays, strict=True):
        if X.numblocks[-1] > 1:
            raise ValueError(
                f"{name} must have its last axis in one chunk, got {X.chunks[-1]}; "
                f"{name}.rechunk({{-1: -1}}) makes it so")
        for axis in range(-X.ndim, -1):
            place, where = (known, own[axis]) if axis >= -len(own) else (lead, axis)
            if X.shape[axis] == 1 and place is lead:
                lead.setdefault(axis, ("", (1,)))
                continue
            first, chunks = place.get(where, ("", (1,)))
            if first and chunks != X.chunks[axis]:
                raise ValueError(
                    f"{name} has the chunks {X.chunks[axis]} along axis {axis}, {first} has "
                    f"{chunks}; {name}.rechunk({{{axis}: {chunks}}}) makes them alike")
            place[where] = name, X.chunks[axis]
    return tuple(lead[axis][1] for axis in sorted(lead))


def _require_array(name, X):
    import dask.array as da

    if not isinstance(X, da.Array):
        raise TypeError(
            f"{name} must be a Dask array, got {type(X).__name__}; "
            f"da.from_array({name}, chunks=...) makes one")
    if X.dtype.char not in "fd":
        raise TypeError(
            f"{name} must be float32 or float64, got {X.dtype}; "
            f"convert it with {name}.astype(np.float32) or .astype(np.float64)")
    if any(map(math.isnan, X.shape)):
        raise ValueError(
            f"{name} has chunks of unknown size, {X.chunks}; call {name}.compute_chunk_sizes()")


def slices(chunks):
    """Where the chunks of an axis lie in it."""
    ends = itertools.accumulate(chunks)
    return [slice(end - n, end) for n, end in zip(chunks, ends, strict=True)]


def blocks_of(lead, *arrays):
    """The blocks of each array, an object array by their places, with leading axes as in `lead`."""
    blocks = (X.to_delayed(optimize_graph=False)[..., 0] for X in arrays)
    return [np.broadcast_to(X, (*map(len, lead), X.shape[-1])) for X in blocks]


def place_in(X, place):
    """Where in X the block lies that stands at `place` once the leading axes are broadcast."""
    own = place[len(place) + 1 - X.ndim :]
    return tuple(0 if n == 1 else i for i, n in zip(own, X.numblocks[:-1], strict=True))


def tree(combine, parts):
    """All parts combined, two by two; `combine` and the result are delayed."""
    while len(parts) > 1:
        pairs = (parts[i : i + 2] for i in range(0, len(parts), 2))
        parts = [combine(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return parts[0]


def block_array(blocks, chunks, dtype, fill=0.0):
    """The Dask array in these chunks, made of blocks, and of `fill` where there is none.

    blocks  {place: delayed}, where a place does without the last axis if that is one block
    """
    import dask.array as da

    arrays = np.empty([len(c) for c in chunks], object)
    for place in np.ndindex(arrays.shape):
        shape = tuple(c[i] for c, i in zip(chunks, place, strict=True))
        block = blocks.get(place, blocks.get(place[:-1]))
        arrays[place] = (
            da.full(shape, fill, dtype=dtype, chunks=shape) if block is None
            else da.from_delayed(block, shape, dtype))
    return da.block(arrays.tolist())


def block_pairs(rows, keys, lens, causal, offset, window):
    """(place of queries, place of keys, options of `tiled_attention`) of each block that is needed.

    rows  chunks of the leading axes and of the queries    keys  chunks of the keys
    lens, causal, offset, window  options of `tiled_attention` for the whole

    A block in which no query may attend to a key is left out.
    """
    *lead, last = map(slices, rows)
    *axes, Tq = map(sum, rows)
    shape = (Tq,) if lens is None else (*axes[:1], Tq)
    reach = reach_of(shape, sum(keys), None, lens, causal, offset, window)
    for i in np.ndindex(*map(len, rows)):
        row = last[i[-1]]
        own = slice(None) if lens is None else lead[0][i[0]], row
        for b, key in enumerate(slices(keys)):
            start, stop = reach.start[own], reach.stop[own]
            if (np.maximum(start, key.start) < np.minimum(stop, key.stop)).any():
                here = {"causal": causal, "offset": offset + row.start - key.start,
                        "window": window}
                if lens is not None:
                    left = np.asarray(lens, np.int64)[own[: np.ndim(lens)]] - key.start
                    here["valid_lens"] = left.clip(0, key.stop - key.start)
                yield i, (*i[:-1], b), here
