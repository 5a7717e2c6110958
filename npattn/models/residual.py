"""The residual connection around a sublayer f, with layer norm and dropout in their two orders.

    post-norm   Z = X         Y = LN(X + dropout(f(Z)))     Vaswani et al. 2017, d2l 11.7
    pre-norm    Z = LN(X)     Y = X + dropout(f(Z))         Xiong et al. 2020, ViT, d2l 11.8

Post-norm keeps every output normalized; pre-norm leaves the way from the last X back to the
first free of norms, so that a gradient arrives undamped and training needs less care.
`enter_residual` makes Z, the caller applies f, `leave_residual` makes Y. X fans out to both,
and so do the norm's parameters (one of the two calls does not use them): the caller adds.
Source: Vaswani et al. 2017, section 3.1; Xiong et al. 2020, "On Layer Normalization in the
Transformer Architecture", figure 1.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.layer_norm import (
    LayerNormCache,
    LayerNormParams,
    layer_norm,
    layer_norm_backward,
)
from npattn.kernels.options import require_choice
from npattn.trees import tree_map


class EnterCache(NamedTuple):
    """What enter_residual_backward reads."""

    norm: LayerNormCache | None  # None in post-norm
    params: LayerNormParams


class LeaveCache(NamedTuple):
    """What leave_residual_backward reads."""

    dropped: DropoutCache
    norm: LayerNormCache | None  # None in pre-norm
    params: LayerNormParams


def enter_residual(X, params, *, norm):
    """Z, what the sublayer sees: X itself in post-norm, LN(X) in pre-norm.

    X       (..., T, D)
    params  LayerNormParams (D,)
    norm    "post" or "pre"

    Returns Z (..., T, D) and the cache. Raises ValueError for another norm.
    """
    if is_pre(norm):
        Z, norm_cache = layer_norm(X, params)
        return Z, EnterCache(norm_cache, params)
    return X, EnterCache(None, params)


def enter_residual_backward(dZ, cache):
    """dX and dparams from dZ; the parameters' gradient is 0 in post-norm, where they idle."""
    if cache.norm is None:
        return dZ, tree_map(np.zeros_like, cache.params)
    return layer_norm_backward(dZ, cache.norm)


def leave_residual(X, F, params, *, norm, dropout_rate=0.0, rng=None):
    """Y, the sublayer's output F added to X: normalized in post-norm, as it is in pre-norm.

    X             (..., T, D)  what went into the residual
    F             (..., T, D)  what the sublayer made of Z
    params        LayerNormParams (D,)
    norm          "post" or "pre"
    dropout_rate  share of F that is dropped while rng, a Generator, is given

    Returns Y (..., T, D) and the cache.
    Raises ValueError if X and F differ in shape, or for another norm.
    """
    require_floats(X=X, F=F)
    if X.shape != F.shape:
        raise ValueError(f"a residual adds equal shapes, got X {X.shape} and F {F.shape}")
    F_kept, dropped = dropout(F, dropout_rate, rng)
    Y, norm_cache = X + F_kept, None
    if not is_pre(norm):
        Y, norm_cache = layer_norm(Y, params)
    return Y, LeaveCache(dropped, norm_cache, params)


def leave_residual_backward(dY, cache):
    """dX, dF and dparams from dY: the sum hands its gradient to both of its terms."""
    if cache.norm is None:
        dsum, dparams = dY, tree_map(np.zeros_like, cache.params)
    else:
        dsum, dparams = layer_norm_backward(dY, cache.norm)
    return dsum, dropout_backward(dsum, cache.dropped), dparams


def is_pre(norm):
    """Whether norm is "pre" and not "post". Raises ValueError for anything else."""
    require_choice("norm", norm, ("post", "pre"))
    return norm == "pre"


def require_last_norm(params, norm):
    """Nothing normalizes what a pre-norm stack returns but a layer norm of its own.

    Raises ValueError if its params are missing; in post-norm they may be there as well.
    """
    if is_pre(norm) and params is None:
        raise ValueError(
            'norm="pre" needs a last norm, but params.norm is None; make them with norm="pre", too'
        )
