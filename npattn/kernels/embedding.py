"""Embedding: a row of a table for every id, and its backward.

    Y[...] = E[ids[...]]       ids (...) integers, E (vocabulary, D), Y (..., D)

This is a linear layer on one-hot rows, without the multiplications by zero.
Source: Vaswani et al. 2017, section 3.4; d2l 15.1. The factor √D of that section is left to
the caller.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_generator
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import as_rows


class EmbeddingCache(NamedTuple):
    """What embedding_backward reads."""

    ids: np.ndarray  # (...)
    E: np.ndarray    # (vocabulary, D)
    padding: int | None


def normal(deviation, shape, rng, dtype=np.float64) -> np.ndarray:
    """A table to start with: normal numbers of mean 0 and that standard deviation, from `rng`.

    Raises TypeError unless rng is a Generator and dtype float32 or float64.
    """
    require_generator(rng, dtype)
    return rng.normal(0.0, deviation, shape).astype(dtype)


@quiet
def embedding(ids, E, *, padding=None) -> tuple[np.ndarray, EmbeddingCache]:
    """The rows of the table that the ids name.

    ids      (...)           integers from 0 to vocabulary − 1
    E        (vocabulary, D) the table
    padding  an id that stands for nothing: its row does not learn, its gradient is 0

    Returns Y (..., D) and the cache.
    Raises TypeError if ids are no integers, ValueError if one lies outside the table.

    >>> embedding(np.array([1, 0, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]))[0].tolist()
    [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    require_shapes("ids:int ..., E vocabulary D", ids, E)
    if ids.size and (ids.min() < 0 or ids.max() >= len(E)):
        raise ValueError(f"ids must lie in 0 … {len(E) - 1}, the rows of E; "
                         f"got {ids.min()} … {ids.max()}")
    if padding is not None:
        require_counts(None, padding=padding)
    return E[ids], EmbeddingCache(ids, E, padding)


@quiet
def embedding_backward(dY, cache: EmbeddingCache) -> np.ndarray:
    """dE from dY (..., D). An id that occurs twice gathers both gradients, an absent one gets 0."""
    ids, E, _ = cache
    require_shapes("dY =... D, ids:int ..., E vocabulary D", dY, ids, E)
    dE = np.zeros(E.shape, dY.dtype)
    if ids.size:
        # Y_n = E[ids_n], so dE_v = Σ dY_n over the n with ids_n = v: sort, then add up each run
        order = np.argsort(ids, axis=None, kind="stable")
        present, starts = np.unique(ids.ravel()[order], return_index=True)
        dE[present] = np.add.reduceat(as_rows(dY)[order], starts)
    if cache.padding is not None:
        dE[cache.padding] = 0.0
    return dE
