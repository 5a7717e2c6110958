"""Which kernel normalizes: the one place where it is chosen.

    "layer_norm"  rows to mean 0 and variance 1; LayerNormParams
    "rms_norm"    rows to a root mean square of 1; a gain (D,)
    "rms_norm_1"  the same with the gain 1 + params, so that params start at 0, as in Gemma

Every residual and every stack takes normalization= and eps=. Each cache says by its type which
backward it is for.
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.layer_norm import init_layer_norm, layer_norm, layer_norm_backward
from npattn.kernels.options import require_choice
from npattn.kernels.rms_norm import RMSNormCache, init_rms_norm, rms_norm, rms_norm_backward


def _rms_norm_1(X, params, *, eps):
    return rms_norm(X, 1.0 + params, eps=eps)


NORMALIZATIONS = {"layer_norm": layer_norm, "rms_norm": rms_norm, "rms_norm_1": _rms_norm_1}


class BothNorms(NamedTuple):
    """What a residual learns with norms on both sides of f. The gradient has the same type."""

    before: Any
    after: Any


def init_normalize(D, *, normalization="layer_norm", bias=True, dtype=np.float64):
    """Parameters of that norm for rows D wide, with which it does nothing but normalize."""
    if normalization != "layer_norm":
        gain = init_rms_norm(D, dtype=dtype)
        return gain if normalization == "rms_norm" else gain - gain
    return init_layer_norm(D, bias=bias, dtype=dtype)


@quiet
def normalize(X, params, *, normalization="layer_norm", eps=1e-5):
    """Every row of X (..., D) normalized by the kernel of that name: Y (..., D) and its cache.

    Raises ValueError for another name; else as the kernels do.
    """
    require_choice("normalization", normalization, NORMALIZATIONS)
    return NORMALIZATIONS[normalization](X, params, eps=eps)


def normalize_backward(dY, cache):
    """dX and dparams from dY (..., D), by the backward that belongs to the cache."""
    backward = rms_norm_backward if isinstance(cache, RMSNormCache) else layer_norm_backward
    return backward(dY, cache)
