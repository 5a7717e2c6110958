"""Keys and values that are kept, so that a text is read once and each new token attends to it.

    present.K = [past.K, K]     (..., Tp + T, Dk)     joined along the positions
    present.V = [past.V, V]     (..., Tp + T, Dv)

    dpast = the first Tp rows of dpresent,  dK and dV = the T rows behind them

Past in, present out: nothing is written to, so that a search may go on from one past in several
ways. The new queries stand behind the past: their mask is `causal_mask(T, Tp + T, offset=Tp)`, and
`rotary` turns them with offset=Tp. Reading a text in portions gives what reading it at once does.
Source: Shazeer 2019, "Fast Transformer Decoding", section 2.4; ONNX operator Attention, past_key.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import HALVES, quiet
from npattn.kernels.shapes import Shape, require_shapes


class KeysValues(NamedTuple):
    """What attention has read so far. The gradient has the same type."""

    K: np.ndarray  # (..., Tp, Dk)
    V: np.ndarray  # (..., Tp, Dv)


class AppendCache(NamedTuple):
    """What append_keys_values_backward reads."""

    Tp: int   # positions of the past
    K: tuple  # the shape of all keys, (..., Tp + T, Dk)
    V: tuple  # and of all values


@quiet
def append_keys_values(past, K, V) -> tuple[KeysValues, AppendCache]:
    """The past, and the new keys and values behind it.

    past  KeysValues (..., Tp, Dk) and (..., Tp, Dv); Tp may be 0
    K     (..., T, Dk)  keys of the new positions
    V     (..., T, Dv)  their values

    Returns KeysValues of Tp + T positions, and the cache.
    Raises ValueError if widths or leading axes disagree, TypeError for other than float arrays of
    one precision, which may be float16.

    >>> past = KeysValues(np.zeros((2, 4)), np.zeros((2, 1)))
    >>> present, cache = append_keys_values(past, np.ones((1, 4)), np.ones((1, 1)))
    >>> present.V.tolist()
    [[0.0], [0.0], [1.0]]
    """
    spec = "past.K ... Tp Dk, past.V ... Tp Dv, K ... T Dk, V ... T Dv"
    arrays = *past, K, V
    if {getattr(X, "dtype", None) for X in arrays} <= {np.asarray(K).dtype} and K.dtype in HALVES:
        arrays = (np.broadcast_to(np.float32(0.0), X.shape) for X in arrays)  # of halves the shape
    require_shapes(spec, *arrays)
    if not past.K.shape[:-2] == past.V.shape[:-2] == K.shape[:-2] == V.shape[:-2]:
        raise ValueError(f"leading axes differ: past.K {past.K.shape}, past.V {past.V.shape}, "
                         f"K {K.shape}, V {V.shape}")
    present = KeysValues(*(np.concatenate(pair, axis=-2) for pair in ((past.K, K), (past.V, V))))
    return present, AppendCache(past.K.shape[-2], present.K.shape, present.V.shape)


@quiet
def append_keys_values_backward(dpresent, cache: AppendCache) -> tuple:
    """dpast, dK and dV from dpresent, KeysValues: rows go back to where they came from."""
    spec = "dpresent.K =... T Dk, K ... T Dk, dpresent.V =... T Dv, V ... T Dv"
    K, V = cache.K, cache.V
    require_shapes(spec, *map(Shape, (np.shape(dpresent[0]), K, np.shape(dpresent[1]), V)))
    past, (dK, dV) = zip(*((dX[..., :cache.Tp, :], dX[..., cache.Tp:, :]) for dX in dpresent))
    return KeysValues(*past), dK, dV
