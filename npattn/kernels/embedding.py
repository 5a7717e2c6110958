"""Embedding: a row of a table for every id, and its backward.

    Y[...] = E[ids[...]]       ids (...) integers, E (vocabulary, D), Y (..., D)

This is a linear layer on one-hot rows, without the multiplications by zero.
Source: Vaswani et al. 2017, section 3.4; d2l 15.1. The factor √D of that section is left to
the caller.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import as_rows, require_floats, require_integers


class EmbeddingCache(NamedTuple):
    """What embedding_backward reads."""

    ids: np.ndarray  # (...)
    E: np.ndarray    # (vocabulary, D)
    padding: int | None


def embedding(ids, E, *, padding=None):
    """The rows of the table that the ids name.

    ids      (...)           integers from 0 to vocabulary − 1
    E        (vocabulary, D) the table
    padding  an id that stands for nothing: its row does not learn, its gradient is 0

    Returns Y (..., D) and the cache.
    Raises TypeError if ids are no integers, ValueError if one lies outside the table.
    """
    require_floats(E=E)
    if E.ndim != 2:
        raise ValueError(f"E must be (vocabulary, D), got shape {E.shape}")
    require_integers(ids=ids)
    if ids.size and (ids.min() < 0 or ids.max() >= len(E)):
        raise ValueError(
            f"ids must lie in 0 … {len(E) - 1}, the rows of E; got {ids.min()} … {ids.max()}"
        )
    return E[ids], EmbeddingCache(ids, E, padding)


def embedding_backward(dY, cache):
    """dE from dY (..., D). An id that occurs twice gathers both gradients, an absent one gets 0.

    Raises ValueError if dY is not shaped like Y.
    """
    ids, E = cache.ids, cache.E
    if dY.shape != (*ids.shape, E.shape[1]):
        raise ValueError(f"dY {dY.shape} must be shaped like Y {(*ids.shape, E.shape[1])}")
    dE = np.zeros(E.shape, dY.dtype)
    if ids.size:
        # Y_n = E[ids_n], so dE_v = Σ dY_n over the n with ids_n = v: sort, then add up each run
        order = np.argsort(ids, axis=None, kind="stable")
        present, starts = np.unique(ids.ravel()[order], return_index=True)
        dE[present] = np.add.reduceat(as_rows(dY)[order], starts, axis=0)
    if cache.padding is not None:
        dE[cache.padding] = 0.0
    return dE
