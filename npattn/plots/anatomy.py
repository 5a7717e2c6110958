"""One attention call, drawn as the matrices that it multiplies.

    Q · Kᵀ = S → masked → P · V = O     and below each, in the same shape, its gradient
    dQ  dKᵀ      dS       dP  dV  dO

Shapes stand under the matrices. The values share one colour scale, symmetric about 0, and
the weights have their own; a gradient is coloured relative to its greatest entry, which is
stated below it, because gradients of one call easily differ by orders of magnitude.
Source: d2l 11.3.3; the derivatives are those of npattn.kernels.attention.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttentionCache, attention_backward
from npattn.kernels.softmax import softmax_backward
from npattn.plots import checks
from npattn.plots.style import house_style


class Step(NamedTuple):
    """A matrix of the call, how it came about and what its gradient is."""

    name: str
    matrix: np.ndarray
    sign: str = ""  # between it and the matrix at its left
    note: str = ""  # above the sign
    kind: str = "values"  # or "weights"
    mask: np.ndarray | None = None  # bool, like matrix
    formula: str = ""  # of the gradient
    gradient: np.ndarray | None = None  # like matrix; None where there is none to show


def anatomy(cache, dO=None, *, index=None, title=None):
    """Draw the matrices of one attention call in a row and, given dO, their gradients below.

    cache  AttentionCache of `npattn.kernels.attention`
    dO     (..., Tq, Dv)  the gradient of the output; None draws the forward only
    index  which matrix of the leading axes (batch, head), such as (0, 2); () if there are none
    title  text above it all

    Returns the Figure. Cells that may not be attended to are hatched.
    Raises ValueError if index does not choose one matrix or if dO is not shaped like O,
    TypeError or ValueError where arrays are not real and finite.
    """
    cache, dO = _one_matrix(cache, dO, index)
    steps = _forward(cache) if dO is None else _backward(_forward(cache), cache, dO)
    with house_style():
        from npattn.plots.strips import draw_strip

        return draw_strip(steps, title)


def _one_matrix(cache, dO, index):
    """The cache and dO at one place of the leading axes, checked."""
    if not isinstance(cache, AttentionCache):
        raise TypeError("cache must be an AttentionCache, which `attention` returns beside O, "
                        f"got {type(cache).__name__}")
    lead = cache.P.ndim - 2
    index = () if index is None else tuple(np.atleast_1d(index).tolist())
    if len(index) != lead:
        raise ValueError(
            f"index must choose one matrix of cache.P {cache.P.shape} with {lead} integers, "
            f"got {index}"
        )
    if dO is not None and np.shape(dO) != (*cache.P.shape[:-1], cache.V.shape[-1]):
        raise ValueError(
            f"dO must have the shape of the output, {(*cache.P.shape[:-1], cache.V.shape[-1])}, "
            f"got {np.shape(dO)}"
        )

    def pick(name, array):
        return None if array is None else checks.numbers(name, np.asarray(array)[index], (2,))

    mask = None if cache.mask is None else np.broadcast_to(cache.mask, cache.P.shape)[index]
    arrays = {name: pick(name, getattr(cache, name)) for name in ("Q", "K", "V", "P", "keep")}
    return cache._replace(mask=mask, **arrays), pick("dO", dO)


def _forward(cache):
    """The steps from Q to O."""
    Q, K, V, P, keep, scale, mask = cache[:7]
    S = Q @ K.T * scale
    A = P if keep is None else P * keep
    steps = [
        Step("Q", Q),
        Step("Kᵀ", K.T, "·"),
        Step("S", S, "=", f"× {scale:.3g}"),
        Step("P", P, "→", "softmax", "weights", mask),
        Step("V", V, "·"),
        Step("O", A @ V, "="),
    ]
    if keep is not None:
        steps.insert(4, Step("A", A, "→", "dropout", "weights", mask))
    if mask is not None:
        steps.insert(3, Step("masked", np.where(mask, S, 0.0), "→", "mask", mask=mask))
    return steps


def _backward(steps, cache, dO):
    """The same steps, each with the gradient of its matrix and the formula for that."""
    Q, K, V, P, keep, scale, mask = cache[:7]
    dQ, dK, dV = attention_backward(dO, cache)
    dA = dO @ V.T
    dP = dA if keep is None else dA * keep
    factor = f"{scale:.3g}"
    gradients = {
        "O": ("dO", dO),
        "V": ("dV = Aᵀ dO" if keep is not None else "dV = Pᵀ dO", dV),
        "A": ("dA = dO Vᵀ", dA),
        "P": ("dP = dO Vᵀ" if keep is None else "dP = dA ⊙ keep", dP),
        "S" if mask is None else "masked": ("dS = P ⊙ (dP − ⟨dP, P⟩)", softmax_backward(dP, P)),
        "Kᵀ": (f"dKᵀ = {factor} Qᵀ dS", dK.T),
        "Q": (f"dQ = {factor} dS K", dQ),
    }
    return [
        step._replace(formula=formula, gradient=gradient)
        for step in steps
        for formula, gradient in [gradients.get(step.name, ("", None))]
    ]
