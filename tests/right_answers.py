"""Right answers to the exercises in other styles than the solutions: loops, einsum, buffers.

With the solution each exercise has three at least. Half of them are by somebody who had seen no
solution.
"""

import math

import numpy as np
from scipy.special import erf

RIGHT = []


def right(exercise):
    """Enter a function as a right answer to that exercise."""
    def put(function):
        RIGHT.append((exercise, function))
        return function

    return put


@right("additive-attention-backward")
def additive_attention_backward_by_einsum(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = np.einsum("bid,bjd->bij", dO, V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dA = dS[..., None] * w * (1 - F * F)
    return np.einsum("bid,bijh->dh", Q, dA), np.einsum("bjd,bijh->dh", K,
                                                       dA), np.einsum("bij,bijh->h", dS, F)


@right("additive-attention-backward")
def additive_attention_backward_by_loop(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dWq, dWk, dw = np.zeros_like(Wq), np.zeros_like(Wk), np.zeros_like(w)
    for b, i in np.ndindex(Q.shape[:2]):
        d = V[b] @ dO[b, i]
        ds = P[b, i] * (d - P[b, i] @ d)
        for j in range(K.shape[1]):
            f = F[b, i, j]
            a = ds[j] * w * (1 - f) * (1 + f)
            dWq += np.outer(Q[b, i], a)
            dWk += np.outer(K[b, j], a)
            dw += ds[j] * f
    return dWq, dWk, dw


@right("additive-attention-backward")
def additive_attention_backward_by_matmul(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ V.swapaxes(1, 2)
    dS = P * (dP - ((P @ V) * dO).sum(-1, keepdims=True))
    dA = (dS[..., None] - dS[..., None] * F ** 2) * w
    rows = lambda Z: Z.reshape(-1, Z.shape[-1])
    return rows(Q).T @ rows(dA.sum(2)), rows(K).T @ rows(dA.sum(1)), dS.reshape(-1) @ rows(F)


@right("attention-backward")
def attention_backward_by_einsum(dO, cache):
    Q, K, V, P = cache
    dV = np.einsum("...ij,...id->...jd", P, dO)
    D = np.einsum("...id,...id->...i", dO, np.einsum("...ij,...jd->...id", P, V))
    dS = P * (np.einsum("...id,...jd->...ij", dO, V) - D[..., None])
    r = 1 / math.sqrt(K.shape[-1])
    return r * np.einsum("...ij,...jd->...id", dS, K), r * np.einsum("...ij,...id->...jd", dS,
                                                                     Q), dV


@right("attention-backward")
def attention_backward_by_loop(dO, cache):
    Q, K, V, P = cache
    dQ, dK, dV = np.zeros_like(Q), np.zeros_like(K), np.zeros_like(V)
    r = math.sqrt(Q.shape[-1])
    for b in np.ndindex(Q.shape[:-2]):
        for i in range(Q.shape[-2]):
            p, d = P[b][i], dO[b][i]
            dV[b] += np.outer(p, d)
            dp = V[b] @ d
            ds = p * (dp - p @ dp) / r
            dQ[b][i] = ds @ K[b]
            dK[b] += np.outer(ds, Q[b][i])
    return dQ, dK, dV


@right("attention-backward")
def attention_backward_by_matmul(dO, cache):
    Q, K, V, P = cache
    t = lambda Z: Z.swapaxes(-1, -2)
    dP = dO @ t(V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    return dS @ K, t(dS) @ Q, t(P) @ dO


@right("attention-dk")
def attention_dk_by_einsum(dO, cache):
    Q, K, V, P = cache
    g = np.einsum("...ij,...id,...jd->...ij", P, dO, V)
    dS = g - P * g.sum(-1, keepdims=True)
    return np.einsum("...ij,...id->...jd", dS, Q) * Q.shape[-1] ** -0.5


@right("attention-dk")
def attention_dk_by_matmul(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return dS.swapaxes(-1, -2) @ (Q / math.sqrt(Q.shape[-1]))


@right("attention-dk")
def attention_dk_by_transposed(dO, cache):
    Q, K, V, P = cache
    Pt, O = P.swapaxes(-1, -2), P @ V
    dPt = V @ dO.swapaxes(-1, -2)
    return Pt * (dPt - (dO * O).sum(-1)[..., None, :]) @ Q / math.sqrt(K.shape[-1])


@right("attention-dq")
def attention_dq_by_einsum(dO, cache):
    Q, K, V, P = cache
    delta = np.einsum("...id,...ij,...jd->...i", dO, P, V)
    dS = P * (np.einsum("...id,...jd->...ij", dO, V) - delta[..., None])
    return np.einsum("...ij,...jd->...id", dS, K / math.sqrt(K.shape[-1]))


@right("attention-dq")
def attention_dq_by_loop(dO, cache):
    Q, K, V, P = cache
    dQ = np.zeros_like(Q)
    meank = P @ K
    for i in range(Q.shape[-2]):
        for j in range(K.shape[-2]):
            g = P[..., i, j] * (dO[..., i, :] * V[..., j, :]).sum(-1)
            dQ[..., i, :] += g[..., None] * (K[..., j, :] - meank[..., i, :])
    return dQ / math.sqrt(Q.shape[-1])


@right("attention-dq")
def attention_dq_by_matmul(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return dS @ K / math.sqrt(Q.shape[-1])


@right("attention-dv")
def attention_dv_by_einsum(dO, cache):
    return np.einsum("...ij,...id->...jd", cache.P, dO)


@right("attention-dv")
def attention_dv_by_loop(dO, cache):
    dV = np.zeros_like(cache.V)
    for i in range(dO.shape[-2]):
        dV += cache.P[..., i, :, None] * dO[..., i, None, :]
    return dV


@right("attention-dv")
def attention_dv_by_matmul(dO, cache):
    return cache.P.swapaxes(-1, -2) @ dO


@right("bilinear-dm")
def bilinear_dm_by_einsum(dO, cache):
    Q, K, V, M, P = cache
    g = P * np.einsum("bid,bjd->bij", dO, V)
    return np.einsum("bip,bij,bjr->pr", Q, g - P * g.sum(2)[..., None], K)


@right("bilinear-dm")
def bilinear_dm_by_loop(dO, cache):
    Q, K, V, M, P = cache
    dM = np.zeros_like(M)
    for b in range(len(Q)):
        for i in range(Q.shape[1]):
            p = P[b, i]
            d = V[b] @ dO[b, i]
            dM += np.outer(Q[b, i], (p * (d - p @ d)) @ K[b])
    return dM


@right("bilinear-dm")
def bilinear_dm_by_matmul(dO, cache):
    Q, K, V, M, P = cache
    dP = dO @ V.swapaxes(1, 2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return (Q.swapaxes(1, 2) @ dS @ K).sum(0)


@right("causal-mask")
def causal_mask_by_broadcast(Tq, Tk):
    return np.arange(Tk) <= np.arange(Tk - Tq, Tk)[:, None]


@right("causal-mask")
def causal_mask_by_loop(Tq, Tk):
    mask = np.zeros((Tq, Tk), dtype=bool)
    for i in range(Tq):
        mask[i, : Tk - Tq + i + 1] = True
    return mask


@right("causal-mask")
def causal_mask_by_tri(Tq, Tk):
    return np.tri(Tq, Tk, Tk - Tq, dtype=bool)


@right("cross-attention-backward")
def cross_attention_backward_by_einsum(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    e = np.einsum
    dV = e("bij,bid->bjd", P, dO)
    g = P * e("bid,bjd->bij", dO, V)
    dS = (g - P * g.sum(2)[..., None]) * Q.shape[-1] ** -0.5
    dQ, dK = e("bij,bjd->bid", dS, K), e("bij,bid->bjd", dS, Q)
    dM = e("bjd,md->bjm", dK, Wk) + e("bjd,md->bjm", dV, Wv)
    return e("bid,xd->bix", dQ, Wq), dM, e("bix,bid->xd", X, dQ), e("bjm,bjd->md", M,
                                                                    dK), e("bjm,bjd->md", M, dV)


@right("cross-attention-backward")
def cross_attention_backward_by_loop(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dX, dM, dWq, dWk, dWv = (np.zeros_like(Z) for Z in (X, M, Wq, Wk, Wv))
    for b in range(len(X)):
        dv = P[b].T @ dO[b]
        dp = dO[b] @ V[b].T
        ds = P[b] * (dp - (P[b] * dp).sum(1)[:, None]) / math.sqrt(Q.shape[-1])
        dq, dk = ds @ K[b], ds.T @ Q[b]
        dX[b], dM[b] = dq @ Wq.T, dk @ Wk.T + dv @ Wv.T
        dWq += X[b].T @ dq
        dWk += M[b].T @ dk
        dWv += M[b].T @ dv
    return dX, dM, dWq, dWk, dWv


@right("cross-attention-backward")
def cross_attention_backward_by_matmul(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    t = lambda Z: Z.swapaxes(1, 2)
    dP = dO @ t(V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    dQ, dK, dV = dS @ K, t(dS) @ Q, t(P) @ dO
    weights = (t(X) @ dQ).sum(0), (t(M) @ dK).sum(0), (t(M) @ dV).sum(0)
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, *weights


@right("embedding-backward")
def embedding_backward_by_addat(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY * math.sqrt(E.shape[1]))
    return dE


@right("embedding-backward")
def embedding_backward_by_loop(dY, cache):
    dE = np.zeros_like(cache.E)
    for n in np.ndindex(np.shape(cache.ids)):
        dE[cache.ids[n]] += dY[n]
    return dE * math.sqrt(dE.shape[1])


@right("embedding-backward")
def embedding_backward_by_onehot(dY, cache):
    ids, E = cache
    hot = (np.arange(len(E))[:, None] == np.ravel(ids)).astype(dY.dtype)
    return math.sqrt(E.shape[1]) * hot @ dY.reshape(-1, E.shape[1])


@right("gelu-backward")
def gelu_backward_by_erf(dY, cache):
    X = cache.X
    bell = np.exp(-(X ** 2) / 2) * 0.3989422804014327
    return dY * 0.5 * (1 + erf(X / math.sqrt(2))) + dY * X * bell


@right("gelu-backward")
def gelu_backward_by_plain(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * np.exp(-0.5 * X * X) / math.sqrt(2 * math.pi))


@right("gelu-backward")
def gelu_backward_by_twoparts(dY, cache):
    X, Phi = cache
    slope = np.exp(-np.square(X / math.sqrt(2)))
    slope = slope / math.sqrt(math.pi) / math.sqrt(2)
    return np.multiply(dY, Phi) + np.multiply(dY * X, slope)


@right("grouped-attention-backward")
def grouped_attention_backward_by_einsum(dO, cache):
    Q, K, V, P = cache
    g = np.einsum("bgrij,bgrid,bgjd->bgrij", P, dO, V)
    dS = (g - P * g.sum(-1)[..., None]) * Q.shape[-1] ** -0.5
    return np.einsum("bgrij,bgjd->bgrid", dS, K), np.einsum("bgrij,bgrid->bgjd", dS,
                                                            Q), np.einsum("bgrij,bgrid->bgjd", P,
                                                                          dO)


@right("grouped-attention-backward")
def grouped_attention_backward_by_longquery(dO, cache):
    Q, K, V, P = cache
    B, G, R, Tq, D = Q.shape
    long = lambda Z: Z.reshape(B, G, R * Tq, -1)
    q, p, d = long(Q), long(P), long(dO)
    dp = d @ V.swapaxes(2, 3)
    ds = p * (dp - (d * (p @ V)).sum(-1, keepdims=True)) / math.sqrt(D)
    return (ds @ K).reshape(Q.shape), ds.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ d


@right("grouped-attention-backward")
def grouped_attention_backward_by_matmul(dO, cache):
    Q, K, V, P = cache
    t = lambda Z: Z.swapaxes(-1, -2)
    k, v = K[:, :, None], V[:, :, None]
    dP = dO @ t(v)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    return dS @ k, (t(dS) @ Q).sum(2), (t(P) @ dO).sum(2)


@right("head-gate-backward")
def head_gate_backward_by_einsum(dY, cache):
    O, g, Wo = cache
    W = Wo.reshape(O.shape[1], O.shape[3], -1)
    return np.einsum("bty,hdy,h->bhtd", dY, W, g), np.einsum("bty,hdy,bhtd->h", dY, W, O)


@right("head-gate-backward")
def head_gate_backward_by_loop(dY, cache):
    O, g, Wo = cache
    dO, dg, D = np.zeros_like(O), np.zeros_like(g), O.shape[-1]
    for h in range(len(g)):
        W = Wo[h * D:(h + 1) * D]
        dO[:, h] = g[h] * dY @ W.T
        dg[h] = np.sum(dY * (O[:, h] @ W))
    return dO, dg


@right("head-gate-backward")
def head_gate_backward_by_reshape(dY, cache):
    O, g, Wo = cache
    B, H, T, D = O.shape
    d = (dY @ Wo.T).reshape(B, T, H, D).swapaxes(1, 2)
    return g[:, None, None] * d, (O * d).sum(axis=(0, 2, 3))


@right("layer-norm-backward")
def layer_norm_backward_by_jacobian(dY, cache):
    Xhat, rstd, gain = cache
    D = len(gain)
    J = (np.eye(D, dtype=dY.dtype) * D - 1 - Xhat[..., None] * Xhat[..., None, :]) / D
    dX = rstd * np.einsum("...ab,...b->...a", J, gain * dY)
    y = dY.reshape(-1, D)
    return dX, np.einsum("nd,nd->d", y, Xhat.reshape(-1, D)), np.einsum("nd->d", y)


@right("layer-norm-backward")
def layer_norm_backward_by_loop(dY, cache):
    Xhat, rstd, gain = cache
    D = len(gain)
    dX, dg, db = np.zeros_like(Xhat), np.zeros_like(gain), np.zeros_like(gain)
    for idx in np.ndindex(dY.shape[:-1]):
        x, d = Xhat[idx], dY[idx]
        dg += d * x
        db += d
        g = d * gain
        dX[idx] = (D * g - g.sum() - x * (g @ x)) * rstd[idx] / D
    return dX, dg, db


@right("layer-norm-backward")
def layer_norm_backward_by_means(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    lead = tuple(range(dY.ndim - 1))
    dX = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    return dX, (dY * Xhat).sum(axis=lead), dY.sum(axis=lead)


@right("layer-norm")
def layer_norm_by_einsum(X, gain, bias, eps):
    D = X.shape[-1]
    C = X - np.einsum("...d->...", X)[..., None] / D
    r = (np.einsum("...d,...d->...", C, C) / D + eps) ** -0.5
    return C * r[..., None] * gain + bias


@right("layer-norm")
def layer_norm_by_loop(X, gain, bias, eps):
    Y = np.empty_like(X)
    for idx in np.ndindex(X.shape[:-1]):
        row = X[idx]
        c = row - sum(row) / len(row)
        Y[idx] = gain * c / math.sqrt(sum(c * c) / len(row) + eps) + bias
    return Y


@right("layer-norm")
def layer_norm_by_meanvar(X, gain, bias, eps):
    return (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + eps) * gain + bias


@right("linear-backward")
def linear_backward_by_loop(dY, cache):
    X, W = cache
    dX, dW, db = np.zeros_like(X), np.zeros_like(W), np.zeros(W.shape[1], dtype=W.dtype)
    for idx in np.ndindex(X.shape[:-1]):
        dX[idx] = W @ dY[idx]
        dW += np.outer(X[idx], dY[idx])
        db += dY[idx]
    return dX, dW, db


@right("linear-backward")
def linear_backward_by_reshape(dY, cache):
    X, W = cache
    x, g = X.reshape(-1, W.shape[0]), dY.reshape(-1, W.shape[1])
    return dY @ W.T, x.T @ g, g.sum(0)


@right("linear-backward")
def linear_backward_by_tensordot(dY, cache):
    X, W = cache
    n = X.ndim - 1
    axes = tuple(range(n))
    return np.einsum("...e,de->...d", dY, W), np.tensordot(X, dY,
                                                           axes=(axes, axes)), dY.sum(axis=axes)


@right("lstm-cell-backward")
def lstm_cell_backward_by_blocks(dY, cache):
    dHn, dCn = dY
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    h = H.shape[1]
    dN = dCn + dHn * O / np.cosh(N) ** 2
    parts = [dN * G * (I - I * I), dN * C * (F - F * F), dHn * np.tanh(N) * (O - O * O), dN * I
             * (1 - G) * (1 + G)]
    dX, dH = np.zeros_like(X), np.zeros_like(H)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * h, dtype=Wx.dtype)
    for n, d in enumerate(parts):
        c = slice(n * h, (n + 1) * h)
        dX += d @ Wx[:, c].T
        dH += d @ Wh[:, c].T
        dWx[:, c], dWh[:, c], db[c] = X.T @ d, H.T @ d, d.sum(0)
    return dX, dH, F * dN, dWx, dWh, db


@right("lstm-cell-backward")
def lstm_cell_backward_by_concat(dY, cache):
    dHn, dCn = dY
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    t = np.tanh(N)
    dN = dCn + dHn * O * (1 - t * t)
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dHn * t * O * (1 - O), dN * I
                         * (1 - G * G)], -1)
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0)


@right("lstm-cell-backward")
def lstm_cell_backward_by_einsum(dY, cache):
    dHn, dCn = dY
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    t = np.tanh(N)
    dN = dHn * O - dHn * O * t ** 2 + dCn
    up = np.stack([dN * G, dN * C, dHn * t, dN * I], axis=1)
    slope = np.stack([I * (1 - I), F * (1 - F), O * (1 - O), 1 - G ** 2], axis=1)
    dA = (up * slope).reshape(len(X), -1)
    e = np.einsum
    return e("ba,da->bd", dA, Wx), e("ba,da->bd", dA, Wh), dN * F, e("bd,ba->da", X,
                                                                     dA), e("bd,ba->da", H,
                                                                            dA), e("ba->a", dA)


@right("masked-softmax")
def masked_softmax_by_loop(S, mask):
    P = np.zeros_like(S)
    for idx in np.ndindex(S.shape[:-1]):
        ok = mask[idx]
        if ok.any():
            s = S[idx][ok]
            e = np.exp(s - s.max())
            P[idx][ok] = e / e.sum()
    return P


@right("masked-softmax")
def masked_softmax_by_where(S, mask):
    S = np.where(mask, S, -np.inf)
    top = S.max(-1, keepdims=True)
    E = np.exp(S - np.where(np.isneginf(top), 0, top))
    Z = E.sum(-1, keepdims=True)
    return E / np.where(Z == 0, 1, Z)


@right("masked-softmax")
def masked_softmax_by_wherearg(S, mask):
    clean = np.where(mask, S, 0)
    top = np.max(clean, axis=-1, keepdims=True, where=mask, initial=np.finfo(S.dtype).min)
    E = np.where(mask, np.exp(np.minimum(np.where(mask, clean - top, 0), 0)), 0)
    Z = np.einsum("...k->...", E)[..., None]
    return np.divide(E, Z, out=np.zeros_like(E), where=Z > 0)


@right("merge-heads-backward")
def merge_heads_backward_by_einsum(dY, num_heads):
    *lead, T, W = dY.shape
    return np.einsum("...thd->...htd", dY.reshape(*lead, T, num_heads, W // num_heads)).copy()


@right("merge-heads-backward")
def merge_heads_backward_by_reshape(dY, num_heads):
    return np.moveaxis(dY.reshape(*dY.shape[:-1], num_heads, -1), -2, -3)


@right("merge-heads-backward")
def merge_heads_backward_by_stack(dY, num_heads):
    D = dY.shape[-1] // num_heads
    return np.stack([dY[..., h * D:(h + 1) * D] for h in range(num_heads)], axis=-3)


@right("nadaraya-watson-dw")
def nadaraya_watson_dw_by_einsum(df, cache):
    x, k, y, w, P = cache
    g = -w * np.subtract.outer(x, k) ** 2
    mean = np.einsum("ij,ij->i", P, g)
    return np.einsum("i,ij,j,ij->", df, P, y, g - mean[:, None])


@right("nadaraya-watson-dw")
def nadaraya_watson_dw_by_loop(df, cache):
    x, k, y, w, P = cache
    dw = 0.0
    for i in range(len(x)):
        f = P[i] @ y
        for j in range(len(k)):
            dw = dw - df[i] * P[i, j] * (y[j] - f) * w * (x[i] - k[j]) ** 2
    return dw


@right("nadaraya-watson-dw")
def nadaraya_watson_dw_by_matrix(df, cache):
    x, k, y, w, P = cache
    dS = df[:, None] * P * (y - (P @ y)[:, None])
    return -w * (dS * (x[:, None] - k) ** 2).sum()


@right("qk-norm-attention-backward")
def qk_norm_attention_backward_by_einsum(dO, cache):
    Q, K, V, t, nq, nk, P = cache
    e = np.einsum
    g = P * e("...id,...jd->...ij", dO, V)
    dS = g - P * g.sum(-1)[..., None]
    C = e("...id,...jd->...ij", Q / nq, K / nk)
    dC = t * dS
    row, column = e("...ij,...ij->...i", dC, C)[..., None], e("...ij,...ij->...j", dC, C)[..., None]
    dQ = e("...ij,...jd->...id", dC, K / nk) / nq - Q / nq ** 2 * row
    dK = e("...ij,...id->...jd", dC, Q / nq) / nk - K / nk ** 2 * column
    return dQ, dK, e("...ij,...id->...jd", P, dO), np.sum(dS * C)


@right("qk-norm-attention-backward")
def qk_norm_attention_backward_by_matmul(dO, cache):
    Q, K, V, t, nq, nk, P = cache
    T = lambda Z: Z.swapaxes(-1, -2)
    q, k = Q / nq, K / nk
    dP = dO @ T(V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dq, dk = t * dS @ k, t * T(dS) @ q
    back = lambda u, d, n: (d - u * (u * d).sum(-1, keepdims=True)) / n
    return back(q, dq, nq), back(k, dk, nk), T(P) @ dO, (dS * (q @ T(k))).sum()


@right("qk-norm-attention-backward")
def qk_norm_attention_backward_by_projector(dO, cache):
    Q, K, V, t, nq, nk, P = cache
    D = Q.shape[-1]

    def jac(X, n):
        u = X / n
        return (np.eye(D, dtype=X.dtype) - u[..., None] * u[..., None, :]) / n[..., None]

    O = P @ V
    dS = P * (dO @ V.swapaxes(-1, -2) - (dO * O).sum(-1, keepdims=True))
    dq = t * (dS @ (K / nk))
    dk = t * (dS.swapaxes(-1, -2) @ (Q / nq))
    dt = (dq * (Q / nq)).sum() / t
    dQ, dK = (jac(Q, nq) @ dq[..., None])[..., 0], (jac(K, nk) @ dk[..., None])[..., 0]
    return dQ, dK, P.swapaxes(-1, -2) @ dO, dt


@right("relative-positions")
def relative_positions_by_addat(dS, cache):
    Q, A = cache
    Tq, Tk = dS.shape[-2:]
    c = len(A) // 2
    r = np.clip(np.arange(Tk) - np.arange(Tq)[:, None], -c, c) + c
    pair = np.einsum("nij,nid->ijd", dS.reshape(-1, Tq, Tk), Q.reshape(-1, Tq, Q.shape[-1]))
    dA = np.zeros_like(A)
    np.add.at(dA, r, pair)
    return np.einsum("...ij,ijd->...id", dS, A[r]), dA


@right("relative-positions")
def relative_positions_by_loop(dS, cache):
    Q, A = cache
    c = len(A) // 2
    dQ, dA = np.zeros_like(Q), np.zeros_like(A)
    for i in range(dS.shape[-2]):
        for j in range(dS.shape[-1]):
            r = min(max(j - i, -c), c) + c
            g = dS[..., i, j, None]
            dQ[..., i, :] += g * A[r]
            dA[r] += (g * Q[..., i, :]).reshape(-1, A.shape[1]).sum(0)
    return dQ, dA


@right("relative-positions")
def relative_positions_by_onehot(dS, cache):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    hot = (np.clip(j - i, -c, c)[..., None] == np.arange(-c, c + 1)).astype(dS.dtype)
    G = np.einsum("...ij,ijr->...ir", dS, hot)
    return G @ A, np.einsum("...ir,...id->...rd", G, Q).reshape(-1, *A.shape).sum(0)


@right("residual-norm-block-backward")
def residual_norm_block_backward_by_loop(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dX, dW = np.zeros_like(X), np.zeros_like(W)
    for i in np.ndindex(X.shape[:-1]):
        g = dY[i] * gain
        r = rstd[i] * (g - g.mean() - Xhat[i] * (g * Xhat[i]).mean())
        a = r * (H[i] > 0)
        dX[i] = r + W @ a
        dW += np.outer(X[i], a)
    return dX, dW


@right("residual-norm-block-backward")
def residual_norm_block_backward_by_reshape(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    D = len(gain)
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA = np.where(H > 0, dR, 0)
    return dR + dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


@right("residual-norm-block-backward")
def residual_norm_block_backward_by_tensordot(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    D = X.shape[-1]
    g = gain * dY
    dR = rstd / D * (D * g - g.sum(-1)[..., None] - Xhat
                     * np.einsum("...d,...d->...", g, Xhat)[..., None])
    dA = dR * (X @ W > 0)
    ax = tuple(range(X.ndim - 1))
    return np.einsum("...j,ij->...i", dA, W) + dR, np.tensordot(X, dA, axes=(ax, ax))


@right("rms-norm-backward")
def rms_norm_backward_by_einsum(dY, cache):
    X, gain, rstd = cache
    D = len(gain)
    dot = np.einsum("...d,...d,d->...", dY, X, gain)[..., None]
    dX = dY * gain * rstd - X * rstd ** 3 * dot / D
    return dX, np.einsum("nd,nd,nk->d", dY.reshape(-1, D), X.reshape(-1, D), rstd.reshape(-1, 1))


@right("rms-norm-backward")
def rms_norm_backward_by_loop(dY, cache):
    X, gain, rstd = cache
    dX, dg = np.zeros_like(X), np.zeros_like(gain)
    for i in np.ndindex(X.shape[:-1]):
        r = rstd[i][0]
        dg += dY[i] * X[i] * r
        g = dY[i] * gain
        dX[i] = r * g - r ** 3 * X[i] * (g @ X[i]) / len(gain)
    return dX, dg


@right("rms-norm-backward")
def rms_norm_backward_by_means(dY, cache):
    X, gain, rstd = cache
    xh, g = X * rstd, dY * gain
    dX = rstd * (g - xh * (g * xh).mean(-1, keepdims=True))
    return dX, (dY * xh).reshape(-1, len(gain)).sum(0)


@right("rotary-backward")
def rotary_backward_by_complex(dY, cache):
    z = (dY[..., ::2] + 1j * dY[..., 1::2]) * (cache.cos - 1j * cache.sin)
    return np.stack([z.real, z.imag], -1).reshape(dY.shape).astype(dY.dtype)


@right("rotary-backward")
def rotary_backward_by_matrix(dY, cache):
    c, s = cache
    R = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    pairs = dY.reshape(*dY.shape[:-1], -1, 2)
    return np.einsum("tiab,...tia->...tib", R, pairs).reshape(dY.shape)


@right("rotary-backward")
def rotary_backward_by_strides(dY, cache):
    cos, sin = cache
    dX = np.empty_like(dY)
    dX[..., 0::2] = dY[..., 0::2] * cos + dY[..., 1::2] * sin
    dX[..., 1::2] = dY[..., 1::2] * cos - dY[..., 0::2] * sin
    return dX


@right("self-attention-backward")
def self_attention_backward_by_einsum(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    H, D = Q.shape[1], Q.shape[3]
    heads = lambda W: W.reshape(-1, H, D)
    wo = Wo.reshape(H, D, -1)
    dO = np.einsum("bty,hdy->bhtd", dY, wo)
    dWo = np.einsum("bhtd,bty->hdy", O, dY).reshape(Wo.shape)
    dP = np.einsum("bhid,bhjd->bhij", dO, V)
    dS = P * (dP - np.einsum("bhid,bhid->bhi", dO, O)[..., None]) * D ** -0.5
    gs = (np.einsum("bhij,bhjd->bhid", dS, K), np.einsum("bhij,bhid->bhjd", dS, Q),
          np.einsum("bhij,bhid->bhjd", P, dO))
    dX = sum(np.einsum("bhtd,xhd->btx", g, heads(W)) for g, W in zip(gs, (Wq, Wk, Wv)))
    return (dX, *(np.einsum("btx,bhtd->xhd", X, g).reshape(Wq.shape) for g in gs), dWo)


@right("self-attention-backward")
def self_attention_backward_by_loop(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    dX = np.zeros_like(X)
    dWq, dWk, dWv, dWo = (np.zeros_like(W) for W in (Wq, Wk, Wv, Wo))
    for b in range(B):
        for h in range(H):
            c = slice(h * D, (h + 1) * D)
            dWo[c] += O[b, h].T @ dY[b]
            d = dY[b] @ Wo[c].T
            dp = d @ V[b, h].T
            p = P[b, h]
            ds = p * (dp - (p * dp).sum(1, keepdims=True)) / math.sqrt(D)
            for W, dW, g in ((Wq, dWq, ds @ K[b, h]), (Wk, dWk, ds.T @ Q[b, h]),
                             (Wv, dWv, p.T @ d)):
                dW[:, c] += X[b].T @ g
                dX[b] += g @ W[:, c].T
    return dX, dWq, dWk, dWv, dWo


@right("self-attention-backward")
def self_attention_backward_by_matmul(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    split = lambda Z: Z.reshape(B, T, H, D).swapaxes(1, 2)
    merge = lambda Z: Z.swapaxes(1, 2).reshape(B, T, H * D)
    t = lambda Z: Z.swapaxes(-1, -2)
    dO = split(dY @ Wo.T)
    dP = dO @ t(V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(D)
    q, k, v = merge(dS @ K), merge(t(dS) @ Q), merge(t(P) @ dO)
    w = lambda Z: (t(X) @ Z).sum(0)
    return q @ Wq.T + k @ Wk.T + v @ Wv.T, w(q), w(k), w(v), (t(merge(O)) @ dY).sum(0)


@right("softmax-backward")
def softmax_backward_by_einsum(dP, P):
    return P * (dP - np.einsum("...t,...t->...", dP, P)[..., None])


@right("softmax-backward")
def softmax_backward_by_jacobian(dP, P):
    J = P[..., None] * np.eye(P.shape[-1], dtype=P.dtype) - P[..., None] * P[..., None, :]
    return (J @ dP[..., None])[..., 0]


@right("softmax-backward")
def softmax_backward_by_plain(dP, P):
    g = P * dP
    return g - P * g.sum(axis=-1, keepdims=True)


@right("softmax-jacobian")
def softmax_jacobian_by_einsum(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    p = E / E.sum(-1, keepdims=True)
    return np.einsum("...j,jk->...jk", p,
                     np.eye(S.shape[-1], dtype=S.dtype)) - np.einsum("...j,...k->...jk", p, p)


@right("softmax-jacobian")
def softmax_jacobian_by_loop(S):
    T = S.shape[-1]
    E = np.exp(S)
    p = E / E.sum(-1, keepdims=True)
    J = np.zeros(S.shape + (T,), dtype=S.dtype)
    for j in range(T):
        for k in range(T):
            J[..., j, k] = p[..., j] * (1 - p[..., j]) if j == k else -p[..., j] * p[..., k]
    return J


@right("softmax-jacobian")
def softmax_jacobian_by_outer(S):
    E = np.exp(S)
    p = E / E.sum(-1, keepdims=True)
    return p[..., None] * (np.eye(S.shape[-1], dtype=S.dtype) - p[..., None, :])


@right("softmax")
def softmax_by_logspace(S):
    top = np.amax(S, -1)[..., None]
    lse = top + np.log(np.einsum("...t->...", np.exp(S - top)))[..., None]
    return np.exp(S - lse)


@right("softmax")
def softmax_by_loop(S):
    P = np.empty_like(S)
    for idx in np.ndindex(S.shape[:-1]):
        e = np.exp(S[idx] - max(S[idx]))
        P[idx] = e / sum(e)
    return P


@right("softmax")
def softmax_by_matmul(S):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


@right("split-heads")
def split_heads_by_loop(X, num_heads):
    *lead, T, W = X.shape
    D = W // num_heads
    Y = np.empty((*lead, num_heads, T, D), dtype=X.dtype)
    for h in range(num_heads):
        Y[..., h, :, :] = X[..., :, h * D:(h + 1) * D]
    return Y


@right("split-heads")
def split_heads_by_reshape(X, num_heads):
    return X.reshape(*X.shape[:-1], num_heads, -1).swapaxes(-3, -2)


@right("split-heads")
def split_heads_by_stack(X, num_heads):
    return np.stack(np.split(X, num_heads, axis=-1), axis=-3)


@right("tiled-backward")
def tiled_backward_by_einsum(dO, cache):
    Q, K, V, mask, O, L = cache
    S = np.einsum("...id,...jd->...ij", Q, K) / math.sqrt(Q.shape[-1])
    P = np.exp(S - np.where(np.isneginf(L), np.inf, L)[..., None])
    if mask is not None:
        P = P * mask
    dS = P * np.einsum("...id,...ijd->...ij", dO, V[..., None, :, :] - O[..., :, None, :])
    return np.einsum("...ij,...id->...jd", dS,
                     Q) / math.sqrt(Q.shape[-1]), np.einsum("...ij,...id->...jd", P, dO)


@right("tiled-backward")
def tiled_backward_by_loop(dO, cache):
    Q, K, V, mask, O, L = cache
    dK, dV = np.zeros_like(K), np.zeros_like(V)
    r = math.sqrt(Q.shape[-1])
    for b in np.ndindex(Q.shape[:-2]):
        for i in range(Q.shape[-2]):
            if L[b][i] == -np.inf:
                continue
            p = np.exp(K[b] @ Q[b][i] / r - L[b][i])
            if mask is not None:
                p = np.where(mask[b][i], p, 0)
            ds = p * (V[b] @ dO[b][i] - O[b][i] @ dO[b][i])
            dK[b] += np.outer(ds, Q[b][i]) / r
            dV[b] += np.outer(p, dO[b][i])
    return dK, dV


@right("tiled-backward")
def tiled_backward_by_matmul(dO, cache):
    Q, K, V, mask, O, L = cache
    t = lambda Z: Z.swapaxes(-1, -2)
    r = 1 / math.sqrt(Q.shape[-1])
    S = Q @ t(K) * r
    ok = np.broadcast_to(~np.isneginf(L)[..., None], S.shape)
    if mask is not None:
        ok = ok & mask
    P = np.where(ok, np.exp(np.where(ok, S - np.where(np.isneginf(L), 0, L)[..., None], 0)), 0)
    dS = P * (dO @ t(V) - (dO * O).sum(-1, keepdims=True)) * r
    return t(dS) @ Q, t(P) @ dO


# ---- two more for each of the others ----


@right("query-gradient-covariance")
def second_moment_less_mean(q, K):
    S = q @ K.T
    p = np.exp(S - S.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    D = K - K[:1]  # a covariance does not mind where the origin is
    o = np.einsum("...t,td->...d", p, D)
    return np.einsum("...t,ta,tb->...ab", p, D, D) - o[..., :, None] * o[..., None, :]


@right("query-gradient-covariance")
def query_by_query(q, K):
    J = np.zeros((*q.shape, q.shape[-1]), q.dtype)
    for at in np.ndindex(q.shape[:-1]):
        s = K @ q[at]
        p = np.exp(s - s.max())
        p /= p.sum()
        dP = np.diag(p) - np.outer(p, p)
        J[at] = K.T @ (dP @ K)
    return J


@right("parzen-classification")
def by_classes(Q, X, y, sigma):
    plus, minus = (np.array([[math.exp(-sum((a - b) ** 2 for a, b in zip(q, x)) / (2 * sigma**2))
                              for x in X[y == sign]] for q in Q]).sum(-1) for sign in (1, -1))
    return (plus
            - minus).astype(Q.dtype) / len(X), ((plus - minus) / (plus + minus)).astype(Q.dtype)


@right("parzen-classification")
def by_a_multiplied_out_square(Q, X, y, sigma):
    d = Q[:, None, :] - X[None, :, :]
    k = np.exp(-0.5 * np.einsum("mnd,mnd->mn", d, d) / sigma**2)
    return np.mean(k * y, axis=1), np.average(np.broadcast_to(y, k.shape), axis=1, weights=k)


@right("unit-sphere-distance")
def by_differences(Q, K, sigma):
    q, k = (X / np.linalg.norm(X, axis=-1, keepdims=True) for X in (Q, K))
    D = ((q[..., :, None, :] - k[..., None, :, :]) ** 2).sum(-1)
    E = np.exp(-(D - D.min(-1, keepdims=True)) / (2 * sigma**2))
    return D, E / E.sum(-1, keepdims=True)


@right("unit-sphere-distance")
def with_einsum_of_directions(Q, K, sigma):
    q = Q * np.einsum("...d,...d->...", Q, Q)[..., None] ** -0.5
    k = K * np.einsum("...d,...d->...", K, K)[..., None] ** -0.5
    D = 2 - 2 * np.einsum("...id,...jd->...ij", q, k)
    s = D / (-2 * sigma**2)
    s -= s.max(axis=-1, keepdims=True)
    np.exp(s, out=s)
    s /= s.sum(axis=-1, keepdims=True)
    return D, s


@right("nw-leave-one-out")
def point_by_point(dL, cache):
    x, y, w, P, f = cache
    n, dw = len(x), 0.0
    for i in range(n):
        for j in range(n):
            slope = P[i, j] * (y[j] - f[i])
            dw -= 2 * (f[i] - y[i]) / n * slope * w * (x[i] - x[j]) ** 2
    return dL * dw


@right("nw-leave-one-out")
def one_einsum(dL, cache):
    x, y, w, P, f = cache
    square = np.subtract.outer(x, x) ** 2
    mean = np.einsum("ij,ij->i", P, square)
    slope = -w * (np.einsum("ij,ij,j->i", P, square, y) - mean * (P @ y))
    return dL * np.mean(2 * (f - y) * slope)


@right("valid-lens-mask")
def row_by_row(valid_lens, Tq, Tk):
    mask = np.zeros((len(valid_lens), Tq, Tk), bool)
    for b in range(len(valid_lens)):
        for i in range(Tq):
            mask[b, i, : valid_lens[b] if valid_lens.ndim == 1 else valid_lens[b, i]] = True
    return mask


@right("valid-lens-mask")
def repeated(valid_lens, Tq, Tk):
    lens = valid_lens if valid_lens.ndim == 2 else np.repeat(valid_lens[:, None], Tq, axis=1)
    return lens[:, :, None] > np.arange(Tk)[None, None, :]


@right("attention-cost")
def head_by_head(H, Tq, Tk, Dk, Dv):
    dk, dv = Dk // H, Dv // H
    work = sum(Tq * Tk * dk + Tq * Tk * dv for _ in range(H))
    moved = sum((Tq + Tk) * dk + Tq * Tk + 2 * Tq * Tk + Tq * Tk + Tk * dv + Tq * dv
                for _ in range(H))
    return work, moved


@right("attention-cost")
def step_by_step(H, Tq, Tk, Dk, Dv):
    table, queries, keys, values, output = H * Tq * Tk, Tq * Dk, Tk * Dk, Tk * Dv, Tq * Dv
    scores, softmax, average = queries + keys + table, 2 * table, table + values + output
    return table * (Dk // H) + table * (Dv // H), scores + softmax + average


@right("dropout-backward")
def with_where(dO, cache):
    P, V, keep, rate = cache
    scale = P.dtype.type(1 / (1 - rate))
    dropped = np.where(keep, P * scale, 0)
    return (np.where(keep, np.einsum("...qv,...kv->...qk", dO, V) * scale, 0),
            np.einsum("...qk,...qv->...kv", dropped, dO))


@right("dropout-backward")
def kept_entry_by_kept_entry(dO, cache):
    P, V, keep, rate = cache
    dP, dV = np.zeros_like(P), np.zeros_like(V)
    for *lead, q, k in zip(*np.nonzero(np.broadcast_to(keep, P.shape))):
        row, key = (*lead, q), (*lead, k)
        dP[(*row, k)] = dO[row] @ V[key] / (1 - rate)
        dV[key] += P[(*row, k)] / (1 - rate) * dO[row]
    return dP, dV


@right("key-norm-attention-backward")
def differences_of_query_and_key(dO, cache):
    Q, K, V, P = cache
    dP = np.einsum("...qv,...kv->...qk", dO, V)
    dS = P * dP - P * np.einsum("...qk,...qk->...q", P, dP)[..., None]
    away = Q[..., :, None, :] - K[..., None, :, :]
    return (np.einsum("...qk,...kd->...qd", dS, K), np.einsum("...qk,...qkd->...kd", dS, away),
            np.einsum("...qk,...qv->...kv", P, dO))


@right("key-norm-attention-backward")
def a_query_at_a_time(dO, cache):
    Q, K, V, P = cache
    dQ, dK, dV = (np.zeros_like(X) for X in (Q, K, V))
    for i in range(Q.shape[-2]):
        p, d = P[..., i, :], dO[..., i, :]
        dp = (V @ d[..., None])[..., 0]
        ds = p * (dp - (p * dp).sum(-1, keepdims=True))
        dQ[..., i, :] = (ds[..., None, :] @ K)[..., 0, :]
        dK += ds[..., None] * (Q[..., i, None, :] - K)
        dV += p[..., None] * d[..., None, :]
    return dQ, dK, dV


@right("additive-to-dot")
def sequence_by_sequence(state, memory, valid_lens):
    context = np.zeros((len(memory), memory.shape[2]), memory.dtype)
    P = np.zeros(memory.shape[:2], memory.dtype)
    for b, n in enumerate(valid_lens):
        if n:
            s = memory[b, :n] @ state[b] / math.sqrt(state.shape[1])
            e = np.exp(s - s.max())
            P[b, :n] = e / e.sum()
            context[b] = P[b] @ memory[b]
    return context, P


@right("additive-to-dot")
def with_infinite_scores(state, memory, valid_lens):
    T, D = memory.shape[1:]
    S = (memory @ state[:, :, None])[:, :, 0] / math.sqrt(D)
    S[np.arange(T)[None] >= np.asarray(valid_lens)[:, None]] = -np.inf
    top = S.max(axis=1, keepdims=True)
    P = np.exp(S - np.where(np.isinf(top), 0, top))
    total = P.sum(axis=1, keepdims=True)
    P = np.divide(P, total, out=np.zeros_like(P), where=total > 0)
    return (P[:, None] @ memory)[:, 0], P


@right("per-head-weights")
def a_loop_over_heads(X, Wq, Wk, H, mask):
    D, heads = Wq.shape[1] // H, []
    for h in range(H):
        Q, K = X @ Wq[:, h * D : (h + 1) * D], X @ Wk[:, h * D : (h + 1) * D]
        S = Q @ K.swapaxes(-1, -2) / math.sqrt(D)
        S = S if mask is None else np.where(mask[:, 0] if np.ndim(mask) == 4 else mask, S, -np.inf)
        top = S.max(-1, keepdims=True)
        E = np.exp(S - np.where(np.isinf(top), 0, top))
        Z = E.sum(-1, keepdims=True)
        heads.append(E / np.where(Z == 0, 1, Z))
    return np.stack(heads, axis=1)


@right("per-head-weights")
def weights_as_three_axes(X, Wq, Wk, H, mask):
    q, k = (np.einsum("bti,ihd->bhtd", X, W.reshape(W.shape[0], H, -1)) for W in (Wq, Wk))
    S = np.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1])
    may = np.broadcast_to(True if mask is None else mask, S.shape)
    top = np.max(S, axis=-1, keepdims=True, where=may, initial=-np.inf)
    E = np.where(may, np.exp(np.where(may, S - top, -np.inf)), 0)
    return E / np.maximum(E.sum(-1, keepdims=True), np.finfo(E.dtype).tiny)


@right("sinusoidal-positions")
def filled_by_columns(X, offset):
    T, D = X.shape[-2:]
    P = np.zeros((T, D))
    t = np.arange(offset, offset + T)
    for c in range(D):
        turn = t / 10000 ** (2 * (c // 2) / D)
        P[:, c] = np.cos(turn) if c % 2 else np.sin(turn)
    return (X + P).astype(X.dtype)


@right("sinusoidal-positions")
def interleaved(X, offset):
    T, D = X.shape[-2:]
    turn = np.outer(np.arange(T) + offset, 10000 ** (-np.arange(0, D, 2) / D))
    P = np.stack([np.sin(turn), np.cos(turn)], axis=-1).reshape(T, -1)[:, :D]
    return X + P.astype(X.dtype)


@right("learned-positions-backward")
def added_at_positions(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    where = np.broadcast_to(np.arange(dY.shape[-2]) + offset, dY.shape[:-1])
    np.add.at(dE, where, dY)
    return dE


@right("learned-positions-backward")
def position_by_position(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    for t in range(dY.shape[-2]):
        dE[offset + t] += dY[..., t, :].reshape(-1, E.shape[1]).sum(axis=0)
    return dE


@right("kv-cache")
def with_einsum_and_a_cache(x, K, V, Wq, Wk, Wv):
    q, k, v = (np.einsum("...ti,io->...to", x, W) for W in (Wq, Wk, Wv))
    K, V = np.append(K, k, axis=-2), np.append(V, v, axis=-2)
    s = np.einsum("...td,...kd->...tk", q, K) / math.sqrt(q.shape[-1])
    p = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return np.einsum("...tk,...kv->...tv", p, V) / p.sum(-1)[..., None], K, V


@right("kv-cache")
def old_and_new_apart(x, K, V, Wq, Wk, Wv):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    old, new = q @ K.swapaxes(-1, -2), (q * k).sum(-1, keepdims=True)
    scale = 1 / math.sqrt(q.shape[-1])
    top = np.maximum(np.max(old, -1, keepdims=True, initial=-np.inf), new)
    e, f = np.exp((old - top) * scale), np.exp((new - top) * scale)
    O = (e @ V + f * v) / (e.sum(-1, keepdims=True) + f)
    return O, np.concatenate((K, k), -2), np.concatenate((V, v), -2)


@right("cross-entropy-backward")
def token_by_token_of_a_text(dloss, cache):
    P, targets, pad = cache
    d, counted = np.zeros_like(P), targets != pad
    for at in np.ndindex(targets.shape):
        if counted[at]:
            d[at] = P[at]
            d[at][targets[at]] -= 1
    return dloss * d / max(1, int(np.count_nonzero(counted)))


@right("cross-entropy-backward")
def with_an_identity(dloss, cache):
    P, targets, pad = cache
    keep = (targets != pad).astype(P.dtype)
    one = np.eye(P.shape[-1], dtype=P.dtype)[np.where(targets == pad, 0, targets)]
    return (P - one) * (dloss * keep / np.maximum(keep.sum(), 1))[..., None]


@right("causal-jacobian")
def token_after_token(X):
    T, D = X.shape
    r, J = 1 / math.sqrt(D), np.zeros((T, T, D, D), X.dtype)
    for i in range(T):
        past = X[: i + 1]
        s = past @ X[i] * r
        p = np.exp(s - s.max())
        p /= p.sum()
        away = past - p @ past
        for m in range(i + 1):
            J[i, m] = p[m] * (np.eye(D) + r * np.outer(away[m], X[i]))
        J[i, i] += r * (away.T * p) @ past
    return J


@right("causal-jacobian")
def by_the_jacobian_of_the_weights(X):
    T, D = X.shape
    S = np.where(np.tril(np.ones((T, T), bool)), X @ X.T / math.sqrt(D), -np.inf)
    P = np.exp(S - S.max(1, keepdims=True))
    P = P / P.sum(1, keepdims=True)
    dP = P[:, :, None] * (np.eye(T, dtype=X.dtype) - P[:, None, :])      # ∂p_ij/∂s_ik
    dS = np.zeros((T, T, T, D), X.dtype)                                # ∂s_ik/∂x_m
    for i in range(T):
        for k in range(T):
            dS[i, k, k] += X[i]
            dS[i, k, i] += X[k]
    dS /= X.dtype.type(math.sqrt(D))
    return (np.einsum("im,ab->imab", P, np.eye(D, dtype=X.dtype))
            + np.einsum("ja,ijk,ikmb->imab", X, dP, dS))


@right("mean-pooling-backward")
def patch_by_patch(dY, cache):
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    n = Z.shape[1] - 1
    for i in range(1, n + 1):
        dZ[:, i] = dY @ W.T / n
    return dZ, np.einsum("bd,bc->dc", m, dY), np.einsum("bc->c", dY)


@right("mean-pooling-backward")
def concatenated(dY, cache):
    Z, W, m = cache
    share = np.einsum("bc,dc->bd", dY, W)[:, None] / (Z.shape[1] - 1)
    rest = np.repeat(share, Z.shape[1] - 1, axis=1)
    dW = (Z[:, 1:].mean(axis=1)[:, :, None] * dY[:, None, :]).sum(axis=0)
    return np.concatenate([np.zeros_like(Z[:, :1]), rest], axis=1), dW, np.ones(len(dY),
                                                                                dY.dtype) @ dY


@right("adam-step")
def corrected_in_the_step(p, g, m, v, steps, lr, beta1, beta2, eps):
    t = 1 + steps
    m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g**2 - v)
    root = math.sqrt(1 - beta2**t)
    return p - lr * root / (1 - beta1**t) * m / (np.sqrt(v) + eps * root), m, v


@right("adam-step")
def number_by_number_of_adam(p, g, m, v, steps, lr, beta1, beta2, eps):
    p, m, v = p.copy(), m.copy(), v.copy()
    for at in np.ndindex(p.shape):
        m[at] = beta1 * m[at] + (1 - beta1) * g[at]
        v[at] = beta2 * v[at] + (1 - beta2) * g[at] * g[at]
        mean, square = m[at] / (1 - beta1 ** (steps + 1)), v[at] / (1 - beta2 ** (steps + 1))
        p[at] -= lr * mean / (math.sqrt(square) + eps)
    return p, m, v


@right("merge-partials")
def by_logaddexp_of_partials(O1, L1, O2, L2):
    L = np.logaddexp(L1, L2)
    shift = np.where(np.isneginf(L), 0, L)
    return np.exp(L1 - shift)[..., None] * O1 + np.exp(L2 - shift)[..., None] * O2, L


@right("merge-partials")
def query_by_query_of_partials(O1, L1, O2, L2):
    O, L = np.zeros_like(O1), np.full_like(L1, -np.inf)
    for at in np.ndindex(L1.shape):
        one, two = float(L1[at]), float(L2[at])
        top = max(one, two)
        if top > -math.inf:
            a, b = math.exp(one - top), math.exp(two - top)
            O[at], L[at] = (a * O1[at] + b * O2[at]) / (a + b), top + math.log(a + b)
    return O, L


@right("online-softmax")
def with_one_more_score(m, z, S):
    new = np.max(np.concatenate([m[..., None], S], axis=-1), axis=-1)
    safe = np.where(new == -np.inf, 0, new)
    return new, np.sum(np.exp(S - safe[..., None]), axis=-1) + z * np.exp(m - safe)


@right("online-softmax")
def score_after_score(m, z, S):
    m, z = m.copy(), z.copy()
    for j in range(S.shape[-1]):
        s = S[..., j]
        top = np.maximum(m, s)
        safe = np.where(np.isneginf(top), 0, top)
        z = z * np.exp(m - safe) + np.exp(s - safe)
        m = top
    return m, z


@right("co-attention-backward")
def co_attention_with_einsum(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    da, db = dO
    dPa, dPb = np.einsum("...ac,...bc->...ab", da, Vb), np.einsum("...bc,...ac->...ba", db, Va)
    dS = Pa * (dPa - np.einsum("...ab,...ab->...a", Pa, dPa)[..., None])
    dS = dS + np.swapaxes(Pb * (dPb - np.einsum("...ba,...ba->...b", Pb, dPb)[..., None]), -1, -2)
    dS = dS / math.sqrt(A.shape[-1])
    return (np.einsum("...ab,...bd->...ad", dS, B), np.einsum("...ab,...ad->...bd", dS, A),
            np.einsum("...ba,...bc->...ac", Pb, db), np.einsum("...ab,...ac->...bc", Pa, da))


@right("co-attention-backward")
def one_side_after_the_other(dO, cache):
    def back(d, V, P):
        delta = (d * (P @ V)).sum(-1, keepdims=True)
        return P * (d @ np.swapaxes(V, -1, -2) - delta), np.swapaxes(P, -1, -2) @ d

    A, B, Va, Vb, Pa, Pb = cache
    dSa, dVb = back(dO[0], Vb, Pa)
    dSb, dVa = back(dO[1], Va, Pb)
    r = 1 / math.sqrt(A.shape[-1])
    dA = r * (dSa @ B + np.swapaxes(dSb, -1, -2) @ B)
    dB = r * (np.swapaxes(dSa, -1, -2) @ A + dSb @ A)
    return dA, dB, dVa, dVb


@right("random-heatmap")
def entropy_from_log_softmax(S):
    C = S - S.max(-1, keepdims=True)
    logs = C - np.log(np.exp(C).sum(-1, keepdims=True))
    P = np.exp(logs)
    return P, np.exp(-np.einsum("...ij,...ij->...i", P, logs))


@right("random-heatmap")
def as_a_product_of_powers(S):
    P = np.exp(S)
    P /= P.sum(axis=-1, keepdims=True)
    return P, 1 / np.prod(P**P, axis=-1)


@right("nw-many-parameters")
def by_the_prediction(df, cache):
    x, k, y, w, b, P = cache
    f = P @ y
    dS = df[:, None] * P * (y - f[:, None])
    return -np.einsum("ij,ij->j", dS, np.subtract.outer(x, k) ** 2) * w, dS.sum(0), P.T @ df


@right("nw-many-parameters")
def key_by_key(df, cache):
    x, k, y, w, b, P = cache
    f, dw, db, dy = P @ y, np.zeros_like(w), np.zeros_like(b), np.zeros_like(y)
    for j in range(len(k)):
        slope = df * P[:, j] * (y[j] - f)
        dw[j] = -w[j] * np.dot(slope, (x - k[j]) ** 2)
        db[j], dy[j] = slope.sum(), np.dot(df, P[:, j])
    return dw, db, dy


@right("changed-keys")
def two_scores_with_einsum(Q, K, Wq, Wk, w, W, valid_lens):
    hidden = np.tanh(np.einsum("bqd,dh->bqh", Q, Wq)[:, :, None]
                     + np.einsum("bkd,dh->bkh", K, Wk)[:, None])
    pad = np.arange(K.shape[1]) >= np.asarray(valid_lens)[:, None, None]
    found = []
    for S in (np.einsum("bqkh,h->bqk", hidden, w),
              np.einsum("bqd,de,bke->bqk", Q, W, K) / math.sqrt(K.shape[-1])):
        S = np.where(pad, -np.inf, S)
        top = S.max(-1, keepdims=True)
        E = np.exp(S - np.where(np.isfinite(top), top, 0))
        Z = E.sum(-1, keepdims=True)
        found.append(np.divide(E, Z, out=np.zeros_like(E), where=Z > 0))
    return tuple(found)


@right("changed-keys")
def sequence_by_sequence_of_keys(Q, K, Wq, Wk, w, W, valid_lens):
    Pa, Pd = (np.zeros((*Q.shape[:2], K.shape[1]), Q.dtype) for _ in range(2))
    for b, n in enumerate(valid_lens):
        for i in range(Q.shape[1] if n else 0):
            q, k = Q[b, i], K[b, :n]
            for P, s in ((Pa, np.tanh(q @ Wq + k @ Wk) @ w),
                         (Pd, k @ (q @ W) / math.sqrt(k.shape[1]))):
                e = np.exp(s - s.max())
                P[b, i, :n] = e / e.sum()
    return Pa, Pd


@right("vector-sum-score")
def sums_with_ones(dO, cache):
    Q, K, V, P = cache
    dP = np.einsum("...qv,...kv->...qk", dO, V)
    dS = P * (dP - np.einsum("...qk,...qk->...q", P, dP)[..., None])
    return (np.einsum("...qk,...qd->...qd", dS, np.ones_like(Q)),
            np.einsum("...qk,...kd->...kd", dS, np.ones_like(K)),
            np.einsum("...qk,...qv->...kv", P, dO))


@right("vector-sum-score")
def the_query_cancels(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * dP - P * (P * dP).sum(-1)[..., None]
    dK = np.tile(dS.sum(-2)[..., None], K.shape[-1])
    return np.zeros_like(Q), dK, P.swapaxes(-1, -2) @ dO
