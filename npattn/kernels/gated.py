"""Gates: one half of a feed-forward network decides how much of the other half passes.

    silu         Y = A σ(A)             σ(a) = 1 / (1 + e^−a), also called swish
    swiglu       Y = silu(A) ⊙ U        Llama, Qwen
    geglu        Y = gelu(A) ⊙ U
    geglu_tanh   Y = gelu_tanh(A) ⊙ U   Gemma

A and U are two projections of the same X, A = X W_gate and U = X W_up, shapes (...) alike; the
product is projected down again. All act entry by entry. With G = silu(A):

    dU = dY ⊙ G
    dA = dY ⊙ U ⊙ silu′(A)              silu′(a) = σ (1 + a (1 − σ))

Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 5 and 6; Elfwing, Uchibe and Doya
2017, "Sigmoid-Weighted Linear Units", eq. 5, for silu and its derivative.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.activations import GeluCache, gelu, gelu_backward, gelu_tanh, gelu_tanh_backward
from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_shapes


class SiluCache(NamedTuple):
    """What silu_backward reads."""

    A: np.ndarray  # (...)
    Z: np.ndarray  # (...) 1 + e^−a: the share of A that passes is 1 / Z


class GateCache(NamedTuple):
    """What swiglu_backward, geglu_backward and geglu_tanh_backward read."""

    G: np.ndarray  # (...) the activated gate, Y = G ⊙ U
    U: np.ndarray  # (...)
    activation: SiluCache | GeluCache


@quiet
def silu(A) -> tuple[np.ndarray, SiluCache]:
    """A times its own logistic sigmoid.

    A  (...)

    Returns Y, shaped like A, and the cache. Raises TypeError for other than float arrays.

    >>> silu(np.array([-np.log(3.0), 0.0, np.log(3.0)]))[0].round(4).tolist()  # σ = 1/4, 1/2, 3/4
    [-0.2747, 0.0, 0.824]
    """
    require_floats(A=A)
    Z = 1.0 + np.exp(-A)
    return A / Z, SiluCache(A, Z)


@quiet
def silu_backward(dY, cache: SiluCache) -> np.ndarray:
    """dA from dY: ∂Y/∂A = σ + A σ (1 − σ)."""
    A, Z = cache
    require_shapes("dY =..., A ...", dY, A)
    sigma = 1.0 / Z
    return dY * (sigma * (1.0 + A * (1.0 - sigma)))


def swiglu(A, U) -> tuple[np.ndarray, GateCache]:
    """U, of which the silu of A lets through.

    A, U  (...)  of the same shape

    Returns Y (...) and the cache. Raises ValueError if the shapes differ.

    >>> Y, _ = swiglu(np.array([0.0, np.log(3.0)]), np.array([5.0, 4.0]))
    >>> Y.round(4).tolist()
    [0.0, 3.2958]
    """
    return _gate(A, U, silu)


@quiet
def swiglu_backward(dY, cache: GateCache) -> tuple:
    """dA and dU from dY (...): a product hands its gradient to either factor."""
    return _gate_backward(dY, cache, silu_backward)


def geglu(A, U) -> tuple[np.ndarray, GateCache]:
    """`swiglu` with gelu for the gate."""
    return _gate(A, U, gelu)


@quiet
def geglu_backward(dY, cache: GateCache) -> tuple:
    """dA and dU from dY (...)."""
    return _gate_backward(dY, cache, gelu_backward)


def geglu_tanh(A, U) -> tuple[np.ndarray, GateCache]:
    """`swiglu` with the tanh form of gelu for the gate."""
    return _gate(A, U, gelu_tanh)


@quiet
def geglu_tanh_backward(dY, cache: GateCache) -> tuple:
    """dA and dU from dY (...)."""
    return _gate_backward(dY, cache, gelu_tanh_backward)


def _gate(A, U, activation):
    require_floats(A=A, U=U)
    if A.shape != U.shape:
        raise ValueError(f"A {A.shape} and U {U.shape} must have one shape: they are halves")
    G, cache = activation(A)
    return G * U, GateCache(G, U, cache)


def _gate_backward(dY, cache, activation_backward):
    require_shapes("dY =..., U ...", dY, cache.U)
    return activation_backward(dY * cache.U, cache.activation), dY * cache.G
