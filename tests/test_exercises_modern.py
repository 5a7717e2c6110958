"""Right answers to the exercises on modern blocks, in other styles: loops, einsum, buffers."""

import math

import numpy as np
import pytest

from npattn.exercises import check

RIGHT = []


def right(exercise):
    return lambda function: RIGHT.append(pytest.param(exercise, function, id=function.__name__))


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


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_right_answers_in_other_styles_are_right(exercise, function):
    verdict = check(exercise, function)
    assert verdict.ok, verdict
