"""Root mean square normalization and its backward.

    r = 1 / √(mean(X²) + eps)          (..., 1)   the mean over the D entries of a row
    X̂ = r X                            (..., D)   rows of length √D
    Y = X̂ ⊙ gain                       (..., D)   gain (D,)

    dX̂ = dY ⊙ gain
    dX = r (dX̂ − X̂ mean(dX̂ ⊙ X̂))      the mean over D
    dgain = Σ dY ⊙ X̂                   the sum over all rows

It is layer norm without the mean and without the bias: half of the sums, and as good in practice.
`...` stands for any leading axes; each position is normalized by itself. Gemma stores gain − 1:
`rms_norm(X, 1.0 + stored)`, where the gradient of `stored` is dgain.
Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", section 3, eq. 4.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_eps, require_float_dtype
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import column_sums, row_means


class RMSNormCache(NamedTuple):
    """What rms_norm_backward reads."""

    Xhat: np.ndarray  # (..., D) rows of length √D
    r: np.ndarray     # (..., 1) 1 / √(mean(X²) + eps)
    gain: np.ndarray  # (D,)


def init_rms_norm(D, *, dtype=np.float64) -> np.ndarray:
    """A gain of 1, (D,): at the start the layer only normalizes."""
    require_counts(1, D=D)
    require_float_dtype(dtype)
    return np.ones(D, dtype)


def rms_norm(X, gain, *, eps=1e-6) -> tuple[np.ndarray, RMSNormCache]:
    """Every row scaled to a root mean square of 1, then stretched by gain.

    X     (..., D)
    gain  (D,)  factor of each column
    eps   added to the mean square, so that a row of zeros stays one; ≥ 0

    Returns Y (..., D) and the cache.
    Raises ValueError if the widths disagree or eps is negative, TypeError for other than float
    arrays.

    >>> Y, cache = rms_norm(np.array([[3.0, 4.0]]), np.array([1.0, 10.0]), eps=0.0)
    >>> Y.round(3).tolist()  # √12.5 = 3.5355
    [[0.849, 11.314]]
    """
    require_shapes("X ... D, gain D", X, gain)
    require_eps(eps=eps)
    r = 1.0 / np.sqrt(row_means(X * X) + float(eps))
    Xhat = r * X
    return Xhat * gain, RMSNormCache(Xhat, r, gain)


@quiet
def rms_norm_backward(dY, cache: RMSNormCache) -> tuple:
    """dX and dgain from dY (..., D). r depends on X as well: ∂r/∂X = −r³ X / D."""
    Xhat, r, gain = cache
    require_shapes("dY =... D, X ... D", dY, Xhat)
    # Y = X̂ ⊙ gain
    dXhat = dY * gain
    dgain = column_sums(dY * Xhat)
    # X̂ = r X
    dX = r * (dXhat - Xhat * row_means(dXhat * Xhat))
    return dX, dgain
