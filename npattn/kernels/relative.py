"""Relative positions: a learned term in the score, by how far the key is from the query.

    r_ij = clip(j − i − offset, −c, c) + c       the row for query i and key j, in 0 … 2c
    bias    S_ij = E[r_ij]                       one number per offset and head    E (2c + 1, H)
    score   S_ij = q_iᵀ A[r_ij]                  one vector per offset             A (2c + 1, D)

Both are added to the scores of `attention`: see `biased_attention`. All pairs at one distance, or
beyond c, share a row, so its gradient is a sum along diagonals of dS. Source: Shaw, Uszkoreit and
Vaswani 2018, "Self-Attention with Relative Position Representations", eq. 4 and 5, for A; Raffel
et al. 2020 (T5), section 2.1, for E, there with wider and wider rows.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward
from npattn.kernels.floats import quiet
from npattn.kernels.positional_masks import distances
from npattn.kernels.shapes import require_shapes


def relative_rows(Tq, Tk, reach, *, offset=0) -> np.ndarray:
    """r (Tq, Tk): which row of a table of 2 · reach + 1 serves query i and key j.

    reach   c, the largest distance that is told apart
    offset  the position of query 0 among the keys, as in `causal_mask`

    >>> relative_rows(2, 3, 1).tolist()
    [[1, 2, 2], [0, 1, 2]]
    """
    return np.clip(distances(Tq, Tk, offset), -reach, reach) + reach


def relative_bias(E, Tq, Tk, *, offset=0) -> tuple[np.ndarray, EmbeddingCache]:
    """A bias for every head, query and key that depends on their distance only.

    E       (2c + 1, H)  a row for each distance −c … c, a column for each head
    Tq, Tk  number of queries and of keys; offset as in `relative_rows`

    Returns the bias (H, Tq, Tk) and the cache. Raises ValueError if E has an even number of rows.

    >>> relative_bias(np.array([[1.0], [2.0], [3.0]]), 2, 3)[0].tolist()
    [[[2.0, 3.0, 3.0], [1.0, 2.0, 3.0]]]
    """
    rows = relative_rows(Tq, Tk, _reach("E", E), offset=offset)
    bias, cache = embedding(rows, E)
    return np.moveaxis(bias, -1, 0), cache


@quiet
def relative_bias_backward(dbias, cache: EmbeddingCache) -> np.ndarray:
    """dE from dbias (H, Tq, Tk): entries of one diagonal come from one row and go back to it."""
    require_shapes("dbias =... H Tq Tk, rows:int Tq Tk, E r H", dbias, cache.ids, cache.E)
    return embedding_backward(np.moveaxis(dbias, 0, -1), cache)


class RelativeScoresCache(NamedTuple):
    """What relative_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    R: np.ndarray  # (Tq, Tk, D) the vector for query i and key j
    embedding: EmbeddingCache


def relative_scores(Q, A, Tk, *, offset=0) -> tuple[np.ndarray, RelativeScoresCache]:
    """The match of each query with the vectors of the distances from it.

    Q       (..., Tq, D)
    A       (2c + 1, D)  a vector for each distance −c … c, the same for all heads
    Tk      number of keys; offset as in `relative_rows`

    Returns S (..., Tq, Tk), not scaled, and the cache. Raises ValueError if shapes do not fit.

    >>> relative_scores(np.array([[2.0]]), np.array([[1.0], [2.0], [3.0]]), 3)[0].tolist()
    [[4.0, 6.0, 6.0]]
    """
    require_shapes("Q ... Tq D, A rows D", Q, A)
    R, cache = embedding(relative_rows(Q.shape[-2], Tk, _reach("A", A), offset=offset), A)
    return (R @ Q[..., None])[..., 0], RelativeScoresCache(Q, R, cache)


@quiet
def relative_scores_backward(dS, cache: RelativeScoresCache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dA from dS: each vector R_ij gathers dS_ij q_i from the whole batch."""
    Q, R, embedding_cache = cache
    require_shapes("dS =... Tq Tk, Q ... Tq D, R Tq Tk D", dS, Q, R)
    dQ = (dS[..., None, :] @ R)[..., 0, :]  # S_ij = R_ij q_i
    N = math.prod(dS.shape[:-2])
    dR = np.einsum("nij,nid->ijd", *(X.reshape(N, *X.shape[-2:]) for X in (dS, Q)))
    return dQ, embedding_backward(dR, embedding_cache)  # R = A[rows]


def _reach(name, E):
    """c of a table of 2c + 1 rows."""
    require_shapes(f"{name} rows D", E)
    if len(E) % 2 == 0:
        raise ValueError(f"{name} must have 2c + 1 rows, one for each distance, got {E.shape}")
    return len(E) // 2
