"""The residual connection around a sublayer f, with a norm N and dropout in their two orders.

    post-norm   Y = N(X + dropout(f(X)))       Vaswani et al. 2017, d2l 11.7
    pre-norm    Y = X + dropout(f(N(X)))       Xiong et al. 2020, ViT, d2l 11.8
    sandwich    Y = X + dropout(M(f(N(X))))    Gemma 2 and 3; M is a norm of its own

Post-norm keeps every output normalized; pre-norm leaves the way from the last X back to the
first free of norms, so that a gradient arrives undamped and training needs less care.
X goes to two places, so its gradient is the sum of two.
Source: Vaswani et al. 2017, section 3.1; Xiong et al. 2020, "On Layer Normalization in the
Transformer Architecture", figure 1.
"""

from typing import Any, NamedTuple

from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_shapes
from npattn.models.config import options_of
from npattn.models.normalize import BothNorms, normalize, normalize_backward


class AddNormCache(NamedTuple):
    """What add_norm_backward reads."""

    dropped: DropoutCache
    norm: Any  # the cache of `normalize`


class ResidualCache(NamedTuple):
    """What residual_backward reads, in the order of the forward."""

    norm: Any                     # of N before f, or None
    sublayer: Any                 # of f
    after: Any                    # of M behind f, or None
    dropped: DropoutCache | None  # but in post-norm
    added: AddNormCache | None    # in post-norm

    @property
    def attention(self):
        """Where f is an attention, the cache in which its weights P lie."""
        return self.sublayer.attention


@quiet
def add_norm(X, F, params, *, rng=None, options=None, **changes):
    """N(X + dropout(F)): the sublayer's output F added to its input X, and normalized.

    X, F    (..., D)
    params  of the norm, (D,)
    rng     Generator for dropout, or None
    options, changes  BlockOptions or a config, and keywords of BlockOptions

    Returns Y (..., D) and the cache. Raises ValueError if X and F differ in shape.
    """
    o = options_of(options, changes)
    Y, dropped = _add(X, F, o, rng)
    Y, norm = normalize(Y, params, **o.normalized())
    return Y, AddNormCache(dropped, norm)


@quiet
def add_norm_backward(dY, cache: AddNormCache):
    """dX, dF and dparams from dY: the sum hands its gradient to both of its terms."""
    dX, dparams = normalize_backward(dY, cache.norm)
    return dX, dropout_backward(dX, cache.dropped), dparams


@quiet
def residual(X, params, f, *, rng=None, options=None, **changes):
    """X, and what the sublayer f makes of it, added.

    X       (..., D)
    params  of the norm, (D,); BothNorms where norm is "sandwich"
    f       the sublayer, F, cache = f(Z), with F shaped like Z (..., D)
    rng     Generator for dropout, or None
    options, changes  BlockOptions or a config, and keywords of BlockOptions

    Returns Y (..., D) and the cache.
    Raises ValueError if f changes the shape, or for another norm.
    """
    o = options_of(options, changes)
    if o.norm == "post":
        F, sublayer = f(X)
        Y, added = add_norm(X, F, params, rng=rng, options=o)
        return Y, ResidualCache(None, sublayer, None, None, added)
    before, behind = params if o.norm == "sandwich" else (params, None)
    Z, norm = normalize(X, before, **o.normalized())
    F, sublayer = f(Z)
    F, after = (F, None) if behind is None else normalize(F, behind, **o.normalized())
    Y, dropped = _add(X, F, o, rng)
    return Y, ResidualCache(norm, sublayer, after, dropped, None)


@quiet
def residual_backward(dY, cache: ResidualCache, f_backward):
    """dX, dparams of the norm, and what f_backward returns behind its dZ, from dY (..., D).

    f_backward  the backward of f: dZ, … = f_backward(dF, cache)
    """
    if cache.added is not None:
        dX, dF, dparams = add_norm_backward(dY, cache.added)
        dZ, *rest = f_backward(dF, cache.sublayer)
        return dX + dZ, dparams, *rest
    dF, dafter = dropout_backward(dY, cache.dropped), None
    if cache.after is not None:
        dF, dafter = normalize_backward(dF, cache.after)
    dZ, *rest = f_backward(dF, cache.sublayer)
    dX, dparams = normalize_backward(dZ, cache.norm)
    return dY + dX, dparams if dafter is None else BothNorms(dparams, dafter), *rest


def _add(X, F, options, rng):
    require_shapes("X ..., F =...", X, F)
    F, dropped = dropout(F, options.dropout, rng)
    return X + F, dropped
