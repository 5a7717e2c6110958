"""The activations of the feed-forward network, each with its backward.

    relu       Y = max(X, 0)
    gelu       Y = X Φ(X),  Φ(x) = (1 + erf(x/√2)) / 2 = erfc(−x/√2) / 2, the normal distribution
               function; the second form keeps its digits where Φ is nearly 0
    gelu_tanh  Y = X (1 + tanh(√(2/π) (X + 0.044715 X³))) / 2, which is within 5·10⁻⁴ of gelu

All act entry by entry, on arrays of any shape.
Source: d2l 5.1.2; Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_shapes

_CUBIC = 0.044715
_STRETCH = math.sqrt(2.0 / math.pi)
_SATURATED = 10.0  # from here on tanh is 1 to the last bit, and Φ (1 − Φ) is 0


class GeluCache(NamedTuple):
    """What gelu_backward and gelu_tanh_backward read."""

    X: np.ndarray    # (...)
    Phi: np.ndarray  # (...) the share of X that passes, Y = X Φ


def relu(X):
    """X where it is positive, 0 elsewhere; NaN stays. The backward needs the output only."""
    require_floats(X=X)
    if np.iscomplexobj(X):
        return np.where(X.real <= 0, X.dtype.type(0), X)
    return np.maximum(X, X.dtype.type(0))


def relu_backward(dY, Y):
    """dX from dY: the slope is 1 where X > 0, which is where Y > 0, and 0 elsewhere, also at 0."""
    require_shapes("dY =..., Y ...", dY, Y)
    return dY * ~(Y.real <= 0)


@quiet
def gelu(X):
    """X times the probability that a standard normal variable is below X.

    Returns Y, shaped like X (...), and the cache. Raises TypeError for other than float arrays.
    """
    from scipy.special import erfc  # takes longer to import than all of npattn

    require_floats(X=X)
    Phi = 0.5 * erfc(X * -math.sqrt(0.5))
    return X * Phi, GeluCache(X, Phi)


@quiet
def gelu_backward(dY, cache: GeluCache):
    """dX from dY: dY/dX = Φ(X) + X φ(X), with the normal density φ = Φ′."""
    return _product_rule(dY, cache, np.exp(-0.5 * cache.X**2) * math.sqrt(0.5 / math.pi))


@quiet
def gelu_tanh(X):
    """`gelu` with Φ replaced by a tanh of a cubic, as GPT-2 computes it."""
    require_floats(X=X)
    Phi = 0.5 * (1.0 + np.tanh(_STRETCH * (X + _CUBIC * (X * X * X))))
    return X * Phi, GeluCache(X, Phi)


@quiet
def gelu_tanh_backward(dY, cache: GeluCache):
    """dX from dY: dY/dX = Φ + X Φ′, where (tanh u)′ = 1 − tanh² u makes Φ′ = 2 Φ (1 − Φ) u′."""
    X, Phi = cache
    near = X.clip(-_SATURATED, _SATURATED)  # or else 0 · inf
    slope = _STRETCH * (1.0 + 3.0 * _CUBIC * (near * near))
    return _product_rule(dY, cache, 2.0 * Phi * (1.0 - Phi) * slope)


def _product_rule(dY, cache, dPhi):
    """dX where Y = X Φ(X): dY/dX = Φ + X Φ′."""
    X, Phi = cache
    require_shapes("dY =..., X ...", dY, X)
    return dY * (Phi + X * dPhi)
