"""What the arguments cap, bias and sink of `tiled_attention` say, as ScoreSteps.

A cap is a number. A bias and a sink broadcast, to the scores (..., Tq, Tk) and to the leading axes
alone; a bias keeps the axes that it came with, so that nothing of its size is made.
"""

import math
from functools import partial

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.options import require_cap
from npattn.kernels.tiling.driver import WORTH_THREADS
from npattn.kernels.tiling.score_steps import ScoreSteps
from npattn.kernels.tiling.sharing import owners
from npattn.kernels.tiling.threads import run
from npattn.kernels.tiling.tiles import blocks

ROWS = 64  # of a bias, which lie in the cache together


def steps_of(S, dtype, cap=None, bias=None, sink=None, threads=1):
    """The ScoreSteps that the options of `tiled_attention` describe, for scores of the shape S.

    Raises TypeError or ValueError that names the argument which does not fit.
    """
    *lead, Tq, Tk = S
    owner, largest, forbids = None, None, False
    if bias is not None:
        require_real_floats(Q=np.empty(0, dtype), bias=bias)
        _require_fits("bias", bias.shape, S, "insert axes of length 1 where it should repeat")
        shape = (1,) * (2 - bias.ndim) + bias.shape
        owner = owners(shape[:-2], lead)
        bias = bias.reshape(math.prod(shape[:-2]), *shape[-2:])
        largest, forbids = _sizes(bias, threads if bias.size >= WORTH_THREADS else 1)
    if sink is not None:
        require_real_floats(Q=np.empty(0, dtype), sink=sink)
        _require_fits("sink", sink.shape, lead, "there must be one for each head")
        sink = np.broadcast_to(sink, lead).reshape(-1, 1)
    cap = None if cap is None else require_cap(cap)
    return ScoreSteps(cap, bias, owner, sink, largest, forbids)


def require_real_floats(**arrays):
    """As `require_floats`, and none may be complex. Raises TypeError that says what to use then."""
    require_floats(**arrays)
    for name, X in arrays.items():
        if np.iscomplexobj(X):
            raise TypeError(f'{name} is {X.dtype}, but kernel="tiled" and tiled_attention take '
                            'real arrays only: use `attention` instead; in a model use '
                            'kernel="attention"')


def _sizes(bias, threads):
    """`largest` and `forbids`; a few rows at a time, so that memory is read once."""
    high, low = (np.empty(bias.shape[:2], bias.dtype) for _ in range(2))
    parts = [(n, rows) for n in range(len(bias)) for rows in blocks(0, bias.shape[1], ROWS)]

    def look(first):
        with np.errstate(all="ignore"):
            for part in parts[first::threads]:
                high[part] = bias[part].max(axis=1, initial=0.0)
                low[part] = bias[part].min(axis=1, initial=0.0)

    run([(partial(look, first), ()) for first in range(threads)], threads)
    forbids = bool(np.isneginf(low).any())
    if forbids:
        low = bias.min(axis=2, initial=0.0, where=bias > -np.inf)
    return np.maximum(high, -low), forbids


def _require_fits(name, shape, whole, advice):
    try:
        fits = np.broadcast_shapes(shape, whole) == tuple(whole)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} {shape} does not broadcast to {tuple(whole)}; {advice}")
