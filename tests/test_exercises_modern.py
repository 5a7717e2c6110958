"""Right answers to the exercises on modern blocks, in other styles: loops, einsum, buffers."""

import math

import numpy as np
import pytest
from right_answers import RIGHT, right

from npattn.exercises import check
from npattn.exercises.registry import headings

NUMPY_1 = np.__version__.startswith("1.")


@right("rms-norm-backward")
def norm_row_by_row(dY, cache):
    X, gain, rstd = cache
    dX, dgain = np.zeros_like(dY), np.zeros_like(gain)
    for row in np.ndindex(X.shape[:-1]):
        x, r, d = X[row], rstd[row], dY[row] * gain
        dX[row] = r * d - r**3 * x * (d @ x) / len(x)
        dgain += dY[row] * x * r
    return dX, dgain


@right("rms-norm-backward")
def norm_with_einsum(dY, cache):
    X, gain, rstd = cache
    slope = np.einsum("...d,...d,d->...", dY, X, gain)[..., None] / X.dtype.type(X.shape[-1])
    dX = dY * gain * rstd
    dX -= X * slope * rstd**3
    return dX, np.einsum("nd,nd->d", dY.reshape(-1, X.shape[-1]),
                         (X * rstd).reshape(-1, X.shape[-1]))


@right("swiglu-backward")
def gate_by_silu(dY, cache):
    G, U = cache
    s = np.reciprocal(1 + np.exp(-G))
    silu = G * s
    return dY * U * (silu + s * (1 - silu)), dY * silu


@right("swiglu-backward")
def gate_number_by_number(dY, cache):
    dG, dU = np.empty_like(dY), np.empty_like(dY)
    for at in np.ndindex(dY.shape):
        g, u, d = (float(X[at]) for X in (cache.G, cache.U, dY))
        s = 1.0 / (1.0 + math.exp(-g))
        dG[at], dU[at] = d * u * (s + g * s * (1.0 - s)), d * g * s
    return dG, dU


@right("rotary-halves-backward")
def turned_into_a_buffer(dY, cache):
    dX, h = np.empty_like(dY), cache.cos.shape[-1]
    np.multiply(dY[..., :h], cache.cos, out=dX[..., :h])
    np.multiply(dY[..., h:], cache.cos, out=dX[..., h:])
    dX[..., :h] += dY[..., h:] * cache.sin
    dX[..., h:] -= dY[..., :h] * cache.sin
    return dX


@right("rotary-halves-backward")
def rotated_half(dY, cache):
    cos, sin = (np.concatenate([X, X], axis=-1) for X in cache)
    first, second = np.split(dY, 2, axis=-1)
    return dY * cos - np.concatenate([-second, first], axis=-1) * sin


@right("soft-cap-backward")
def cap_by_cosh(dY, cache):
    return dY / np.cosh(cache.S / cache.cap) ** 2


@right("soft-cap-backward")
def cap_in_place(dY, cache):
    dS = cache.Y / cache.cap
    dS *= -dS
    dS += 1
    dS *= dY
    return dS


@right("sink-softmax")
def one_score_more(S, b):
    more = np.concatenate([S, np.full((*S.shape[:-1], 1), b, S.dtype)], axis=-1)
    E = np.exp(more - more.max(-1, keepdims=True))
    return (E / E.sum(-1, keepdims=True))[..., :-1]


@right("sink-softmax")
def by_logaddexp(S, b):
    return np.exp(S - np.logaddexp(np.logaddexp.reduce(S, axis=-1), S.dtype.type(b))[..., None])


@right("window-mask")
def window_of_two_triangles(Tq, Tk, w):
    return np.tri(Tq, Tk, Tk - Tq, dtype=bool) & ~np.tri(Tq, Tk, Tk - Tq - w, dtype=bool)


@right("window-mask")
def window_in_loops(Tq, Tk, w):
    return np.array([[0 <= Tk - Tq + i - j < w for j in range(Tk)] for i in range(Tq)])


@right("linear-attention")
def token_by_token(Q, K, V):
    S = np.zeros((*K.shape[:-2], K.shape[-1], V.shape[-1]), V.dtype)
    O = np.empty((*Q.shape[:-1], V.shape[-1]), V.dtype)
    for t in range(Q.shape[-2]):
        S += K[..., t, :, None] * V[..., t, None, :]
        O[..., t, :] = np.einsum("...a,...ac->...c", Q[..., t, :], S)
    return O, S


@right("linear-attention")
def cumulated(Q, K, V):
    S = np.cumsum(K[..., :, None] * V[..., None, :], axis=-3)
    return (Q[..., None, :] @ S)[..., 0, :], S[..., -1, :, :].copy()


@right("delta-rule")
def delta_with_einsum(S, q, k, v, beta):
    u = np.einsum("...ac,...a->...c", S, k)
    N = S + np.einsum("...a,...c->...ac", k, beta * (v - u))
    return np.einsum("...ac,...a->...c", N, q), N


@right("delta-rule")
def delta_as_a_product(S, q, k, v, beta):
    identity = np.eye(k.shape[-1], dtype=S.dtype)
    kept = identity - beta[..., None] * k[..., :, None] * k[..., None, :]
    N = kept @ S + (beta * k)[..., :, None] * v[..., None, :]
    return (N.swapaxes(-1, -2) @ q[..., None])[..., 0], N


