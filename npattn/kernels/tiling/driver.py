"""What a call of `tiled_attention` keeps, and the driver that has its patches worked on.

The caller's leading axes become one: N heads of queries, M of keys and values, on whose patches of
the score matrix `passes` works. Patches that add to different sums run side by side on threads:
NumPy lets go of the interpreter lock inside a product.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.tiling.reach import Reach
from npattn.kernels.tiling.score_steps import NO_STEPS, ScoreSteps
from npattn.kernels.tiling.sharing import places
from npattn.kernels.tiling.threads import run
from npattn.kernels.tiling.tiles import latin_patches, row_patches, tile_shape

WORTH_THREADS = 2**16  # scores; with fewer, handing out the work takes longer than doing it


class TiledCache(NamedTuple):
    """What tiled_attention_backward reads. Nothing in it has Tq · Tk entries, but mask and bias.

    A row of Q, K or V that holds NaN or inf may be zeros here; where a query may attend to
    it, O and L are NaN.
    """

    Q: np.ndarray        # (..., Tq, Dk)
    K: np.ndarray        # (..., Tk, Dk) leading axes of length 1 are shared
    V: np.ndarray        # (..., Tk, Dv) likewise, as in K
    O: np.ndarray        # (..., Tq, Dv)
    L: np.ndarray        # (..., Tq) log-sum-exp of the scores; −inf where no key is allowed
    L_rest: np.ndarray   # (..., Tq) what L has lost to rounding
    shifted: np.ndarray  # (..., Tq) bool: the bound was too large, a running maximum was kept
    reach: Reach         # who may attend to whom
    scale: float
    dropout: float       # 0 without a generator
    seed: int | None     # of the dropout; None where nothing is dropped
    threads: int
    half: np.dtype | None = None  # float16 or bfloat16 where Q, K and V came as such
    shapes: tuple = ()   # of Q, K, V, and maybe bias and sink, as they came
    owner: np.ndarray | None = None  # which head of K belongs to each of Q: the page `sharing`
    steps: ScoreSteps = NO_STEPS     # a cap, a bias, a sink
    loud: bool = False   # whether exp of a score that is not allowed may be inf


def one_axis(X, lead):
    """X (..., T, D) with its leading axes broadcast to `lead`, and folded into one."""
    return np.broadcast_to(X, (*lead, *X.shape[-2:])).reshape(math.prod(lead), *X.shape[-2:])


def with_axes(cache, lead, key_lead):
    """The cache with other leading axes: one to work with, those of the caller to hand out."""
    arrays = {name: (lead, cache.L.ndim - 1) for name in ("Q", "O", "L", "L_rest", "shifted")}
    arrays |= {name: (key_lead, cache.K.ndim - 2) for name in ("K", "V")}
    return cache._replace(**{
        name: (X := getattr(cache, name)).reshape(*axes, *X.shape[own:])
        for name, (axes, own) in arrays.items()
    })


def on_rows(work, flat):
    """Has work(flat, shape, heads, rows, keys) done on blocks of queries with all their keys."""
    _on_patches(work, flat, row_patches)


def on_squares(work, flat):
    """Has it done on patches of some queries with some keys, which add to the sums of both."""
    def sums(heads, a, b):
        keys = places("keys", flat.owner, heads, b)
        return ("queries", heads.start, a), *keys, *flat.steps.places(heads, a, b)

    apart = min(len(X) for X in (flat.Q, flat.K, flat.steps.bias) if X is not None)
    _on_patches(work, flat, partial(latin_patches, sums=sums, apart=apart))


def _on_patches(work, flat, patches):
    (N, Tq, _), Tk = flat.Q.shape, flat.K.shape[1]
    heads, *block = tile_shape(Tq, Tk, flat.Q.itemsize, flat.reach.free)
    shape = (max(1, min(heads, N // 4)), *block)  # where heads share a tile, leave some for others
    threads = flat.threads if N * Tq * Tk >= WORTH_THREADS else 1

    def job(patch):
        with np.errstate(all="ignore"):
            work(flat, shape, *patch)

    run([(partial(job, patch), sums) for patch, sums in patches(N, Tq, Tk, shape)], threads)
