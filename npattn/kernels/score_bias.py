"""A term added to the scores, between the scores and `attend`, and its gradient.

    Y = S + bias        (..., Tq, Tk)     dS = dY,  dbias = Σ dY over what shares an entry of bias

    S, scored = dot_scores(Q, K)           dY, dV = attend_backward(dO, attended)
    Y, added = add_bias(S, bias)           dS, dbias = add_bias_backward(dY, added)
    O, attended = attend(Y, V, mask)       dQ, dK = dot_scores_backward(dS, scored)

It is how positions (`relative_bias`, `alibi_bias`) and structures known beforehand enter.
An entry of −inf forbids, as a mask does, whatever S holds there, be it NaN.
Source: Shaw, Uszkoreit and Vaswani 2018, section 3.2; Raffel et al. 2020 (T5), section 2.1.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.sums import unbroadcast


class BiasCache(NamedTuple):
    """What add_bias_backward reads."""

    bias: np.ndarray  # as given
    shape: tuple      # of S


@quiet
def add_bias(S, bias) -> tuple[np.ndarray, BiasCache]:
    """Scores with a bias for each query and key.

    S     (..., Tq, Tk)  scores, natural-log units
    bias  broadcastable to S, in the same units; (H, Tq, Tk) for one per head

    Returns Y, shaped like S, and the cache.
    Raises ValueError if bias does not broadcast to S, TypeError for other than float arrays.

    >>> add_bias(np.array([[1.0, np.nan]]), np.array([0.5, -np.inf]))[0].tolist()
    [[1.5, -inf]]
    """
    require_floats(S=S, bias=bias)
    try:
        added = np.broadcast_to(bias, S.shape)
    except ValueError:
        raise ValueError(f"bias {bias.shape} does not broadcast to the scores {S.shape}; "
                         "insert axes of length 1 where it should repeat") from None
    Y = S + added
    forbidden = bias == -np.inf
    if forbidden.any():  # also where S is inf or NaN
        Y = np.where(forbidden, Y.dtype.type(-np.inf), Y)
    return Y, BiasCache(bias, S.shape)


@quiet
def add_bias_backward(dY, cache: BiasCache) -> tuple:
    """dS and dbias from dY (..., Tq, Tk): a sum hands its gradient to both of its terms."""
    require_shapes("dY =... Tq Tk, S ... Tq Tk", dY, Shape(cache.shape))
    dS = np.where(cache.bias == -np.inf, dY.dtype.type(0.0), dY)
    return dS, unbroadcast(dS, cache.bias)