@right("absorbed-scores")
def with_keys(Q, W, C):
    K = np.einsum("bjc,hcd->bhjd", C, W)
    return np.einsum("bhid,bhjd->bhij", Q, K) / math.sqrt(Q.shape[-1])


@right("absorbed-scores")
def scaled_first(Q, W, C):
    return np.einsum("bhid,hcd,bjc->bhij", Q / math.sqrt(Q.shape[-1]), W, C)


@right("grouped-attention-backward")
def grouped_with_einsum(dO, cache):
    Q, K, V, P = cache
    dP = np.einsum("bgric,bgjc->bgrij", dO, V)
    dS = P * (dP - np.einsum("bgrij,bgrij->bgri", dP, P)[..., None])
    dS = dS / math.sqrt(Q.shape[-1])
    return (np.einsum("bgrij,bgjd->bgrid", dS, K), np.einsum("bgrij,bgrid->bgjd", dS, Q),
            np.einsum("bgrij,bgric->bgjc", P, dO))


@right("grouped-attention-backward")
def grouped_head_by_head(dO, cache):
    Q, K, V, P = cache
    dQ, dK, dV = map(np.zeros_like, (Q, K, V))
    for b, g, r in np.ndindex(Q.shape[:3]):
        p, dp = P[b, g, r], dO[b, g, r] @ V[b, g].T
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / math.sqrt(Q.shape[-1])
        dQ[b, g, r] = ds @ K[b, g]
        dK[b, g] += ds.T @ Q[b, g, r]
        dV[b, g] += p.T @ dO[b, g, r]
    return dQ, dK, dV


@right("qk-norm-attention-backward")
def normed_with_einsum(dO, cache):
    Q, K, V, t, nq, nk, P = cache
    dP = np.einsum("...qv,...kv->...qk", dO, V)
    dS = P * dP - P * np.einsum("...qk,...qk->...q", P, dP)[..., None]
    q, k = Q / nq, K / nk
    cosine = np.einsum("...qd,...kd->...qk", q, k)
    weighed = t * dS * cosine
    dQ = t * dS @ k / nq - Q * weighed.sum(-1)[..., None] / nq**2
    dK = t * dS.swapaxes(-1, -2) @ q / nk - K * weighed.sum(-2)[..., None] / nk**2
    return dQ, dK, P.swapaxes(-1, -2) @ dO, np.sum(dS * cosine)


@right("qk-norm-attention-backward")
def normed_by_jacobians(dO, cache):
    Q, K, V, t, nq, nk, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dO * (P @ V)).sum(-1, keepdims=True))

    def normalized(X, n, d):
        x = X / n
        J = np.eye(X.shape[-1], dtype=X.dtype) - x[..., :, None] * x[..., None, :]
        return (J @ d[..., None])[..., 0] / n

    dQ = normalized(Q, nq, t * dS @ (K / nk))
    dK = normalized(K, nk, t * dS.swapaxes(-1, -2) @ (Q / nq))
    return dQ, dK, P.swapaxes(-1, -2) @ dO, (dS * ((Q / nq) @ (K / nk).swapaxes(-1, -2))).sum()


@right("experts-backward")
def experts_token_by_token(dY, cache):
    X, R, F, chosen, P, A = cache
    (dy, db), (N, E) = dY, P.shape
    share = [chosen[:, e].sum() / chosen.sum() for e in range(E)]
    dX, dR, dF = np.zeros_like(X), np.zeros_like(R), np.zeros_like(F)
    for n in range(N):
        for e in range(E):
            dF[n, e] = P[n, e] * dy[n]
            dg = 0.0
            for i in range(E):
                dg += P[n, i] * ((i == e) - P[n, e]) * (dy[n] @ F[n, i])
                dg += A[n, i] * ((i == e) - A[n, e]) * db * E * share[i] / N
            dX[n] += dg * R[:, e]
            dR[:, e] += dg * X[n]
    return dX, dR, dF


@right("experts-backward")
def experts_with_einsum(dY, cache):
    X, R, F, chosen, P, A = cache
    dy, db = dY
    k = int(chosen[0].sum())
    h = chosen.mean(axis=0).astype(X.dtype) / k * db * R.shape[1] / len(X)
    dP = np.einsum("nv,nev->ne", dy, F)
    dG = P * dP - P * np.einsum("ne,ne->n", P, dP)[:, None] + A * (h - (A @ h)[:, None])
    return dG @ R.T, np.einsum("nd,ne->de", X, dG), np.einsum("ne,nv->nev", P, dy)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("exercise", "function"), RIGHT, ids=[f.__name__ for _, f in RIGHT])
def test_right_answers_in_other_styles_are_right(exercise, function):
    verdict = check(exercise, function)
    # With NumPy 1 a Python number turns a single float32 into float64, and the verdict says so.
    assert verdict.ok and (NUMPY_1 or not verdict.notes), verdict


def test_each_exercise_has_right_answers_in_three_styles():
    """The solution is one of them."""
    answered = [exercise for exercise, _ in RIGHT]
    assert all(answered.count(name) >= 2 for name in headings())
