"""A map of the last axis, by the type of its parameters: one name for three pages.

    LinearParams   linear          Y = X W + b             W and b learn
    FrozenParams   linear          Y = X W + b             nothing learns, and X is not kept
    AdaptedParams  linear + lora   Y = X W + b + X A B     A and B learn

Blocks call `project` wherever a matrix stands, so that a model can be frozen or adapted layer by
layer without another word of code. Gradients of what does not learn are None.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearCache, LinearParams, linear, linear_backward
from npattn.kernels.lora import LoRACache, LoRAParams, lora, lora_backward
from npattn.kernels.products import transposed_product
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.sums import as_rows


class FrozenParams(NamedTuple):
    """A linear layer that does not learn. Its gradient is FrozenParams(None, None)."""

    W: np.ndarray         # (Din, Dout)
    b: np.ndarray | None  # (Dout,)


class AdaptedParams(NamedTuple):
    """A layer that stays, and an update that learns."""

    layer: FrozenParams
    update: LoRAParams


class FrozenCache(NamedTuple):
    """What project_backward reads of a layer that does not learn."""

    shape: tuple
    W: np.ndarray


class AdaptedCache(NamedTuple):
    """What project_backward reads of a layer with an update."""

    layer: FrozenCache
    update: LoRACache


@quiet
def project(X, params):
    """Y (..., Dout) from X (..., Din), and the cache."""
    if isinstance(params, AdaptedParams):
        Y, layer = project(X, params.layer)
        U, update = lora(X, params.update)
        return Y + U, AdaptedCache(layer, update)
    if isinstance(params, FrozenParams):
        Y, _ = linear(X, LinearParams(*params))
        return Y, FrozenCache(X.shape, params.W)
    return linear(X, params)


@quiet
def project_backward(dY, cache: LinearCache | FrozenCache | AdaptedCache):
    """dX and dparams from dY (..., Dout)."""
    if isinstance(cache, LinearCache):
        return linear_backward(dY, cache)
    if isinstance(cache, FrozenCache):
        spec = "dY =... Dout, X ... Din, W Din Dout"
        require_shapes(spec, dY, Shape(cache.shape), cache.W)
        dX = transposed_product(as_rows(dY), cache.W)
        return dX.reshape(cache.shape), FrozenParams(None, None)
    dX, dlayer = project_backward(dY, cache.layer)
    dX_update, dupdate = lora_backward(dY, cache.update)
    return dX + dX_update, AdaptedParams(dlayer, dupdate)
