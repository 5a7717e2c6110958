"""A mixture of experts: each token goes through k of E networks, chosen by its content.

    G = X R                                   (N, E)   the router's scores
    P = softmax over the k largest of G       (N, E)   0 for the experts that were not chosen
    Y_n = Σ_e P_ne f_e(X_n)                   (N, D)   over the chosen: f_e = swiglu(X A, X B) Down
    balance = E Σ_e share_e mean_n softmax(G)_ne       share_e: of the N k choices, those of e

    dP_ne = dY_n · f_e(X_n)                   dG = softmax_backward(dP, P)
    dX += P_ne f_e′ dY_n                      only rows that e has served

The choice itself has no gradient: it is a step, and P is a masked softmax. Left alone, a router
sends all tokens to few experts; `balance` is 1 where all are used alike, and more where they are
not. Add a small multiple, such as 0.01, to the loss. Its gradient runs through softmax(G), since
the shares are steps as well. `...` stands for any leading axes, N is their product.
Source: Shazeer et al. 2017, "Outrageously Large Neural Networks", section 2.1; Fedus, Zoph and
Shazeer 2021, "Switch Transformers", section 2.2, eq. 4; Jiang et al. 2024, "Mixtral", section 2.1.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.gated import swiglu, swiglu_backward
from npattn.kernels.options import require_counts, require_generator
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.softmax import masked_softmax, softmax, softmax_backward
from npattn.kernels.sums import as_rows


class ExpertsParams(NamedTuple):
    """What mixture_of_experts learns. The gradient has the same type."""

    router: np.ndarray  # (D, E)
    gate: np.ndarray    # (E, D, F)
    up: np.ndarray      # (E, D, F)
    down: np.ndarray    # (E, F, D)


class ExpertsCache(NamedTuple):
    """What mixture_of_experts_backward reads. P is also what a drawing shows."""

    X: np.ndarray       # (..., D)
    params: ExpertsParams
    G: np.ndarray       # (N, E)
    P: np.ndarray       # (N, E)
    shares: np.ndarray  # (E,)
    served: list        # for each expert: its rows, H = swiglu(…) (n, F), swiglu's cache, f (n, D)


def init_experts(D, F, E, rng, *, dtype=np.float64) -> ExpertsParams:
    """E experts from D to F and back; all weights normal, of variance 1 over what goes in."""
    require_counts(1, D=D, F=F, E=E)
    require_generator(rng, dtype)
    shapes = (D, E), (E, D, F), (E, D, F), (E, F, D)
    return ExpertsParams(*(rng.normal(0.0, n[-2] ** -0.5, n).astype(dtype) for n in shapes))


def mixture_of_experts(X, params, k) -> tuple[tuple, ExpertsCache]:
    """Every token through the k experts that its router scores highest, weighted by the scores.

    X       (..., D)
    params  ExpertsParams of E experts
    k       how many serve each token, 1 … E; of equal scores the first expert's counts

    Returns (Y (..., D), balance, a scalar ≥ 0), and the cache; pass dbalance = 0.0 where it is not
    used. Raises ValueError if widths disagree or k is not in 1 … E.

    >>> params = ExpertsParams(np.eye(2), *(np.ones((2, 2, 2)) for _ in range(3)))
    >>> (Y, balance), cache = mixture_of_experts(np.array([[9.0, 0.0], [0.0, 9.0]]), params, 1)
    >>> cache.P.tolist(), round(float(balance), 9)
    ([[1.0, 0.0], [0.0, 1.0]], 1.0)
    """
    require_shapes("X ... D, router D E, gate E D F, up E D F, down E F D", X, *params)
    E = params.router.shape[1]
    require_counts(1, k=k)
    if k > E:
        raise ValueError(f"k must be at most the number of experts, {E}, got {k}")
    rows = as_rows(X)
    G = rows @ params.router
    chosen = np.zeros(G.shape, bool)
    np.put_along_axis(chosen, np.argsort(-G.real, kind="stable")[:, :k], True, axis=1)
    P, Y, served = masked_softmax(G, chosen), np.zeros_like(rows), []
    for e, (gate, up, down) in enumerate(zip(*params[1:])):
        n = np.flatnonzero(chosen[:, e])
        H, activated = swiglu(rows[n] @ gate, rows[n] @ up)
        f = H @ down
        Y[n] += P[n, e, None] * f
        served.append((n, H, activated, f))
    real = X.real.dtype.type
    shares = chosen.mean(axis=0, dtype=real) / k if len(rows) else np.zeros(E, real)
    balance = X.dtype.type(E) * (softmax(G) @ shares).mean() if len(rows) else X.dtype.type(0)
    return (Y.reshape(X.shape), balance), ExpertsCache(X, params, G, P, shares, served)


@quiet
def mixture_of_experts_backward(dY, cache: ExpertsCache) -> tuple:
    """dX and dparams from dY = (dY (..., D), dbalance)."""
    X, (router, gate, up, down), G, P, shares, served = cache
    dY, dbalance = dY
    require_shapes("dY =... D, X ... D, dbalance", dY, X, Shape(np.shape(dbalance)))
    rows, dY, dP = as_rows(X), as_rows(dY), np.zeros_like(P)
    dX = np.zeros_like(dY * P[:, :1])
    dexperts = [np.empty_like(W, dX.dtype) for W in (gate, up, down)]
    for e, (n, H, activated, f) in enumerate(served):
        # Y = Σ P f, f = H Down
        dP[n, e] = (dY[n] * f).sum(axis=1)
        df = P[n, e, None] * dY[n]
        # H = swiglu(X A, X B)
        dA, dB = swiglu_backward(df @ down[e].T, activated)
        dX[n] += dA @ gate[e].T + dB @ up[e].T
        for dW, dW_e in zip(dexperts, (rows[n].T @ dA, rows[n].T @ dB, H.T @ df)):
            dW[e] = dW_e
    # P = softmax of the chosen scores; balance = E Σ shares · mean of softmax(G)
    full = softmax(G)
    dfull = np.broadcast_to(dbalance * len(shares) / max(len(rows), 1) * shares, G.shape)
    dG = softmax_backward(dP, P) + softmax_backward(dfull, full)
    # G = X R
    dX += dG @ router.T
    return dX.reshape(X.shape), ExpertsParams(rows.T @ dG, *dexperts)
