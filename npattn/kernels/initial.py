"""Weights to start with: random, and of a size that neither fades nor grows through the layers.

    glorot_uniform   W_ij uniform in ±√(6 / (Din + Dout)), so that the variance is 2 / (Din + Dout)
    normal           E_ij normal with mean 0 and a standard deviation that the caller names

The first is for layers, W (Din, Dout): between 1/Din, which keeps the size of what goes forward,
and 1/Dout, which keeps that of the gradients. The second is for tables, whose rows are looked up.
Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
networks", eq. 16.
"""

import math

import numpy as np

from npattn.kernels.options import require_float_dtype, require_generator


def glorot_uniform(Din, Dout, rng, dtype=np.float64):
    """W (Din, Dout), of dtype float32 or float64, drawn from `rng`, a Generator.

    Raises TypeError for another kind of generator or dtype.
    """
    require_generator(rng)
    require_float_dtype(dtype)
    bound = math.sqrt(6.0 / max(Din + Dout, 1))
    return rng.uniform(-bound, bound, (Din, Dout)).astype(dtype)


def normal(deviation, shape, rng, dtype=np.float64):
    """An array of that shape; dtype, rng and errors as in `glorot_uniform`."""
    require_generator(rng)
    require_float_dtype(dtype)
    return rng.normal(0.0, deviation, shape).astype(dtype)
