"""Which kernel normalizes: the one place where it is chosen.

    "layer_norm"  rows to mean 0 and variance 1; LayerNormParams
    "rms_norm"    rows to a root mean square of 1; a gain (D,)

Every residual and every stack takes normalization= and eps=. Each cache says by its type which
backward it is for.
"""

import numpy as np

from npattn.kernels.layer_norm import init_layer_norm, layer_norm, layer_norm_backward
from npattn.kernels.options import require_choice
from npattn.kernels.rms_norm import RMSNormCache, init_rms_norm, rms_norm, rms_norm_backward

NORMALIZATIONS = {"layer_norm": layer_norm, "rms_norm": rms_norm}


def init_normalize(D, *, normalization="layer_norm", bias=True, dtype=np.float64):
    """Parameters of that norm for rows D wide, with which it does nothing but normalize."""
    if normalization == "rms_norm":
        return init_rms_norm(D, dtype=dtype)
    return init_layer_norm(D, bias=bias, dtype=dtype)


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
