"""Wrong answers to the exercises, written from the statements alone, a line each.

Beside each stands what may be said about it: a regular expression for the verdict's paragraphs.
"""

from math import erf, pi, sqrt

import numpy as np

e = np.exp


def t(X):
    return X.swapaxes(-1, -2)


def rows(X):
    return X.sum(-1, keepdims=True)


def sm(S):
    E = e(S - S.max(-1, keepdims=True))
    return E / rows(E)


def ds(dP, P):
    return P * (dP - rows(dP * P))


def att(f):
    """f(dO, Q, K, V, P, dP, dS, r) with r = √Dk."""
    def answer(dO, cache):
        Q, K, V, P = cache
        dP = dO @ t(V)
        return f(dO, Q, K, V, P, dP, ds(dP, P), sqrt(Q.shape[-1]))
    return answer


def norm(f):
    """f(dY, Xhat, rstd, gain, g, mean of the last axis) with g = dY · gain."""
    def answer(dY, cache):
        Xhat, rstd, gain = cache
        dX = f(dY, Xhat, rstd, gain, dY * gain, lambda X: X.mean(-1, keepdims=True))
        lead = tuple(range(dY.ndim - 1))
        return dX, (dY * Xhat).sum(lead), dY.sum(lead)
    return answer


def cut(X, H):
    return X.reshape(*X.shape[:-1], H, X.shape[-1] // H)


def gelu(f):
    return lambda dY, c: dY * f(c.X, c.Phi, e(-c.X**2 / 2) / sqrt(2 * pi))


def lens(v, n):
    return np.arange(n) < v[:, None]


WRONG = [
    ("softmax", "large|overflow|maximum", lambda S: e(S) / rows(e(S))),
    ("softmax", "max", lambda S: e(S - S.max()) / rows(e(S - S.max()))),
    ("softmax", "divided|max", lambda S: sm(S) / sm(S).max(-1, keepdims=True)),
    ("softmax", "log|NaN|minus", lambda S: np.log(sm(S))),
    ("softmax", "2|base", lambda S: 2.0 ** (S - S.max(-1, keepdims=True))
     / rows(2.0 ** (S - S.max(-1, keepdims=True)))),
    ("softmax", "axis", lambda S: sm(S.T).T),
    ("softmax", "sum|divided", lambda S: e(S - S.max(-1, keepdims=True))),
    ("softmax", "minus|sign|right only|is subtracted|min", lambda S: sm(-S)),
    ("softmax", "digits", lambda S: sm(S) + 1e-6),
    ("softmax", "digits|single|float32", lambda S: sm(S.astype(np.float32)).astype(S.dtype)),
    ("softmax-backward", "P|dP", lambda dP, P: dP * P * (1 - P)),
    ("softmax-backward", "row sum|numerator", lambda dP, P: dP * P),
    ("softmax-backward", "double|proportional|not used", lambda dP, P: P * (1 - P)),
    ("softmax-backward", "cross-entropy", lambda dP, P: P - dP),
    ("softmax-backward", "factor `?P|twice|P", lambda dP, P: P * ds(dP, P)),
    ("softmax-backward", "sign|added|subtracted", lambda dP, P: -ds(dP, P)),
    ("softmax-backward", "mean", lambda dP, P: P * (dP - (dP * P).mean(-1, keepdims=True))),
    ("softmax-backward", "P", lambda dP, P: P * (dP - rows(dP))),
    ("softmax-backward", "P", lambda dP, P: dP - rows(dP * P)),
    ("softmax-backward", "axis 1", lambda dP, P: P * (dP - (dP * P).sum(1, keepdims=True))),
    ("softmax-backward", "P|square", lambda dP, P: P * (dP - rows(dP * P * P))),
    ("softmax-backward", "digits", lambda dP, P: ds(dP, P + 1e-7)),
    ("softmax-jacobian", "denominator", lambda S: np.stack(
        [-sm(S) * s[..., None] for s in np.moveaxis(sm(S), -1, 0)], -2)),
    ("softmax-jacobian", "diagonal|other|square", lambda S: np.eye(S.shape[-1])
     * (sm(S) * (1 - sm(S)))[..., None]),
    ("softmax-jacobian", "added|\\+|plus|sign", lambda S: sm(S)[..., None] * (
        np.eye(S.shape[-1]) + sm(S)[..., None, :])),
    ("masked-softmax", "True|allowed|polarity|not", lambda S, m: np.nan_to_num(
        sm(np.where(m, -np.inf, S)))),
    ("masked-softmax", "large negative|number", lambda S, m: sm(np.where(m, S, -1e9))),
    ("masked-softmax", "no key|NaN|nothing", lambda S, m: sm(np.where(m, S, -np.inf))),
    ("masked-softmax", "after", lambda S, m: np.where(m, sm(S), 0)),
    ("attention-dv", "transpos", att(lambda dO, Q, K, V, P, dP, dS, r: P @ dO)),
    ("attention-dv", "scale|√|1/√Dk|Dk", att(lambda dO, Q, K, V, P, dP, dS, r: t(P) @ dO / r)),
    ("attention-dv", "V|dO", att(lambda dO, Q, K, V, P, dP, dS, r: t(P) @ V)),
    ("attention-dv", "axes|\\.T", att(lambda dO, Q, K, V, P, dP, dS, r: P.T @ dO)),
    ("attention-dv", "square of dO", att(lambda dO, Q, K, V, P, dP, dS, r: t(dS) @ dO)),
    ("attention-dv", "sign|-1", att(lambda dO, Q, K, V, P, dP, dS, r: -t(P) @ dO)),
    ("attention-dv", "1/len.d?[QO]", att(lambda dO, Q, K, V, P, dP, dS, r: t(P) @ dO / len(Q))),
    ("attention-dq", "1/√Dk|√|factor", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ K)),
    ("attention-dq", "twice|Dk|root", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ K / r**2)),
    ("attention-dq", "softmax", att(lambda dO, Q, K, V, P, dP, dS, r: dP @ K / r)),
    ("attention-dq", "P", att(lambda dO, Q, K, V, P, dP, dS, r: P @ K / r)),
    ("attention-dq", "Q|K", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ Q / r)),
    ("attention-dq", "V|K", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ V / r)),
    ("attention-dq", "transpos", att(lambda dO, Q, K, V, P, dP, dS, r: t(dS) @ K / r)),
    ("attention-dq", "V|transpos", att(lambda dO, Q, K, V, P, dP, dS, r: ds(dO @ V, P) @ K / r)),
    ("attention-dq", "row sum|numer", att(lambda dO, Q, K, V, P, dP, dS, r: P * dP @ K / r)),
    ("attention-dq", "multipl|times|√", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ K * r)),
    ("attention-dq", "Dv|width of V", att(
        lambda dO, Q, K, V, P, dP, dS, r: dS @ K / sqrt(V.shape[-1]))),
    ("attention-dq", "Tk|number of keys", att(
        lambda dO, Q, K, V, P, dP, dS, r: dS @ K / sqrt(K.shape[-2]))),
    ("attention-dk", "1/√Dk|√", att(lambda dO, Q, K, V, P, dP, dS, r: t(dS) @ Q)),
    ("attention-dk", "transpos", att(lambda dO, Q, K, V, P, dP, dS, r: dS @ Q / r)),
    ("attention-dk", "K|Q", att(lambda dO, Q, K, V, P, dP, dS, r: t(dS) @ K / r)),
    ("attention-dk", "transpose", att(lambda dO, Q, K, V, P, dP, dS, r: t(t(dS) @ Q / r))),
    ("attention-dk", "P", att(lambda dO, Q, K, V, P, dP, dS, r: t(P) @ Q / r)),
    ("attention-dk", "softmax", att(lambda dO, Q, K, V, P, dP, dS, r: t(dP) @ Q / r)),
    ("attention-dk", "axes|\\.T", att(lambda dO, Q, K, V, P, dP, dS, r: dS.T @ Q / r)),
    ("attention-dk", "sign|row sum|added", att(
        lambda dO, Q, K, V, P, dP, dS, r: t(P * (dP + rows(dP * P))) @ Q / r)),
    ("attention-dk", "row sum|dP|plain|factor", att(
        lambda dO, Q, K, V, P, dP, dS, r: t(P * (dP - rows(dP))) @ Q / r)),
    ("attention-backward", "dQ|1/√", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K, t(dS) @ Q / r, t(P) @ dO))),
    ("attention-backward", "dK|√", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K / r, t(dS) @ Q, t(P) @ dO))),
    ("attention-backward", "1/√Dk", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K, t(dS) @ Q, t(P) @ dO))),
    ("attention-backward", "dV|V", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K / r, t(dS) @ Q / r, P @ dO))),
    ("attention-backward", "V", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K / r, t(dS) @ Q / r, t(P) @ V))),
    ("attention-backward", "what d|dQ is|K", att(
        lambda dO, Q, K, V, P, dP, dS, r: (t(dS) @ Q / r, dS @ K / r, t(P) @ dO))),
    ("attention-backward", "softmax", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dP @ K / r, t(dP) @ Q / r, t(P) @ dO))),
    ("attention-backward", "row sum|numer", att(
        lambda dO, Q, K, V, P, dP, dS, r: ((P * dP) @ K / r, t(P * dP) @ Q / r, t(P) @ dO))),
    ("attention-backward", "dV|√|scale", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K / r, t(dS) @ Q / r, t(P) @ dO / r))),
    ("key-norm-attention-backward", "norm|‖k‖", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K, t(dS) @ Q, t(P) @ dO))),
    ("key-norm-attention-backward", "½|half|2", att(
        lambda dO, Q, K, V, P, dP, dS, r: (
            dS @ K, t(dS) @ Q - dS.sum(-2)[..., None] * K / 2, t(P) @ dO))),
    ("key-norm-attention-backward", "added|plus|\\+", att(
        lambda dO, Q, K, V, P, dP, dS, r: (
            dS @ K, t(dS) @ Q + dS.sum(-2)[..., None] * K, t(P) @ dO))),
    ("key-norm-attention-backward", "1/√D|scale", att(
        lambda dO, Q, K, V, P, dP, dS, r: (
            dS @ K / r, (t(dS) @ Q - dS.sum(-2)[..., None] * K) / r, t(P) @ dO))),
    ("key-norm-attention-backward", "row|P|column", att(
        lambda dO, Q, K, V, P, dP, dS, r: (
            dS @ K, t(dS) @ Q - P.sum(-2)[..., None] * K, t(P) @ dO))),
    ("vector-sum-score", "dot product", att(
        lambda dO, Q, K, V, P, dP, dS, r: (dS @ K, t(dS) @ Q, t(P) @ dO))),
    ("vector-sum-score", "0|does not|cancel", att(
        lambda dO, Q, K, V, P, dP, dS, r: (0 * Q, 0 * K, t(P) @ dO))),
    ("vector-sum-score", "factor K|K", att(
        lambda dO, Q, K, V, P, dP, dS, r: (0 * Q, dS.sum(-2)[..., None] * K, t(P) @ dO))),
    ("linear-backward", "transpose|W", lambda dY, c: (
        dY @ c.W, cut(c.X, 1)[..., 0, :].reshape(-1, c.W.shape[0]).T
        @ dY.reshape(-1, c.W.shape[1]), dY.reshape(-1, c.W.shape[1]).sum(0))),
    ("linear-backward", "db|axis|axes", lambda dY, c: (
        dY @ c.W.T, c.X.reshape(-1, c.W.shape[0]).T @ dY.reshape(-1, c.W.shape[1]), dY.sum(0))),
    ("linear-backward", "mean", lambda dY, c: (
        dY @ c.W.T, c.X.reshape(-1, c.W.shape[0]).T @ dY.reshape(-1, c.W.shape[1]),
        dY.reshape(-1, c.W.shape[1]).mean(0))),
    ("linear-backward", "dYᵀ X|transpose", lambda dY, c: (
        dY @ c.W.T, dY.reshape(-1, c.W.shape[1]).T @ c.X.reshape(-1, c.W.shape[0]),
        dY.reshape(-1, c.W.shape[1]).sum(0))),
    ("layer-norm", "D − 1|n − 1|estimat|sample|D - 1", lambda X, g, b, eps: g * (
        X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, ddof=1, keepdims=True) + eps) + b),
    ("layer-norm", "root|ε", lambda X, g, b, eps: g * (X - X.mean(-1, keepdims=True)) / (
        X.std(-1, keepdims=True) + eps) + b),
    ("layer-norm", "ε", lambda X, g, b, eps: g * (X - X.mean(-1, keepdims=True))
     / X.std(-1, keepdims=True) + b),
    ("layer-norm", "mean", lambda X, g, b, eps: g * X / np.sqrt(
        (X**2).mean(-1, keepdims=True) + eps) + b),
    ("layer-norm", "root", lambda X, g, b, eps: g * (X - X.mean(-1, keepdims=True)) / (
        X.var(-1, keepdims=True) + eps) + b),
    ("layer-norm", "gain|1 \\+", lambda X, g, b, eps: (1 + g) * (
        X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + eps) + b),
    ("layer-norm", "bias|term `b", lambda X, g, b, eps: g * (
        X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + eps)),
    ("layer-norm", "bias|subtracted", lambda X, g, b, eps: g * (
        X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + eps) - b),
    ("layer-norm-backward", "mean", norm(lambda dY, H, r, g0, g, m: r * (g - H * m(g * H)))),
    ("layer-norm-backward", "variance", norm(lambda dY, H, r, g0, g, m: r * (g - m(g)))),
    ("layer-norm-backward", "gain", norm(
        lambda dY, H, r, g0, g, m: r * (dY - m(dY) - H * m(dY * H)))),
    ("layer-norm-backward", "rstd", norm(lambda dY, H, r, g0, g, m: g - m(g) - H * m(g * H))),
    ("layer-norm-backward", "rstd|divide", norm(
        lambda dY, H, r, g0, g, m: (g - m(g) - H * m(g * H)) / r)),
    ("layer-norm-backward", "Xhat", norm(lambda dY, H, r, g0, g, m: r * (g - m(g) - m(g * H)))),
    ("layer-norm-backward", "added|subtracted|sign", norm(
        lambda dY, H, r, g0, g, m: r * (g - m(g) + H * m(g * H)))),
    ("layer-norm-backward", "added|subtracted|sign", norm(
        lambda dY, H, r, g0, g, m: r * (g + m(g) - H * m(g * H)))),
    ("layer-norm-backward", "gain|mean and variance|rstd|constant", norm(
        lambda dY, H, r, g0, g, m: r * g)),
    ("layer-norm-backward", "rstd|twice", norm(
        lambda dY, H, r, g0, g, m: r * r * (g - m(g) - H * m(g * H)))),
    ("gelu-backward", "Φ|gate|constant", gelu(lambda X, Phi, d: Phi)),
    ("gelu-backward", "Φ|differentiated|Phi", gelu(lambda X, Phi, d: X * d)),
    ("gelu-backward", "x|factor", gelu(lambda X, Phi, d: Phi + d)),
    ("gelu-backward", "1/√|constant|normal|division", gelu(
        lambda X, Phi, d: Phi + X * d * sqrt(2 * pi))),
    ("gelu-backward", "subtracted|sign|minus", gelu(lambda X, Phi, d: Phi - X * d)),
    ("gelu-backward", "ReLU", gelu(lambda X, Phi, d: 1.0 * (X > 0))),
    ("gelu-backward", "digits", gelu(lambda X, Phi, d: Phi + X * d * 0.9998)),
    ("gelu-backward", "digits|difference", lambda dY, c: dY * np.vectorize(
        lambda x: ((x + 1e-4) * (1 + erf((x + 1e-4) / sqrt(2)))
                   - x * (1 + erf(x / sqrt(2)))) / 2e-4)(c.X)),
    ("gelu-backward", "factor `dY`", lambda dY, c: c.Phi + c.X * e(
        -c.X**2 / 2) / sqrt(2 * pi)),
    ("gelu-backward", "1.702|sigmoid|tanh|approx", lambda dY, c: dY * (
        lambda s: s + 1.702 * c.X * s * (1 - s))(1 / (1 + e(-1.702 * c.X)))),
    ("dropout-backward", "rate|1 −|scale", lambda dO, c: (
        dO @ t(c.V) * c.keep, t(c.P * c.keep) @ dO)),
    ("dropout-backward", "dP|drop|mask", lambda dO, c: (
        dO @ t(c.V), t(c.P * c.keep / (1 - c.rate)) @ dO)),
    ("dropout-backward", "dV|drop", lambda dO, c: (
        dO @ t(c.V) * c.keep / (1 - c.rate), t(c.P) @ dO)),
    ("dropout-backward", "rate|1 −", lambda dO, c: (
        dO @ t(c.V) * c.keep * (1 - c.rate), t(c.P * c.keep) @ dO * (1 - c.rate))),
    ("dropout-backward", "dropped|keep|polarity|kept", lambda dO, c: (
        dO @ t(c.V) * ~c.keep / (1 - c.rate), t(c.P * ~c.keep) @ dO / (1 - c.rate))),
    ("dropout-backward", "twice|factor|P", lambda dO, c: (
        c.P * (dO @ t(c.V)) * c.keep / (1 - c.rate), t(c.P * c.keep / (1 - c.rate)) @ dO)),
    ("split-heads", "neighbouring|reshape", lambda X, H: np.moveaxis(
        X.reshape(*X.shape[:-1], -1, H), -1, -3)),
    ("split-heads", "reshape|transpos|exchange", lambda X, H: X.reshape(
        *X.shape[:-2], H, X.shape[-2], -1)),
    ("split-heads", "exchange|position|heads", lambda X, H: cut(X, H)),
    ("merge-heads-backward", "reshape|transpos|exchange", lambda dY, H: dY.reshape(
        *dY.shape[:-2], H, dY.shape[-2], -1)),
    ("merge-heads-backward", "exchange|positions", lambda dY, H: cut(dY, H)),
    ("merge-heads-backward", "neighbouring|reshape", lambda dY, H: np.moveaxis(
        dY.reshape(*dY.shape[:-1], -1, H), -1, -3)),
    ("merge-heads-backward", "times|mean|divided", lambda dY, H: t(
        t(cut(dY, H).swapaxes(-3, -2))) / H),
    ("causal-mask", "itself|own", lambda Tq, Tk: np.tri(Tq, Tk, Tk - Tq - 1, dtype=bool)),
    ("causal-mask", "upper left|corner|cache|first", lambda Tq, Tk: np.tri(Tq, Tk, dtype=bool)),
    ("causal-mask", "True|polarity|not", lambda Tq, Tk: ~np.tri(Tq, Tk, Tk - Tq, dtype=bool)),
    ("causal-mask", "next|ahead|many", lambda Tq, Tk: np.tri(Tq, Tk, Tk - Tq + 1, dtype=bool)),
    ("causal-mask", "every", lambda Tq, Tk: np.ones((Tq, Tk), bool)),
    ("valid-lens-mask", "one key too many|<=", lambda v, Tq, Tk: np.broadcast_to(
        np.arange(Tk) <= (v[:, None] if v.ndim == 1 else v)[..., None], (len(v), Tq, Tk))),
    ("valid-lens-mask", "padding|polarity|True", lambda v, Tq, Tk: np.broadcast_to(
        np.arange(Tk) >= (v[:, None] if v.ndim == 1 else v)[..., None], (len(v), Tq, Tk))),
    ("valid-lens-mask", "first query", lambda v, Tq, Tk: np.broadcast_to(
        np.arange(Tk) < (v if v.ndim == 1 else v[:, 0])[:, None, None], (len(v), Tq, Tk))),
    ("valid-lens-mask", "last|end", lambda v, Tq, Tk: np.broadcast_to(
        np.arange(Tk)[::-1] < (v[:, None] if v.ndim == 1 else v)[..., None], (len(v), Tq, Tk))),
    ("cross-entropy-backward", "padding", lambda d, c: d * (
        c.P - np.eye(c.P.shape[-1])[c.targets]) / max((c.targets != c.pad).sum(), 1)),
    ("cross-entropy-backward", "mean|sum|number|divi", lambda d, c: d * (
        c.P - (np.arange(c.P.shape[-1]) == c.targets[..., None]))
     * (c.targets != c.pad)[..., None]),
    ("cross-entropy-backward", "padding|counted", lambda d, c: d * (
        c.P - (np.arange(c.P.shape[-1]) == c.targets[..., None]))
     * (c.targets != c.pad)[..., None] / c.targets.size),
    ("cross-entropy-backward", "sign|-1|minus|subtracted", lambda d, c: -d * (
        c.P - (np.arange(c.P.shape[-1]) == c.targets[..., None]))
     * (c.targets != c.pad)[..., None] / max((c.targets != c.pad).sum(), 1)),
    ("cross-entropy-backward", "dloss|upstream|loss", lambda d, c: (
        c.P - (np.arange(c.P.shape[-1]) == c.targets[..., None]))
     * (c.targets != c.pad)[..., None] / max((c.targets != c.pad).sum(), 1)),
    ("cross-entropy-backward", "label smoothing|double|factors|0.9|smooth", lambda d, c: d * (
        c.P - 0.9 * (np.arange(c.P.shape[-1]) == c.targets[..., None]) - 0.1 / c.P.shape[-1])
     * (c.targets != c.pad)[..., None] / max((c.targets != c.pad).sum(), 1)),
    ("embedding-backward", "several|last", lambda dY, c: (
        lambda dE: (dE.__setitem__(c.ids, dY * sqrt(c.E.shape[-1])), dE)[1])(0 * c.E)),
    ("embedding-backward", "√D|root", lambda dY, c: (
        lambda dE: (np.add.at(dE, c.ids, dY), dE)[1])(0 * c.E)),
    ("embedding-backward", "divid|√D", lambda dY, c: (
        lambda dE: (np.add.at(dE, c.ids, dY / sqrt(c.E.shape[-1])), dE)[1])(0 * c.E)),
    ("embedding-backward", "D|twice|root", lambda dY, c: (
        lambda dE: (np.add.at(dE, c.ids, dY * c.E.shape[-1]), dE)[1])(0 * c.E)),
    ("rotary-backward", "same way|turned|transpose|rotation", lambda dY, c: np.stack([
        dY[..., ::2] * c.cos - dY[..., 1::2] * c.sin,
        dY[..., ::2] * c.sin + dY[..., 1::2] * c.cos], -1).reshape(dY.shape)),
    ("rotary-backward", "plus|added|both", lambda dY, c: np.stack([
        dY[..., ::2] * c.cos + dY[..., 1::2] * c.sin,
        dY[..., ::2] * c.sin + dY[..., 1::2] * c.cos], -1).reshape(dY.shape)),
    ("rotary-backward", "cos", lambda dY, c: np.stack([
        dY[..., ::2] * c.cos, dY[..., 1::2] * c.cos], -1).reshape(dY.shape)),
    ("rotary-backward", "column|first entries|neighbour|places", lambda dY, c: np.concatenate([
        dY[..., ::2] * c.cos + dY[..., 1::2] * c.sin,
        dY[..., 1::2] * c.cos - dY[..., ::2] * c.sin], -1)),
    ("additive-to-dot", "√D|scale", lambda h, m, v: (lambda P: (np.einsum("bt,btd->bd", P, m), P))(
        np.nan_to_num(sm(np.where(lens(v, m.shape[1]), np.einsum("bd,btd->bt", h, m), -np.inf))))),
    ("additive-to-dot", "padding|valid", lambda h, m, v: (
        lambda P: (np.einsum("bt,btd->bd", P, m), P))(
        sm(np.einsum("bd,btd->bt", h, m) / sqrt(m.shape[-1])))),
    ("additive-to-dot", "after", lambda h, m, v: (lambda P: (np.einsum("bt,btd->bd", P, m), P))(
        sm(np.einsum("bd,btd->bt", h, m) / sqrt(m.shape[-1])) * lens(v, m.shape[1]))),
    ("unit-sphere-distance", "σ|sigma", lambda Q, K, s: (lambda C: (2 - 2 * C, sm(C / s)))(
        Q / np.sqrt(rows(Q * Q)) @ t(K / np.sqrt(rows(K * K))))),
    ("unit-sphere-distance", "2|factor", lambda Q, K, s: (lambda C: (2 - 2 * C, sm(C / s**2 / 2)))(
        Q / np.sqrt(rows(Q * Q)) @ t(K / np.sqrt(rows(K * K))))),
    ("unit-sphere-distance", "length|norm", lambda Q, K, s: (
        2 - 2 * (Q @ t(K)), sm(Q @ t(K) / s**2))),
    ("unit-sphere-distance", "large|overflow", lambda Q, K, s: (
        lambda C: (2 - 2 * C, e(C / s**2) / rows(e(C / s**2))))(
        Q / np.sqrt(rows(Q * Q)) @ t(K / np.sqrt(rows(K * K))))),
    ("nadaraya-watson-dw", "w", lambda df, c: -(
        ds(df[:, None] * c.y, c.P) * (c.x[:, None] - c.k) ** 2).sum()),
    ("nadaraya-watson-dw", "squared|u", lambda df, c: -c.w * (
        ds(df[:, None] * c.y, c.P) * (c.x[:, None] - c.k)).sum()),
    ("nadaraya-watson-dw", "sign|minus|-1", lambda df, c: c.w * (
        ds(df[:, None] * c.y, c.P) * (c.x[:, None] - c.k) ** 2).sum()),
    ("nadaraya-watson-dw", "row sum|denominator", lambda df, c: -c.w * (
        c.P * df[:, None] * c.y * (c.x[:, None] - c.k) ** 2).sum()),
    ("query-gradient-covariance", "centred|o_|mean|−o|term", lambda q, K: (
        lambda P: t(K) @ (P[..., None] * K))(sm(q @ K.T))),
    ("query-gradient-covariance", "scale|√D|D", lambda q, K: (
        lambda P, A: t(A) @ (P[..., None] * A))(
        sm(q @ K.T / sqrt(K.shape[1])), K - (sm(q @ K.T / sqrt(K.shape[1])) @ K)[..., None, :])),
    ("mean-pooling-backward", "cls|N|positions|1 −", lambda dY, c: (
        np.concatenate([0 * c.Z[:, :1], np.repeat((dY @ c.W.T)[:, None], c.Z.shape[1] - 1, 1)
                        / c.Z.shape[1]], 1), c.m.T @ dY, dY.sum(0))),
    ("mean-pooling-backward", "divided|division|N", lambda dY, c: (
        np.concatenate([0 * c.Z[:, :1], np.repeat((dY @ c.W.T)[:, None], c.Z.shape[1] - 1, 1)], 1),
        c.m.T @ dY, dY.sum(0))),
    ("head-gate-backward", "g|gate", lambda dY, c: (lambda G: (
        G, (c.O * G).sum((0, 2, 3))))(cut(dY @ c.Wo.T, len(c.g)).swapaxes(1, 2))),
    ("head-gate-backward", "g|gate", lambda dY, c: (lambda G: (
        c.g[:, None, None] * G, (c.O * c.g[:, None, None] * G).sum((0, 2, 3))))(
        cut(dY @ c.Wo.T, len(c.g)).swapaxes(1, 2))),
    ("kv-cache", "overflow|large|maximum", lambda x, K, V, Wq, Wk, Wv: (lambda K, V: (
        e(x @ Wq @ t(K) / sqrt(K.shape[-1])) / rows(e(x @ Wq @ t(K) / sqrt(K.shape[-1]))) @ V,
        K, V))(np.concatenate([K, x @ Wk], -2), np.concatenate([V, x @ Wv], -2))),
    ("kv-cache", "1/√|scale|root", lambda x, K, V, Wq, Wk, Wv: (lambda K, V: (
        sm(x @ Wq @ t(K)) @ V, K, V))(
        np.concatenate([K, x @ Wk], -2), np.concatenate([V, x @ Wv], -2))),
    ("online-softmax", "multiplied|old sum|relative", lambda m, z, S: (lambda n: (
        n, z + e(S - np.where(np.isneginf(n), 0, n)[..., None]).sum(-1)))(
        np.maximum(m, S.max(-1)))),
    ("random-heatmap", "entropy|exp", lambda S: (sm(S), -(sm(S) * np.log(sm(S))).sum(-1))),
    ("random-heatmap", "column|axis", lambda S: (
        t(sm(t(S))), e(-(t(sm(t(S))) * np.log(t(sm(t(S))))).sum(-1)))),
]
