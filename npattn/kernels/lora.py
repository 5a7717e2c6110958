"""LoRA: a large matrix learns through two narrow ones.

    H = X A                 (..., r)       A (Din, r), r much less than Din and Dout
    U = H B · scale         (..., Dout)    B (r, Dout)

    dH = dU Bᵀ · scale      dB = Hᵀ dU · scale
    dX = dH Aᵀ              dA = Xᵀ dH

U is added to the output X W + b of a layer that stays as it is. B starts as 0, so at the start U is
0 and the model unchanged; afterwards W + A B · scale is one matrix again (`merge_lora`).
Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_generator, require_real
from npattn.kernels.products import product, transposed_product
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.sums import as_rows


class LoRAParams(NamedTuple):
    """What lora learns. The gradient has the same type."""

    A: np.ndarray  # (Din, r)
    B: np.ndarray  # (r, Dout)


class LoRACache(NamedTuple):
    """What lora_backward reads."""

    X: np.ndarray  # (..., Din)
    H: np.ndarray  # (..., r)
    params: LoRAParams
    scale: float


def init_lora(Din, Dout, rank, rng, *, dtype=np.float64):
    """A uniform in ±1/√Din, B zero, as peft starts them."""
    require_counts(1, Din=Din, Dout=Dout, rank=rank)
    require_generator(rng)
    A = rng.uniform(-1.0, 1.0, (Din, rank)) / np.sqrt(Din)
    return LoRAParams(np.asfortranarray(A, dtype), np.zeros((Dout, rank), dtype).T)


@quiet
def lora(X, params, *, scale=1.0):
    """The update of rank r that is added to a layer's output.

    X       (..., Din)
    params  LoRAParams: A (Din, r), B (r, Dout)
    scale   factor of the update, α/r in the paper

    Returns U (..., Dout) and the cache.
    Raises ValueError if the widths disagree, TypeError for other than float arrays.

    >>> params = LoRAParams(np.array([[1.0], [0.0]]), np.array([[3.0, 4.0]]))
    >>> U, cache = lora(np.array([[1.0, 2.0]]), params)
    >>> U.tolist()
    [[3.0, 4.0]]
    """
    A, B = params
    require_shapes("X ... Din, A Din r, B r Dout", X, A, B)
    scale = require_real(scale=scale)
    H = product(as_rows(X), A)
    U = product(H, B) * scale
    return U.reshape(*X.shape[:-1], B.shape[1]), LoRACache(X, H, params, scale)


@quiet
def lora_backward(dU, cache: LoRACache):
    """dX and dparams from dU (..., Dout): the forward's products, undone in reverse."""
    X, H, (A, B), scale = cache
    require_shapes("dU =... Dout, X ... Din, B r Dout", dU, X, B)
    rows, dU = as_rows(X), as_rows(dU)
    # U = H B · scale
    dH = transposed_product(dU, B) * scale
    dB = H.T @ dU * scale
    # H = X A
    dX = transposed_product(dH, A)
    dA = rows.T @ dH
    return dX.reshape(X.shape), LoRAParams(dA, dB)


def merge_lora(W, params, *, scale=1.0):
    """W + A B · scale: one matrix that computes what layer and update did with three.

    Subtract the same from it to undo this: merge_lora(W, params, scale=−scale).
    """
    require_shapes("W Din Dout", W)
    require_shapes("W Din Dout, A Din r, B r Dout", Shape(W.shape), *params)
    return W + np.asarray(params.A @ params.B * require_real(scale=scale), W.dtype)
