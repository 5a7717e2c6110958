"""A third set, written from the statements alone by somebody who had seen no catalogue.

The first half was looked at and mended, then the second one was measured. What stands beside each
answer is as in wrong_answers_blind.py; below it, what its author did wrong.
"""

import math

import numpy as np
from wrong_answers_blind import Answers

third = Answers()


@third("absorbed-scores", "The latent vectors of the first")
def firstsequence(Q, W, C):
    # uses the latent vectors of the first sequence for the whole batch
    D = Q.shape[-1]
    return (Q @ W.swapaxes(-1, -2)) @ C[0].T / math.sqrt(D)


@third("absorbed-scores", "The scale is 1/√Dc, by the width of the")
def latentwidth(Q, W, C):
    # scales by the square root of the latent width Dc
    A = np.einsum("bhid,hcd->bhic", Q, W)
    return np.einsum("bhic,bjc->bhij", A, C) / math.sqrt(C.shape[-1])


@third("absorbed-scores", ".W. is reshaped where it must be transposed")
def reshape(Q, W, C):
    # reshapes W to (H, D, Dc) where it should be transposed
    H, Dc, D = W.shape
    absorbed = Q @ W.reshape(H, D, Dc)
    return absorbed @ C[:, None].swapaxes(-1, -2) / math.sqrt(D)


@third("adam-step", "m̂ and v̂ were returned as the means")
def correctedreturned(p, g, m, v, steps, lr, beta1, beta2, eps):
    # returns the corrected means m̂ and v̂ as the new state
    t = steps + 1
    m_hat = (beta1 * m + (1 - beta1) * g) / (1 - beta1 ** t)
    v_hat = (beta2 * v + (1 - beta2) * g ** 2) / (1 - beta2 ** t)
    p_new = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p_new, m_hat, v_hat


@third("adam-step", "")
def inplace(p, g, m, v, steps, lr, beta1, beta2, eps):
    # updates the caller's arrays m and v in place
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    t = steps + 1
    rate = lr / (1 - beta1 ** t)
    return p - rate * m / (np.sqrt(v / (1 - beta2 ** t)) + eps), m, v


@third(
    "adam-step",
    "The first two steps count as step 1, as.*The parameters were moved by the means")
def stalemean(p, g, m, v, steps, lr, beta1, beta2, eps):
    # takes the step with the means from before the update; starts the correction at t = steps
    # instead of steps + 1 (guarded against 0)
    t = max(steps, 1)
    update = (m / (1 - beta1 ** t)) / (np.sqrt(v / (1 - beta2 ** t)) + eps)
    return p - lr * update, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g ** 2


@third("additive-attention-backward", ".1.0 - F . F. stands where .F. belongs")
def dwderiv(dO, cache):
    # puts the derivative 1 - F² into dw, where F itself belongs
    Q, K, V, Wq, Wk, w, F, P = cache
    slope = 1 - F * F
    dWq, dWk, dw = np.zeros_like(Wq), np.zeros_like(Wk), np.zeros_like(w)
    for b in range(Q.shape[0]):
        dP = dO[b] @ V[b].T
        dS = P[b] * (dP - (P[b] * dP).sum(1, keepdims=True))
        for i in range(Q.shape[1]):
            for j in range(K.shape[1]):
                a = dS[i, j] * w * slope[b, i, j]
                dWq += np.outer(Q[b, i], a)
                dWk += np.outer(K[b, j], a)
                dw += dS[i, j] * slope[b, i, j]
    return dWq, dWk, dw


@third("additive-attention-backward", "tanh was applied to F once more. F is")
def tanhtwice(dO, cache):
    # applies tanh again to F in its derivative, 1 - tanh(F)²
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ V.swapaxes(1, 2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dA = dS[..., None] * w * (1 - np.tanh(F) ** 2)
    return (np.einsum("bqd,bqkh->dh", Q, dA), np.einsum("bkd,bqkh->dh", K, dA),
            np.einsum("bqk,bqkh->h", dS, F))


@third("additive-to-dot", "The mask was applied after the softmax:")
def latemask(state, memory, valid_lens):
    # takes the softmax over all positions and zeroes the padding afterwards
    T, D = memory.shape[1:]
    s = np.einsum("bd,btd->bt", state, memory) / math.sqrt(D)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    P = P * (np.arange(T)[None, :] < valid_lens[:, None])
    return (P[:, None, :] @ memory)[:, 0], P


@third("additive-to-dot", "context holds NaN or inf where everything should be 0")
def nanempty(state, memory, valid_lens):
    # gives NaN for a sequence of length 0
    T, D = memory.shape[1:]
    s = np.einsum("bd,btd->bt", state, memory) * D ** -0.5
    s[np.arange(T)[None, :] >= np.asarray(valid_lens)[:, None]] = -np.inf
    with np.errstate(all="ignore"):
        e = np.exp(s - s.max(axis=1, keepdims=True))
        P = e / e.sum(axis=1, keepdims=True)
    return np.einsum("bt,btd->bd", P, memory), P


@third("attention-backward", ".dS. stands where .P. belongs")
def dvfromds(dO, cache):
    # the values' gradient uses dSᵀ in place of Pᵀ
    Q, K, V, P = cache
    dP = np.einsum("...id,...jd->...ij", dO, V)
    row = np.einsum("...ij,...ij->...i", P, dP)
    dS = P * (dP - row[..., None])
    dV = np.einsum("...ij,...id->...jd", dS, dO)
    c = 1.0 / math.sqrt(K.shape[-1])
    return (c * np.einsum("...ij,...jd->...id", dS, K),
            c * np.einsum("...ij,...id->...jd", dS, Q), dV)


@third("attention-backward", "dQ is what dK should be")
def swapped(dO, cache):
    # returns dK before dQ
    Q, K, V, P = cache
    s = 1 / math.sqrt(Q.shape[-1])
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) * s
    dQ = dS @ K
    dK = dS.swapaxes(-1, -2) @ Q
    return dK, dQ, dV


@third("attention-cost", "A multiplication and the addition.*The table was counted twice. It moves")
def flops(H, Tq, Tk, Dk, Dv):
    # counts a multiplication and an addition as two; S and P are written but their reading by
    # the next step is not counted
    d, e = Dk // H, Dv // H
    work = moved = 0
    for h in range(H):
        work += 2 * Tq * Tk * (d + e)
        moved += Tq * d + Tk * d + 2 * Tq * Tk + Tk * e + Tq * e
    return work, moved


@third("attention-cost", "One table of scores was counted; each")
def headsintable(H, Tq, Tk, Dk, Dv):
    # counts the tables S and P of one head only among the moved numbers
    work = Tq * Tk * (Dk + Dv)
    table = Tq * Tk
    moved = Tq * Dk + Tk * Dk + 4 * table + Tk * Dv + Tq * Dv
    return work, moved


@third("attention-dk", "The factor 1/√Dk is there twice")
def batchshared(dO, cache):
    # sums the gradient over all leading axes and gives the same sum to every sequence;
    # forgets the square root in the scale (divides by d)
    Q, K, V, P = cache
    dP = np.matmul(dO, np.swapaxes(V, -1, -2))
    dS = P * (dP - np.sum(dP * P, -1, keepdims=True))
    g = np.matmul(np.swapaxes(dS, -1, -2), Q) / Q.shape[-1]
    g = g.reshape(-1, *K.shape[-2:]).sum(axis=0)
    return np.broadcast_to(g, K.shape).copy()


@third("attention-dk", "The sum in the softmax's gradient runs")
def queryaxis(dO, cache):
    # sums P*dP over the queries instead of over the keys
    Q, K, V, P = cache
    Pt = P.swapaxes(-1, -2)
    dPt = V @ dO.swapaxes(-1, -2)
    dSt = Pt * (dPt - (Pt * dPt).sum(axis=-1, keepdims=True))
    return dSt @ Q / math.sqrt(Q.shape[-1])


@third("attention-dk", "The factor 1/√Dk is there twice")
def scaletwice(dO, cache):
    # applies the scale 1/sqrt(d) twice, once to dS and once to Q
    Q, K, V, P = cache
    scale = Q.shape[-1] ** -0.5
    Qs = Q * scale
    dP = dO @ V.swapaxes(-1, -2)
    delta = (P * dP).sum(-1, keepdims=True)
    dS = P * (dP - delta) * scale
    return dS.swapaxes(-1, -2) @ Qs


@third("attention-dq", None)
def smalldropped(dO, cache):
    # drops the gradient of keys whose weight is below 0.1
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - np.sum(P * dP, axis=-1, keepdims=True))
    dS = np.where(P < 0.1, 0.0, dS)
    return dS @ K / math.sqrt(K.shape[-1])


@third("attention-dq", "the factor .P. is missing")
def unweighted(dO, cache):
    # in the backward of softmax subtracts the sum of dP without the weights
    Q, K, V, P = cache
    dP = np.einsum("...id,...jd->...ij", dO, V)
    dS = P * (dP - dP.sum(axis=-1, keepdims=True))
    return np.einsum("...ij,...jd->...id", dS, K) / math.sqrt(Q.shape[-1])


@third("attention-dv", ".P. is divided by its sums along axis -2")
def colnorm(dO, cache):
    # normalizes the weights of each key over the queries before it distributes dO
    Q, K, V, P = cache
    total = P.sum(axis=-2, keepdims=True)
    R = P / np.where(total == 0, 1, total)
    return np.einsum("...ij,...id->...jd", R, dO)


@third("attention-dv", ".P. is replaced by 1 at the largest entry")
def firstmax(dO, cache):
    # gives the whole gradient to the key of the largest weight (hard attention)
    P = cache.P
    hard = (P == P.max(axis=-1, keepdims=True)) & (P > 0)
    return np.matmul(np.swapaxes(hard, -1, -2).astype(dO.dtype), dO)


@third("bilinear-dm", "dM is a mean over the batch. A mean, if")
def batchmean(dO, cache):
    # averages over the batch instead of summing; subtracts the sum of dP without the weights
    # in the backward of softmax
    Q, K, V, M, P = cache
    grads = []
    for q, k, v, p, d in zip(Q, K, V, P, dO):
        dp = d @ v.T
        ds = p * (dp - dp.sum(axis=1, keepdims=True))
        grads.append(q.T @ ds @ k)
    return np.mean(grads, axis=0)


@third("bilinear-dm", "")
def inplace_bilinear_dm(dO, cache):
    # writes dS into the cached weights P
    Q, K, V, M, P = cache
    dP = np.matmul(dO, np.swapaxes(V, 1, 2))
    dP = dP - np.sum(P * dP, axis=2, keepdims=True)
    P *= dP
    return np.sum(np.swapaxes(Q, 1, 2) @ P @ K, axis=0)


@third("bilinear-dm", "There is a factor 1/√Dk. This score is")
def scaled(dO, cache):
    # divides by the square root of the keys' width, which this score does not have
    Q, K, V, M, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return np.einsum("bip,bij,bjr->pr", Q, dS, K) / math.sqrt(K.shape[-1])


@third("causal-jacobian", "The path through the keys is")
def entry(X):
    # has the entries [b, a] in place of [a, b] in each block
    T, D = X.shape
    r = 1 / math.sqrt(D)
    s = np.where(np.tri(T, dtype=bool), X @ X.T * r, -np.inf)
    P = np.exp(s - s.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)
    C = X[None] - (P @ X)[:, None]
    J = np.einsum("im,ab->imab", P, np.eye(D)) + r * np.einsum("im,ima,ib->imab", P, C, X)
    own = r * np.einsum("im,ima,mb->iab", P, C, X)
    J[np.arange(T), np.arange(T)] += own
    return np.swapaxes(J, -1, -2)


@third("causal-jacobian", "The path through the keys is.*The path through the keys lacks the")
def nokeyscale(X):
    # forgets 1/sqrt(D) in the part through the key; transposes the block of the keys' part
    T, D = X.shape
    r = math.sqrt(D)
    J = np.zeros((T, T, D, D))
    for i in range(T):
        s = X[: i + 1] @ X[i] / r
        p = np.exp(s - s.max())
        p = p / p.sum()
        o = p @ X[: i + 1]
        for m in range(i + 1):
            J[i, m] = p[m] * np.eye(D) + p[m] * np.outer(X[i], X[m] - o)
        J[i, i] += (X[: i + 1].T * p) @ (X[: i + 1] - o) / r
    return J


@third("causal-jacobian", "The path through the query is missing:")
def noquery(X):
    # leaves out the path through the query on the diagonal blocks
    T, D = X.shape
    S = X @ X.T / math.sqrt(D)
    S[np.triu_indices(T, 1)] = -np.inf
    P = np.exp(S - S.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    O = P @ X
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / math.sqrt(D))
    return J


@third("causal-mask", "The queries were spread over all")
def ratio(Tq, Tk):
    # stretches the queries over the keys (position i * Tk // Tq) instead of putting them last
    where = np.arange(Tq) * Tk // Tq
    return np.arange(Tk)[None, :] <= where[:, None]


@third("causal-mask", "A query may not attend to its own")
def strict(Tq, Tk):
    # forbids a query's own position
    mask = np.zeros((Tq, Tk), dtype=bool)
    for i in range(Tq):
        mask[i, : i + Tk - Tq] = True
    return mask


@third("changed-keys", "The additive score was divided by √H;")
def additivescaled(Q, K, Wq, Wk, w, W, valid_lens):
    # divides the additive score by sqrt(H) as well
    ok = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None, :]

    def soft(S):
        S = np.where(ok, S, -np.inf)
        E = np.exp(S - S.max(-1, keepdims=True))
        return E / E.sum(-1, keepdims=True)

    F = np.tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None])
    return soft(F @ w / math.sqrt(len(w))), soft(Q @ W @ K.swapaxes(1, 2) / math.sqrt(K.shape[2]))


@third(
    "changed-keys",
    "The dot product was divided by √Dq; its.*The longest length of the batch was")
def longest(Q, K, Wq, Wk, w, W, valid_lens):
    # masks all sequences by the longest length of the batch; scales by the queries' width Dq
    n = int(max(valid_lens))
    out = []
    Sa = np.einsum("bijh,h->bij", np.tanh((Q @ Wq)[:, :, None, :] + (K @ Wk)[:, None, :, :]), w)
    Sd = np.einsum("bid,de,bje->bij", Q, W, K) / math.sqrt(Q.shape[-1])
    for S in (Sa, Sd):
        P = np.zeros_like(S)
        E = np.exp(S[..., :n] - S[..., :n].max(-1, keepdims=True))
        P[..., :n] = E / E.sum(-1, keepdims=True)
        out.append(P)
    return tuple(out)


@third("co-attention-backward", "The two terms of dS were averaged. Two")
def halved(dO, cache):
    # averages the two gradients of the common table instead of adding them
    dOa, dOb = dO
    A, B, Va, Vb, Pa, Pb = cache
    t = lambda Z: np.swapaxes(Z, -1, -2)

    def back(d, V, P):
        dP = d @ t(V)
        return P * (dP - (P * dP).sum(-1, keepdims=True))

    dS = (back(dOa, Vb, Pa) + t(back(dOb, Va, Pb))) / 2 / math.sqrt(A.shape[-1])
    return dS @ B, t(dS) @ A, t(Pb) @ dOb, t(Pa) @ dOa


@third("co-attention-backward", "For b the sum in the softmax's gradient")
def rowsboth(dO, cache):
    # takes both softmaxes backward along the rows of the common table
    dOa, dOb = dO
    A, B, Va, Vb, Pa, Pb = cache
    PbT = np.swapaxes(Pb, -1, -2)
    dPa = np.einsum("...id,...jd->...ij", dOa, Vb)
    dPb = np.einsum("...jd,...id->...ij", dOb, Va)
    dS = Pa * (dPa - (Pa * dPa).sum(-1, keepdims=True))
    dS = dS + PbT * (dPb - (PbT * dPb).sum(-1, keepdims=True))
    dS = dS / np.sqrt(A.shape[-1])
    dVa = np.einsum("...ji,...jd->...id", Pb, dOb)
    dVb = np.einsum("...ij,...id->...jd", Pa, dOa)
    return dS @ B, np.swapaxes(dS, -1, -2) @ A, dVa, dVb


@third("cross-attention-backward", "The factor 1/√D reached dQ but not dK")
def knoscale(dO, cache):
    # forgets the scale on the keys' side
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dP = np.einsum("bid,bjd->bij", dO, V)
    dS = P * (dP - np.einsum("bij,bij->bi", P, dP)[..., None])
    dQ = np.einsum("bij,bjd->bid", dS, K) / np.sqrt(Q.shape[-1])
    dK = np.einsum("bij,bid->bjd", dS, Q)
    dV = np.einsum("bij,bid->bjd", P, dO)
    w = lambda A, G: np.einsum("btx,btd->xd", A, G)
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, w(X, dQ), w(M, dK), w(M, dV)


@third("cross-attention-backward", "holds only what comes of the last index along the axis B")
def lastonly(dO, cache):
    # keeps only the last sequence's share of the weights' gradients
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    s = 1.0 / math.sqrt(Q.shape[-1])
    dX, dM = np.zeros_like(X), np.zeros_like(M)
    for b in range(X.shape[0]):
        dV = P[b].T @ dO[b]
        dP = dO[b] @ V[b].T
        dS = P[b] * (dP - (P[b] * dP).sum(1, keepdims=True)) * s
        dQ, dK = dS @ K[b], dS.T @ Q[b]
        dX[b] = dQ @ Wq.T
        dM[b] = dK @ Wk.T + dV @ Wv.T
        dWq, dWk, dWv = X[b].T @ dQ, M[b].T @ dK, M[b].T @ dV
    return dX, dM, dWq, dWk, dWv


@third("cross-attention-backward", "dM holds only what goes through the")
def onlyvalues(dO, cache):
    # the memory gets the values' gradient only
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    T = lambda Z: np.swapaxes(Z, 1, 2)
    dV = T(P) @ dO
    dP = dO @ T(V)
    dS = P * (dP - (P * dP).sum(2, keepdims=True)) / math.sqrt(K.shape[2])
    dQ, dK = dS @ K, T(dS) @ Q
    return dQ @ Wq.T, dV @ Wv.T, (T(X) @ dQ).sum(0), (T(M) @ dK).sum(0), (T(M) @ dV).sum(0)


@third("cross-entropy-backward", "The sum was divided by the number of")
def alltokens(dloss, cache):
    # divides by the number of all tokens, padding too
    P, targets, pad = cache
    counted = targets != pad
    hot = np.where(counted, targets, 0)[..., None] == np.arange(P.shape[-1])
    return dloss * (P - hot) * counted[..., None] / targets.size


@third("cross-entropy-backward", "")
def inplace_cross_entropy_backward(dloss, cache):
    # subtracts 1 in the cached P itself
    P, targets, pad = cache
    flat, t = P.reshape(-1, P.shape[-1]), np.ravel(targets)
    keep = t != pad
    rows = np.flatnonzero(keep)
    flat[rows, t[rows]] -= 1.0
    flat[~keep] = 0.0
    return (dloss / max(len(rows), 1) * flat).reshape(P.shape)


@third("cross-entropy-backward", "Each sequence was divided by its own")
def persequence(dloss, cache):
    # counts the tokens of each sequence by itself, so each sequence has its own mean, not one
    # mean over all
    P, targets, pad = cache
    counted = (targets != pad)
    d = P.copy()
    right = np.where(counted, targets, 0)[..., None]
    np.put_along_axis(d, right, np.take_along_axis(d, right, -1) - 1.0, axis=-1)
    d = d * counted[..., None]
    N = counted.sum(axis=-1, keepdims=True) if targets.ndim > 0 else counted.sum()
    return dloss * d / np.maximum(N, 1)[..., None]


@third("delta-rule", "β multiplies the value alone; it")
def betavalue(S, q, k, v, beta):
    # lets β multiply the new value only and erases the old one fully
    u = (k[..., None, :] @ S)[..., 0, :]
    N = S + k[..., :, None] * (beta * v - u)[..., None, :]
    return (q[..., None, :] @ N)[..., 0, :], N


@third("delta-rule", "The query read from the old state; it")
def oldread(S, q, k, v, beta):
    # reads from the state before the writing
    u = np.einsum("...kv,...k->...v", S, k)
    N = S + np.einsum("...k,...v->...kv", beta * k, v - u)
    return np.einsum("...kv,...k->...v", S, q), N


@third("delta-rule", "The key was divided by its length. Here")
def unitkey(S, q, k, v, beta):
    # brings the key to length 1 before it is used
    k = k / np.linalg.norm(k, axis=-1, keepdims=True)
    St = np.swapaxes(S, -1, -2)
    u = np.matmul(St, k[..., None])[..., 0]
    N = S + (beta * k)[..., None] * (v - u)[..., None, :]
    return np.matmul(np.swapaxes(N, -1, -2), q[..., None])[..., 0], N


@third("dropout-backward", "What was kept is divided by the share")
def empirical(dO, cache):
    # scales by the share that happened to be kept instead of by 1 - rate
    P, V, keep, rate = cache
    share = keep.mean()
    M = keep / (share if share > 0 else 1.0)
    dV = np.swapaxes(P * M, -1, -2) @ dO
    return (dO @ np.swapaxes(V, -1, -2)) * M, dV


@third("dropout-backward", "dV was made with the weights before")
def undropped(dO, cache):
    # the values' gradient uses the weights before dropout
    P, V, keep, rate = cache
    M = keep / (1.0 - rate)
    return M * np.einsum("...id,...jd->...ij", dO, V), np.einsum("...ij,...id->...jd", P, dO)


@third("embedding-backward", "The gradients of a token were averaged")
def countmean(dY, cache):
    # divides each row by the number of times the token occurs
    ids, E = cache
    hot = (np.asarray(ids).reshape(-1)[:, None] == np.arange(len(E))).astype(dY.dtype)
    g = hot.T @ dY.reshape(-1, E.shape[1]) * math.sqrt(E.shape[1])
    n = hot.sum(axis=0)[:, None]
    return g / np.maximum(n, 1)


@third("embedding-backward", "whole numbers only")
def inttable(dY, cache):
    # makes the table of the integers' type, so each sum is cut to a whole number
    ids, E = cache
    dE = np.zeros(E.shape, dtype=np.asarray(ids).dtype)
    g = (math.sqrt(E.shape[-1]) * dY).reshape(-1, E.shape[-1])
    for n, token in enumerate(np.ravel(ids)):
        dE[token] = dE[token] + g[n]
    return dE.astype(E.dtype)


@third("embedding-backward", "Where a token occurs several times,")
def lost(dY, cache):
    # dE[ids] += keeps only one of several occurrences of a token
    ids, E = cache
    dE = np.zeros_like(E)
    dE[ids] += math.sqrt(E.shape[1]) * dY
    return dE


@third(
    "experts-backward",
    "The factor E of the balance is missing.*dF lacks the weight p: every chosen")
def chosenasweight(dY, cache):
    # gives every chosen expert the whole gradient, without its weight; forgets the number of
    # experts E in the balance
    dy, db = dY
    X, R, F, chosen, P, A = cache
    N = len(X)
    dF = np.where(chosen[:, :, None], dy[:, None, :], 0.0)
    dP = (F @ dy[:, :, None])[:, :, 0]
    h = chosen.mean(axis=0) / chosen[0].sum()
    dA = np.tile(db * h / N, (N, 1))
    soft = lambda p, d: p * (d - (p * d).sum(axis=-1, keepdims=True))
    dG = soft(P, dP) + soft(A, dA)
    return dG @ R.T, X.T @ dG, dF


@third("experts-backward", "The balance's gradient went through the")
def chosenbalance(dY, cache):
    # takes the balance's gradient through the weights of the chosen experts P instead of A
    dy, db = dY
    X, R, F, chosen, P, A = cache
    N, E = P.shape
    dF = P[:, :, None] * dy[:, None, :]
    dP = np.einsum("ny,ney->ne", dy, F)
    dG = P * (dP - (P * dP).sum(1, keepdims=True))
    h = chosen.sum(0) / chosen.sum()
    dA = db * E / N * h
    dG = dG + P * (dA - (P @ dA)[:, None])
    return dG @ R.T, X.T @ dG, dF


@third("experts-backward", "The shares h were differentiated as if")
def sharesmove(dY, cache):
    # differentiates the shares h as if they were the mean of the soft weights A
    dy, db = dY
    X, R, F, chosen, P, A = cache
    N, E = A.shape
    k = chosen.sum(1).max()
    h = chosen.mean(0) / k
    dF = np.einsum("ne,ny->ney", P, dy)
    dP = np.einsum("ny,ney->ne", dy, F)
    dA = db * E * (h + A.mean(0)) / N * np.ones((N, 1))
    dG = P * (dP - np.sum(P * dP, 1)[:, None]) + A * (dA - np.sum(A * dA, 1)[:, None])
    return np.einsum("ne,de->nd", dG, R), np.einsum("nd,ne->de", X, dG), dF


@third("gelu-backward", "to 3 digits everywhere")
def pointfour(dY, cache):
    # takes 0.4 for 1/sqrt(2π)
    X, Phi = cache
    return dY * (Phi + X * 0.4 * np.exp(-0.5 * X * X))


@third("gelu-backward", "This is the derivative of the")
def quick(dY, cache):
    # differentiates the approximation x σ(1.702 x) instead of x Φ(x)
    x = cache.X
    s = 0.5 * (1 + np.tanh(0.851 * x))
    return dY * (s + 1.702 * x * s * (1 - s))


@third("gelu-backward", "This is the derivative of the")
def tanhapprox(dY, cache):
    # differentiates the tanh approximation of GELU, not the exact one with Φ
    X, _ = cache
    c, a = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(c * (X + a * X ** 3))
    return dY * (0.5 * (1 + t) + 0.5 * X * (1 - t * t) * c * (1 + 3 * a * X ** 2))


@third(
    "grouped-attention-backward",
    "The scale is 1/√Dv; it should be 1/√D,.*Means were taken over the heads of a")
def groupmean(dO, cache):
    # averages over the heads of a group instead of summing; scales by sqrt(Dv) instead of
    # sqrt(D)
    Q, K, V, P = cache
    dP = np.einsum("bgrid,bgjd->bgrij", dO, V)
    dS = P * (dP - np.einsum("bgrij,bgrij->bgri", P, dP)[..., None]) / np.sqrt(V.shape[-1])
    R = Q.shape[2]
    dQ = np.einsum("bgrij,bgjd->bgrid", dS, K)
    dK = np.einsum("bgrij,bgrid->bgjd", dS, Q) / R
    return dQ, dK, np.einsum("bgrij,bgrid->bgjd", P, dO) / R


@third("grouped-attention-backward", "In dV the weights and the gradients")
def sumfirst(dO, cache):
    # adds up weights and gradients over the heads before their product in dV
    Q, K, V, P = cache
    dV = P.sum(axis=2).swapaxes(-1, -2) @ dO.sum(axis=2)
    dP = dO @ V[:, :, None].swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    return dS @ K[:, :, None], (dS.swapaxes(-1, -2) @ Q).sum(axis=2), dV


@third("grouped-attention-backward", "The heads were laid out as .R, G.")
def wronggroups(dO, cache):
    # lays the heads out as (R, G) before the sum over R, so heads of other groups are added
    # up in dK and dV
    Q, K, V, P = cache
    B, G, R, Tq, D = Q.shape
    Ke, Ve = np.repeat(K, R, axis=1), np.repeat(V, R, axis=1)
    q, p, d = Q.reshape(B, G * R, Tq, D), P.reshape(B, G * R, Tq, -1), dO.reshape(B, G * R, Tq, -1)
    dP = d @ Ve.swapaxes(-1, -2)
    dS = p * (dP - (p * dP).sum(-1, keepdims=True)) / math.sqrt(D)
    dQ = (dS @ Ke).reshape(Q.shape)
    dK = (dS.swapaxes(-1, -2) @ q).reshape(B, R, G, *K.shape[-2:]).sum(axis=1)
    dV = (p.swapaxes(-1, -2) @ d).reshape(B, R, G, *V.shape[-2:]).sum(axis=1)
    return dQ, dK, dV


@third("head-gate-backward", "The absolute value was taken for each")
def abs_of_each(dY, cache):
    # takes the absolute value of each sequence's gradient before the sum, as the importance
    # measure does
    O, g, Wo = cache
    B, H, T, D = O.shape
    dO, dg = np.zeros_like(O), np.zeros_like(g)
    for h in range(H):
        dh = dY @ Wo[h * D:(h + 1) * D].T
        dO[:, h] = g[h] * dh
        dg[h] = np.abs((dh * O[:, h]).sum(axis=(1, 2))).sum()
    return dO, dg


@third("head-gate-backward", "dg has a factor g: the gated output was")
def gatetwice(dY, cache):
    # multiplies the gate's gradient by the gate itself
    O, g, Wo = cache
    H, D = O.shape[1], O.shape[3]
    W = Wo.reshape(H, D, -1)
    dO = np.einsum("bty,hdy->bhtd", dY, W) * g[None, :, None, None]
    dg = np.einsum("bhtd,bhtd->h", O, dO)
    return dO, dg


@third("key-norm-attention-backward", "The derivative of .k.²/2 is k: the")
def half(dO, cache):
    # leaves the factor ½ at the norm's gradient
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dK = dS.swapaxes(-1, -2) @ Q - 0.5 * dS.sum(axis=-2)[..., None] * K
    return dS @ K, dK, P.swapaxes(-1, -2) @ dO


@third("key-norm-attention-backward", "In the norm's part of dK the column")
def psum(dO, cache):
    # weighs the norm's gradient by the column sums of P instead of dS
    Q, K, V, P = cache
    t = lambda Z: np.swapaxes(Z, -1, -2)
    dP = dO @ t(V)
    dS = P * (dP - np.einsum("...ij,...ij->...i", P, dP)[..., None])
    dK = t(dS) @ Q - P.sum(-2)[..., None] * K
    return dS @ K, dK, t(P) @ dO


@third("key-norm-attention-backward", "what it should be minus cache.Q")
def querynorm(dO, cache):
    # also differentiates the term -½|q|², which cancels, and subtracts Q in dQ
    Q, K, V, P = cache
    dP = np.einsum("...id,...jd->...ij", dO, V)
    dS = P * dP - P * (P * dP).sum(-1, keepdims=True)
    dQ = np.einsum("...ij,...jd->...id", dS, K) - Q
    dK = np.einsum("...ij,...id->...jd", dS, Q) - np.einsum("...ij,...jd->...jd", dS, K)
    return dQ, dK, np.einsum("...ij,...id->...jd", P, dO)


@third("kv-cache", "The scores are divided by the root of")
def modelwidth(x, K, V, Wq, Wk, Wv):
    # scales by the square root of the token's width D instead of the keys' width
    D = x.shape[-1]
    K2 = np.append(K, x @ Wk, axis=-2)
    V2 = np.append(V, x @ Wv, axis=-2)
    s = (x @ Wq) @ np.swapaxes(K2, -1, -2) / D ** 0.5
    s = s - s.max(axis=-1, keepdims=True)
    p = np.exp(s)
    p = p / p.sum(axis=-1, keepdims=True)
    return p @ V2, K2, V2


@third("kv-cache", "The query attends to the old cache.*No maximum was subtracted from the")
def noself(x, K, V, Wq, Wk, Wv):
    # the query attends to the old keys only and not to the new token itself
    q = x @ Wq
    K2 = np.concatenate([K, x @ Wk], axis=-2)
    V2 = np.concatenate([V, x @ Wv], axis=-2)
    s = q @ K.swapaxes(-1, -2) / math.sqrt(K.shape[-1])
    e = np.exp(s)
    z = e.sum(-1, keepdims=True)
    return (e / np.where(z == 0, 1, z)) @ V, K2, V2


@third("kv-cache", "The new key and value stand in front of")
def prepend(x, K, V, Wq, Wk, Wv):
    # puts the new key and value in front of the old ones
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    K = np.concatenate((k, K), axis=-2)
    V = np.concatenate((v, V), axis=-2)
    s = np.einsum("...id,...jd->...ij", q, K) / math.sqrt(q.shape[-1])
    e = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("...ij,...jd->...id", e / e.sum(-1, keepdims=True), V), K, V


@third("layer-norm-backward", "The gain is missing in the two means:")
def gainlate(dY, cache):
    # takes the two means of dY without the gain
    Xhat, rstd, gain = cache
    rows = tuple(range(dY.ndim - 1))
    m1 = dY.mean(-1, keepdims=True)
    m2 = (dY * Xhat).mean(-1, keepdims=True)
    dX = rstd * (dY * gain - m1 - Xhat * m2)
    return dX, (dY * Xhat).sum(axis=rows), dY.sum(axis=rows)


@third("layer-norm-backward", "The correction for the variance was")
def nminus1(dY, cache):
    # divides the variance's term by D - 1
    D = cache.Xhat.shape[-1]
    g = dY * cache.gain
    along = np.einsum("...d,...d->...", g, cache.Xhat)[..., None] / max(D - 1, 1)
    dX = (g - g.sum(-1, keepdims=True) / D - cache.Xhat * along) * cache.rstd
    flat = lambda Z: Z.reshape(-1, D).sum(axis=0)
    return dX, flat(dY * cache.Xhat), flat(dY)


@third("layer-norm-backward", ".dY. has a factor .rstd. too many")
def rstdingain(dY, cache):
    # multiplies the gain's gradient by rstd once more; averages the bias gradient over the
    # rows
    Xhat, rstd, gain = cache
    D = len(gain)
    g = dY * gain
    J = np.eye(D) - 1.0 / D - Xhat[..., :, None] * Xhat[..., None, :] / D
    dX = rstd * (J @ g[..., None])[..., 0]
    dgain = (dY * Xhat * rstd).reshape(-1, D).sum(0)
    return dX, dgain, dY.reshape(-1, D).mean(0)


@third("layer-norm", "All is right where X has 2 axes")
def axis1(X, gain, bias, eps):
    # takes mean and variance along axis 1, right for exactly one leading axis only
    mean = np.mean(X, axis=1, keepdims=True)
    var = np.var(X, axis=1, keepdims=True)
    return gain * (X - mean) / np.sqrt(var + eps) + bias


@third("layer-norm", None)
def ddof(X, gain, bias, eps):
    # divides the variance by D - 1; adds the bias before the gain is multiplied
    D = X.shape[-1]
    C = X - X.sum(-1, keepdims=True) / D
    var = (C ** 2).sum(-1, keepdims=True) / max(D - 1, 1)
    return (C / np.sqrt(var + eps) + bias) * gain


@third("layer-norm", "The row was multiplied by 1 . gain, as")
def oneplus(X, gain, bias, eps):
    # stretches by 1 + gain, the convention of other models
    C = X - np.mean(X, axis=-1)[..., None]
    r = 1 / np.sqrt(np.mean(C * C, axis=-1) + eps)
    return C * r[..., None] * (1.0 + gain) + bias


@third("learned-positions-backward", "All that is wrong is where dY has 2 axes")
def axis0(dY, cache):
    # always sums over axis 0, also where there is no batch axis (and then positions are
    # summed)
    E, offset = cache
    T = dY.shape[-2]
    g = dY.sum(axis=0)
    while g.ndim > 2:
        g = g.sum(axis=0)
    dE = np.zeros_like(E)
    dE[offset : offset + T] += g
    return dE


@third("learned-positions-backward", "The rows start at 0; they should start")
def nooffset(dY, cache):
    # writes into the first T rows, whatever the offset
    E, offset = cache
    dE = np.zeros_like(E)
    T, D = dY.shape[-2:]
    dE[:T] = dY.reshape(-1, T, D).sum(axis=0)
    return dE


@third("linear-attention", "Each output was divided by the number")
def count(Q, K, V):
    # divides each output by the number of tokens so far
    T = Q.shape[-2]
    A = np.einsum("...id,...jd->...ij", Q, K) * np.tri(T)
    n = np.arange(1, T + 1)[:, None]
    return (A @ V) / n, np.einsum("...td,...te->...de", K, V)


@third("linear-attention", "Every query read the last state, with")
def noncausal(Q, K, V):
    # lets every query read the last state, with the future in it
    S = np.swapaxes(K, -1, -2) @ V
    return Q @ S, S


@third("linear-attention", "The query read before its own key and")
def oldstate(Q, K, V):
    # reads from the state before the token itself was written
    S = np.zeros(K.shape[:-2] + (K.shape[-1], V.shape[-1]))
    out = []
    for t in range(Q.shape[-2]):
        out.append((Q[..., t, None, :] @ S)[..., 0, :])
        S = S + K[..., t, :, None] * V[..., t, None, :]
    return np.stack(out, axis=-2), S


@third("linear-backward", ".dY. is limited to −1 . 1")
def clip(dY, cache):
    # clips the arriving gradient to [-1, 1]
    X, W = cache
    g = np.clip(dY, -1.0, 1.0)
    dW = np.tensordot(X.reshape(-1, W.shape[0]), g.reshape(-1, W.shape[1]), axes=(0, 0))
    return np.einsum("...e,de->...d", g, W), dW, g.reshape(-1, W.shape[1]).sum(axis=0)


@third("linear-backward", "Where dX is wrong, it is `dY @ W`.*dX is right where Dout is not Din.*"
                          " db is right where dY has 1 axis")
def onebatchaxis(dY, cache):
    # sums the bias gradient over all but the last two axes only if there are any, so one row
    # per position is left; multiplies dY by W instead of its transpose where W is square
    X, W = cache
    dW = np.einsum("nd,ne->de", X.reshape(-1, W.shape[0]), dY.reshape(-1, W.shape[1]))
    db = dY
    while db.ndim > 2:
        db = db.sum(axis=0)
    dX = dY @ (W if W.shape[0] == W.shape[1] else W.T)
    return dX, dW, db


@third("lstm-cell-backward", "The blocks were joined in the order I,")
def blockorder(dY, cache):
    # puts the blocks together in the order I, F, G, O of other libraries
    dHn, dCn = dY
    c = cache
    th = np.tanh(c.N)
    dN = dCn + dHn * c.O * (1 - th ** 2)
    gate = lambda g, d: d * g * (1 - g)
    blocks = (gate(c.I, dN * c.G), gate(c.F, dN * c.C), dN * c.I * (1 - c.G ** 2),
              gate(c.O, dHn * th))
    dA = np.concatenate(blocks, axis=1)
    dWx = np.einsum("bd,bh->dh", c.X, dA)
    dWh = np.einsum("bd,bh->dh", c.H, dA)
    return dA @ c.Wx.T, dA @ c.Wh.T, c.F * dN, dWx, dWh, dA.sum(axis=0)


@third("lstm-cell-backward", "The gradient of the new cell, dCn, was")
def nodcn(dY, cache):
    # forgets the gradient dCn that arrives at the new cell itself
    dHn, dCn = dY
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    t = np.tanh(N)
    dN = dHn * O * (1 - t * t)
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dHn * t * O * (1 - O),
                         dN * I * (1 - G * G)], axis=-1)
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(axis=0)


@third("lstm-cell-backward", "1 − C.² was used; C. is what goes into")
def oneminusn2(dY, cache):
    # uses 1 - C'² for the derivative of tanh at C', without the tanh
    dHn, dCn = dY
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dN = dCn + dHn * O * (1 - N ** 2)
    di = dN * G * I * (1 - I)
    df = dN * C * F * (1 - F)
    do = dHn * np.tanh(N) * O * (1 - O)
    dg = dN * I * (1 - G ** 2)
    dA = np.hstack([di, df, do, dg])
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0)


@third("masked-softmax", "The maximum was taken over the")
def maxall(S, mask):
    # takes the maximum over all scores, forbidden ones too, so a large forbidden score makes
    # the allowed ones underflow
    top = np.nanmax(np.where(np.isfinite(S), S, 0.0), axis=-1, keepdims=True)
    E = np.where(mask, np.exp(np.where(mask, S, top) - top), 0.0)
    Z = E.sum(axis=-1, keepdims=True)
    return E / np.where(Z == 0, 1.0, Z)


@third(
    "masked-softmax",
    "−inf was added to the forbidden scores.*A large negative number stands for")
def minus1e9(S, mask):
    # adds -1e9 to forbidden scores instead of replacing them, so NaN and inf leak and empty
    # rows get weights
    Z = S + (~mask) * -1e9
    Z = Z - Z.max(axis=-1, keepdims=True)
    E = np.exp(Z)
    return E / E.sum(axis=-1, keepdims=True)


@third("mean-pooling-backward", "dZ was divided by the number of")
def allpositions(dY, cache):
    # divides by 1 + N, the number of all positions
    Z, W, m = cache
    dm = dY @ W.T
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = dm[:, None, :] / Z.shape[1]
    return dZ, m.T @ dY, dY.sum(0)


@third(
    "mean-pooling-backward",
    "The cls token got a gradient as well;.*dW pairs dY with the average of all")
def poolagain(dY, cache):
    # makes dW with the mean of all positions, the cls token included; leaves a gradient at
    # the cls token
    Z, W, m = cache
    N = Z.shape[1] - 1
    dm = np.einsum("bc,dc->bd", dY, W)
    dZ = np.repeat(dm[:, None], N + 1, axis=1) / N
    dW = np.einsum("bd,bc->dc", Z.mean(axis=1), dY)
    return dZ, dW, np.einsum("bc->c", dY)


@third("merge-heads-backward", "The gradient was divided by the number")
def average(dY, num_heads):
    # divides by the number of heads, as if merging averaged them
    parts = np.split(dY, num_heads, axis=-1)
    return np.stack(parts, axis=-3) / num_heads


@third("merge-heads-backward", "All is right where dY has 3 axes")
def fixedaxes(dY, num_heads):
    # swaps axes 1 and 2 counted from the front, right with one batch axis only
    Y = dY.reshape(*dY.shape[:-1], num_heads, -1)
    return Y.swapaxes(1, 2)


@third("merge-partials", "The larger of L₁ and L₂ was returned;")
def maxl(O1, L1, O2, L2):
    # returns the larger of both L as the new L
    top = np.maximum(L1, L2)
    ref = np.where(np.isneginf(top), 0.0, top)
    a, b = np.exp(L1 - ref), np.exp(L2 - ref)
    z = np.where(a + b == 0, 1.0, a + b)
    return (a[..., None] * O1 + b[..., None] * O2) / z[..., None], top


@third("merge-partials", "A query without a key in either part")
def nanboth(O1, L1, O2, L2):
    # gives NaN where neither part allows a key
    with np.errstate(all="ignore"):
        m = np.maximum(L1, L2)
        L = m + np.log(np.exp(L1 - m) + np.exp(L2 - m))
        return O1 * np.exp(L1 - L)[..., None] + O2 * np.exp(L2 - L)[..., None], L


@third("merge-partials", "exp.L. was made without subtracting the")
def overflow(O1, L1, O2, L2):
    # takes exp of L without shifting, so large L overflow
    with np.errstate(all="ignore"):
        a, b = np.exp(L1), np.exp(L2)
        z = a + b
        safe = np.where(z == 0, 1, z)
        O = (a / safe)[..., None] * O1 + (b / safe)[..., None] * O2
        return O, np.log(z)


@third("nadaraya-watson-dw", "The absolute value of w was taken; the")
def absw(df, cache):
    # takes the absolute value of w, so the sign is wrong where w is negative
    x, k, y, w, P = cache
    u2 = (x[:, None] - k) ** 2
    f = P @ y
    dS = df[:, None] * P * (y - f[:, None])
    return -np.abs(w) * np.sum(dS * u2)


@third("nadaraya-watson-dw", "The distance x − k enters squared, in")
def unsquared(df, cache):
    # forgets to square the distance x - k
    x, k, y, w, P = cache
    dP = np.outer(df, y)
    dS = P * (dP - (P * dP).sum(axis=1, keepdims=True))
    total = 0.0
    for i in range(len(x)):
        for j in range(len(k)):
            total -= dS[i, j] * (x[i] - k[j]) * w
    return total


@third("nw-leave-one-out", "n/.n − 1.. times what it should be")
def nminus1_nw_leave_one_out(dL, cache):
    # divides by n - 1 where the diagonal is left out
    x, y, w, P, f = cache
    n = len(x)
    left_out = not np.diag(P).any()
    count = max(n - 1, 1) if left_out else n
    df = 2 * dL * (f - y) / count
    dP = np.outer(df, y)
    dS = P * (dP - (P * dP).sum(1, keepdims=True))
    u = np.subtract.outer(x, x)
    return -np.sum(dS * u * u * w)


@third("nw-leave-one-out", "The values were compared with the")
def ownvalue(dL, cache):
    # centres the neighbours' values at the point's own value y_i instead of at the prediction
    # f_i
    x, y, w, P, f = cache
    n = len(x)
    total = 0.0
    for i in range(n):
        e = 2.0 * (f[i] - y[i]) / n
        for j in range(n):
            total += e * P[i, j] * (y[j] - y[i]) * -((x[i] - x[j]) ** 2) * w
    return dL * total


@third("nw-many-parameters", "the term ..dP . P..sum.axis=-1,")
def biasnosoftmax(df, cache):
    # the biases' gradient goes around the softmax (sum of df P y without the mean)
    x, k, y, w, b, P = cache
    dP = df[:, None] * y
    dS = P * (dP - (P * dP).sum(1, keepdims=True))
    u = x[:, None] - k
    return -(dS * u * u).sum(0) * w, (P * dP).sum(0), P.T @ df


@third("nw-many-parameters", "Every entry of dw is 0.5 times")
def halfkept(df, cache):
    # keeps the factor ½ in dw
    x, k, y, w, b, P = cache
    f = P @ y
    dS = np.einsum("i,ij,ij->ij", df, P, y[None, :] - f[:, None])
    dw = np.einsum("ij,ij,j->j", dS, -0.5 * np.subtract.outer(x, k) ** 2, w)
    return dw, dS.sum(axis=0), np.einsum("ij,i->j", P, df)


@third("online-softmax", "As long as no score is above −., the")
def nanstart(m, z, S):
    # gives NaN as long as no score is above -inf
    with np.errstate(all="ignore"):
        new = np.maximum(m, np.max(S, axis=-1))
        z = z * np.exp(m - new) + np.sum(np.exp(S - new[..., None]), axis=-1)
    return new, z


@third("online-softmax", "The new maximum is that of the portion")
def portionmax(m, z, S):
    # forgets the old maximum: the new m is the maximum of the portion only
    new = S.max(axis=-1)
    ref = np.where(np.isneginf(new), 0.0, new)
    with np.errstate(over="ignore"):
        carried = np.where(z > 0, z * np.exp(np.where(np.isneginf(m), 0.0, m) - ref), 0.0)
    return new, carried + np.exp(S - ref[..., None]).sum(-1)


@third("online-softmax", "The old sum was multiplied by exp.m_new")
def rescalewrong(m, z, S):
    # multiplies the old sum by exp(m_new - m_old), the wrong way
    new = np.maximum(m, S.max(axis=-1))
    ref = np.where(np.isneginf(new), 0.0, new)
    old = np.where(np.isneginf(m), ref, m)
    part = np.exp(S - ref[..., None]).sum(axis=-1)
    with np.errstate(over="ignore"):
        return new, z * np.exp(ref - old) + part


@third("parzen-classification", "Each class was divided by its own")
def classsizes(Q, X, y, sigma):
    # divides each class's sum by the number of points of that class
    d2 = ((Q[:, None, :] - X[None, :, :]) ** 2).sum(-1)
    kap = np.exp(-d2 / (2 * sigma ** 2))
    plus, minus = kap[:, y > 0], kap[:, y < 0]
    return plus.mean(axis=1) - minus.mean(axis=1), kap @ y / kap.sum(axis=1)


@third("parzen-classification", "f is the class, .1; the prediction")
def signonly(Q, X, y, sigma):
    # returns the class (the sign) in place of Nadaraya–Watson's value f
    d2 = (Q ** 2).sum(1)[:, None] + (X ** 2).sum(1) - 2 * Q @ X.T
    kap = np.exp(-0.5 * d2 / sigma / sigma)
    D = (kap * y).mean(axis=1)
    f = (kap * y).sum(1) / kap.sum(1)
    return D, np.sign(f)


@third("per-head-weights", "P sums to 1 along axis -3")
def overheads(X, Wq, Wk, H, mask):
    # normalizes over the heads instead of over the keys
    D = Wq.shape[1] // H
    S = []
    for h in range(H):
        c = slice(h * D, (h + 1) * D)
        q, k = X @ Wq[:, c], X @ Wk[:, c]
        S.append(q @ k.swapaxes(1, 2) / math.sqrt(D))
    S = np.stack(S, axis=1)
    E = np.exp(S - S.max(axis=1, keepdims=True))
    if mask is not None:
        E = E * mask
    Z = E.sum(axis=1, keepdims=True)
    return E / np.where(Z == 0, 1, Z)


@third("per-head-weights", "A large negative number stands in for")
def uniformempty(X, Wq, Wk, H, mask):
    # fills forbidden scores with -1e30, so a query without any key gets uniform weights
    B, T, _ = X.shape
    D = Wq.shape[1] // H
    Q = np.einsum("btx,xhd->bhtd", X, Wq.reshape(-1, H, D))
    K = np.einsum("btx,xhd->bhtd", X, Wk.reshape(-1, H, D))
    S = np.einsum("bhid,bhjd->bhij", Q, K) / math.sqrt(D)
    if mask is not None:
        S = np.where(mask, S, -1e30)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


@third("qk-norm-attention-backward", "dt has a factor t: the scores were")
def dtwithscores(dO, cache):
    # multiplies by the scores, which hold t already, in dt
    Q, K, V, t, nq, nk, P = cache
    q, k = Q / nq, K / nk
    S = t * np.einsum("...id,...jd->...ij", q, k)
    dP = np.einsum("...id,...jd->...ij", dO, V)
    dS = P * (dP - np.einsum("...ij,...ij->...i", P, dP)[..., None])

    def through_norm(unit, d, n):
        return (d - unit * (unit * d).sum(axis=-1, keepdims=True)) / n

    dQ = through_norm(q, t * np.einsum("...ij,...jd->...id", dS, k), nq)
    dK = through_norm(k, t * np.einsum("...ij,...id->...jd", dS, q), nk)
    return dQ, dK, np.einsum("...ij,...id->...jd", P, dO), np.sum(dS * S)


@third("qk-norm-attention-backward", "The lengths were taken for constants:")
def noprojection(dO, cache):
    # divides by the length only and forgets the gradient through the norm
    Q, K, V, t, nq, nk, P = cache
    q, k = Q / nq, K / nk
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dt = (dS * (q @ k.swapaxes(-1, -2))).sum()
    return t * dS @ k / nq, t * dS.swapaxes(-1, -2) @ q / nk, P.swapaxes(-1, -2) @ dO, dt


@third("qk-norm-attention-backward", ".Q. stands where .q. belongs")
def rawprojection(dO, cache):
    # projects with Q and K themselves instead of the unit vectors
    c = cache
    T = lambda Z: np.swapaxes(Z, -1, -2)
    q, k = c.Q / c.nq, c.K / c.nk
    dP = dO @ T(c.V)
    dS = c.P * (dP - np.sum(c.P * dP, axis=-1, keepdims=True))
    dq, dk = c.t * (dS @ k), c.t * (T(dS) @ q)
    dQ = (dq - c.Q * np.sum(c.Q * dq, -1, keepdims=True)) / c.nq
    dK = (dk - c.K * np.sum(c.K * dk, -1, keepdims=True)) / c.nk
    return dQ, dK, T(c.P) @ dO, np.sum(dS * (q @ T(k)))


@third("query-gradient-covariance", "The keys were centred at their plain")
def plainmean(q, K):
    # centres the keys at their plain mean, not at their mean under the weights
    s = q @ K.T
    e = np.exp(s - s.max(-1)[..., None])
    p = e / e.sum(-1)[..., None]
    C = K - K.mean(axis=0)
    return (C.T * p[..., None, :]) @ C


@third("query-gradient-covariance", "The matrix was divided by 1 − Σ p², as")
def unbiased(q, K):
    # divides by 1 - sum(p²), the unbiased sample covariance for weights
    s = q @ K.T
    p = np.exp(s - s.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    o = p @ K
    C = K - o[..., None, :]
    cov = np.einsum("...t,...ta,...tb->...ab", p, C, C)
    return cov / (1.0 - (p ** 2).sum(-1))[..., None, None]


@third("random-heatmap", "The entropy is in bits, by log2, but")
def bits(S):
    # takes the entropy in bits (log2) and then e to that power
    P = np.exp(S)
    P = P / np.sum(P, axis=-1, keepdims=True)
    h = -np.einsum("...ij,...ij->...i", P, np.log2(P))
    return P, np.exp(h)


@third("random-heatmap", "a constant is added under the logarithm,")
def logeps(S):
    # adds 0.001 to the weights under the logarithm against log(0), which makes the counts a
    # little too small
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)
    entropy = np.sum(-P * np.log(P + 1e-3), axis=-1)
    return P, np.exp(entropy)


@third("random-heatmap", "n is 1/Σ p², which also counts keys,")
def participation(S):
    # returns 1 / sum p², another number of effective keys
    E = np.exp(S - S.max(-1, keepdims=True))
    P = E / E.sum(-1, keepdims=True)
    return P, 1.0 / (P * P).sum(-1)


@third("relative-positions", "Pairs further apart than c were left")
def clipzero(dS, cache):
    # gives pairs beyond the largest distance no gradient, as if the clip cut it
    Q, A = cache
    c = len(A) // 2
    dQ, dA = np.zeros_like(Q), np.zeros_like(A)
    for i in range(dS.shape[-2]):
        for j in range(dS.shape[-1]):
            if abs(j - i) > c:
                continue
            r = j - i + c
            g = dS[..., i, j]
            dQ[..., i, :] += g[..., None] * A[r]
            dA[r] += (g[..., None] * Q[..., i, :]).reshape(-1, A.shape[1]).sum(0)
    return dQ, dA


@third("relative-positions", "Of all pairs that share a row, only the")
def lost_relative_positions(dS, cache):
    # fancy-index += keeps only one of several pairs with the same distance
    Q, A = cache
    Tq, Tk = dS.shape[-2:]
    c = len(A) // 2
    r = np.clip(np.arange(Tk)[None] - np.arange(Tq)[:, None], -c, c) + c
    dQ = np.einsum("...ij,ijd->...id", dS, A[r])
    pair = np.einsum("...ij,...id->...ijd", dS, Q).reshape(-1, Tq, Tk, Q.shape[-1]).sum(0)
    dA = np.zeros_like(A)
    dA[r] += pair
    return dQ, dA


@third("relative-positions", "The distance has the wrong sign, i − j:")
def reversed(dS, cache):
    # takes the distance as i - j
    Q, A = cache
    Tq, Tk = dS.shape[-2:]
    c = len(A) // 2
    i, j = np.indices((Tq, Tk))
    hot = np.eye(len(A))[np.clip(i - j, -c, c) + c]
    dQ = np.einsum("...ij,ijr,rd->...id", dS, hot, A)
    G = np.einsum("...ij,ijr->...ir", dS, hot)
    dA = np.einsum("nir,nid->rd", G.reshape(-1, Tq, len(A)), Q.reshape(-1, Tq, Q.shape[-1]))
    return dQ, dA


@third("residual-norm-block-backward", ".dA. is cut at 0")
def guided(dY, cache):
    # lets only positive gradients pass the ReLU as well (guided backpropagation)
    X, W, H, Xhat, rstd, gain = cache
    D = len(gain)
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA = np.maximum(dR, 0.0) * (H > 0)
    dW = X.reshape(-1, D).T @ dA.reshape(-1, D)
    return dR + dA @ W.T, dW


@third("residual-norm-block-backward", "dW was made with the sublayer's output")
def hindw(dY, cache):
    # multiplies by the activation H where the input X belongs in dW
    X, W, H, Xhat, rstd, gain = cache
    dXhat = gain * dY
    a = np.mean(dXhat, axis=-1, keepdims=True)
    b = np.mean(dXhat * Xhat, axis=-1, keepdims=True)
    dR = (dXhat - a - b * Xhat) * rstd
    dA = np.where(H > 0, dR, 0.0)
    dW = np.einsum("ni,nj->ij", H.reshape(-1, H.shape[-1]), dA.reshape(-1, H.shape[-1]))
    return dR + np.einsum("...j,ij->...i", dA, W), dW


@third("residual-norm-block-backward", "dX has only the gradient through the")
def multiplyh(dY, cache):
    # multiplies by the value H instead of gating by H > 0; leaves out the residual path in dX
    X, W, H, Xhat, rstd, gain = cache
    D = X.shape[-1]
    g = dY * gain
    dR = rstd / D * (D * g - g.sum(-1, keepdims=True) - Xhat * (g * Xhat).sum(-1, keepdims=True))
    dA = dR * H
    return dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


@third("rms-norm-backward", "dgain is right where dY has 1 or 2 axes")
def dgainaxis0(dY, cache):
    # sums the gain's gradient over the first axis only
    X, gain, rstd = cache
    xhat = X * rstd
    g = dY * gain
    dX = rstd * (g - xhat * np.mean(g * xhat, axis=-1, keepdims=True))
    dgain = dY * xhat
    if dgain.ndim > 1:
        dgain = dgain.sum(axis=0)
    return dX, dgain


@third("rms-norm-backward", "The correction was multiplied by X as")
def rstdsquared(dY, cache):
    # has rstd² instead of rstd³ at the part through the normalizer
    X, gain, rstd = cache
    D = X.shape[-1]
    g = np.multiply(dY, gain)
    proj = np.einsum("...d,...d->...", g, X)[..., None] / D
    dX = g * rstd - X * proj * rstd ** 2
    dgain = np.einsum("nd,nd->d", dY.reshape(-1, D), (X * rstd).reshape(-1, D))
    return dX, dgain


@third("rotary-backward", "dY was turned the same way as X in the")
def forward(dY, cache):
    # turns by +θ again, as the forward does
    cos, sin = cache
    e, o = dY[..., ::2], dY[..., 1::2]
    return np.stack([e * cos - o * sin, e * sin + o * cos], axis=-1).reshape(dY.shape)


@third("rotary-backward", "The angles were made anew, from")
def fromzero(dY, cache):
    # makes the angles anew from position 0 and ignores the offset that is in the cache
    T, D = dY.shape[-2:]
    theta = np.outer(np.arange(T), 10000.0 ** (-np.arange(0, D, 2) / D))
    z = (dY[..., 0::2] + 1j * dY[..., 1::2]) * np.exp(-1j * theta)
    dX = np.empty_like(dY)
    dX[..., 0::2], dX[..., 1::2] = z.real, z.imag
    return dX


@third("rotary-backward", "")
def stale(dY, cache):
    # writes into dY itself and reads the even columns again after they have changed
    cos, sin = cache
    dY[..., 0::2] = dY[..., 0::2] * cos + dY[..., 1::2] * sin
    dY[..., 1::2] = dY[..., 1::2] * cos - dY[..., 0::2] * sin
    return dY


@third("rotary-halves-backward", "Column 2i was paired with column 2i .")
def neighbours(dY, cache):
    # pairs neighbouring columns instead of the two halves
    cos, sin = cache
    dX = np.empty_like(dY)
    a, b = dY[..., 0::2], dY[..., 1::2]
    dX[..., 0::2] = a * cos + b * sin
    dX[..., 1::2] = b * cos - a * sin
    return dX


@third("rotary-halves-backward", ".d2 . cos. is subtracted where it must be")
def reflect(dY, cache):
    # turns the second half with the opposite sign, a reflection
    cos, sin = cache
    a, b = np.split(dY, 2, axis=-1)
    return np.concatenate([a * cos + b * sin, a * sin - b * cos], axis=-1)


@third("self-attention-backward", "The gradients of the weights are means")
def batchmean_self_attention_backward(dY, cache):
    # averages the gradients of all four weights over the batch instead of summing them
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape

    def merge(Z):
        return np.concatenate([Z[:, h] for h in range(H)], axis=-1)

    def dweight(A, dB):
        return np.mean(A.swapaxes(1, 2) @ dB, axis=0)

    dm = dY @ Wo.T
    dO = np.stack([dm[..., h * D:(h + 1) * D] for h in range(H)], axis=1)
    dV = P.swapaxes(2, 3) @ dO
    dP = dO @ V.swapaxes(2, 3)
    dS = P * (dP - (P * dP).sum(axis=3, keepdims=True)) * D ** -0.5
    dq, dk, dv = merge(dS @ K), merge(dS.swapaxes(2, 3) @ Q), merge(dV)
    dX = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dX, dweight(X, dq), dweight(X, dk), dweight(X, dv), dweight(merge(O), dY)


@third(
    "self-attention-backward",
    "dX lacks what goes through the keys. X.*The scale is 1/√.H.D., by the whole")
def fullwidth(dY, cache):
    # scales by the square root of the width of all heads together; the keys' path into dX is
    # missing
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    merge = lambda Z: Z.transpose(0, 2, 1, 3).reshape(B, T, H * D)
    dWo = np.tensordot(merge(O), dY, axes=([0, 1], [0, 1]))
    dO = (dY @ Wo.T).reshape(B, T, H, D).transpose(0, 2, 1, 3)
    dV = np.einsum("bhij,bhid->bhjd", P, dO)
    dP = np.einsum("bhid,bhjd->bhij", dO, V)
    dS = P * (dP - np.einsum("bhij,bhij->bhi", P, dP)[..., None]) / math.sqrt(H * D)
    dq, dk = (merge(np.einsum("bhij,bhjd->bhid", dS, K)),
              merge(np.einsum("bhij,bhid->bhjd", dS, Q)))
    dv = merge(dV)
    dX = dq @ Wq.T + dv @ Wv.T
    t = lambda d: np.tensordot(X, d, axes=([0, 1], [0, 1]))
    return dX, t(dq), t(dk), t(dv), dWo


@third("self-attention-backward", "In dWo, O was reshaped straight to .B,")
def merge(dY, cache):
    # reshapes O to (B, T, HD) without exchanging heads and positions in dWo
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    split = lambda Z: Z.reshape(B, T, H, D).swapaxes(1, 2)
    merge = lambda Z: Z.swapaxes(1, 2).reshape(B, T, H * D)
    dWo = np.einsum("btc,bty->cy", O.reshape(B, T, H * D), dY)
    dO = split(dY @ Wo.T)
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(D)
    dq, dk, dv = merge(dS @ K), merge(dS.swapaxes(-1, -2) @ Q), merge(dV)
    g = lambda d: np.einsum("btx,btc->xc", X, d)
    return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T, g(dq), g(dk), g(dv), dWo


@third("sink-softmax", ".minimum. stands where .maximum. belongs")
def shiftbyb(S, b):
    # shifts by the sink only, so scores far above it overflow to NaN
    with np.errstate(all="ignore"):
        E = np.exp(S - b)
        return E / (1.0 + np.sum(E, axis=-1)[..., None])


@third("sink-softmax", "The scores were shifted by their")
def shiftsink(S, b):
    # shifts the scores by their maximum but not the sink
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / (np.exp(b) + E.sum(axis=-1, keepdims=True))


@third("sink-softmax", "There is a sink for each key; there is")
def sinkperkey(S, b):
    # adds the sink once for each key
    top = np.maximum(S.max(-1, keepdims=True), b)
    E = np.exp(S - top)
    return E / (E + np.exp(b - top)).sum(axis=-1, keepdims=True)


@third("sinusoidal-positions", "Each column has a frequency of its own,")
def cosexponent(X, offset):
    # gives the cosine of column 2i+1 the exponent (2i+1)/D
    T, D = X.shape[-2:]
    t = np.arange(offset, offset + T)[:, None]
    c = np.arange(D)
    angle = t / 10000.0 ** (c / D)
    return X + np.where(c % 2 == 0, np.sin(angle), np.cos(angle))


@third("sinusoidal-positions", "All sines come first, then all cosines")
def halves(X, offset):
    # puts all sines into the first half of the columns and all cosines into the second
    T, D = X.shape[-2:]
    pos = offset + np.arange(T)
    freq = 10000.0 ** (-np.arange(0, D, 2) / D)
    a = np.outer(pos, freq)
    return X + np.concatenate([np.sin(a), np.cos(a)], axis=1)[:, :D]


@third("sinusoidal-positions", "")
def inplace_sinusoidal_positions(X, offset):
    # adds the positions to X itself, so the caller's inputs change
    T, D = X.shape[-2:]
    angle = np.arange(offset, offset + T)[:, None] / 10000.0 ** (np.arange(0, D, 2) / D)
    X[..., 0::2] += np.sin(angle)
    X[..., 1::2] += np.cos(angle)[:, : D // 2]
    return X


@third("soft-cap-backward", "The gradient passes unchanged below the")
def hardcap(dY, cache):
    # passes the gradient unchanged inside the cap and stops it outside, as a clip does
    S, Y, cap = cache
    return np.where(np.abs(S) < cap, dY, np.zeros_like(dY))


@third("soft-cap-backward", "1 − Y² was used; tanh.s/c. is Y/c")
def notnormed(dY, cache):
    # squares Y without dividing it by the cap
    S, Y, cap = cache
    return dY * (1.0 - Y ** 2)


@third("softmax-backward", "One sum was taken over the whole array")
def allsum(dP, P):
    # sums P*dP over the whole array instead of row by row
    inner = np.vdot(P, dP)
    return P * dP - P * inner


@third("softmax-backward", "a maximum of .dP. was taken where a sum of")
def maxshift(dP, P):
    # subtracts the row's largest dP, as the forward does for stability, in place of the
    # weighted mean
    def stable(g):
        return g - g.max(axis=-1, keepdims=True)
    return P * stable(dP)


@third("softmax-backward", "NaN or inf for queries that may attend to nothing")
def zerorow(dP, P):
    # divides the weights by their sum again, which gives NaN for a row without an allowed key
    with np.errstate(all="ignore"):
        P = P / P.sum(axis=-1, keepdims=True)
    return P * dP - P * np.einsum("...t,...t->...", P, dP)[..., None]


@third("softmax-jacobian", "the sum runs over axis 0; it must run over")
def axis0_softmax_jacobian(S):
    # takes the softmax along axis 0, right for a single row only
    e = np.exp(S - S.max(axis=0))
    p = e / e.sum(axis=0)
    eye = np.eye(S.shape[-1])
    return np.einsum("...j,jk->...jk", p, eye) - p[..., :, None] * p[..., None, :]


@third("softmax-jacobian", "Only the diagonal is filled, p_j .1 −")
def diagonly(S):
    # fills only the diagonal p(1-p) and leaves the off-diagonal entries 0
    e = np.exp(S - S.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    T = S.shape[-1]
    J = np.zeros(S.shape + (T,))
    for j in range(T):
        J[..., j, j] = p[..., j] * (1 - p[..., j])
    return J


@third("softmax-jacobian", "The product p_j p_k is added; the")
def plus(S):
    # adds the outer product p pᵀ instead of subtracting it
    e = np.exp(S - S.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    T = S.shape[-1]
    D = p[..., :, None] * np.eye(T)
    return D + np.einsum("...j,...k->...jk", p, p)


@third("softmax", "large scores that differ have one weight")
def clip_softmax(S):
    # clips the scores to [-50, 50] against overflow, which changes the weights of large
    # scores
    safe = np.clip(S, -50.0, 50.0)
    top = np.exp(safe)
    bottom = np.sum(top, axis=-1, keepdims=True)
    return np.divide(top, bottom)


@third("softmax", "such as half precision has")
def float16(S):
    # computes in half precision, so only about three digits are right and large scores become
    # inf
    x = np.asarray(S, dtype=np.float16)
    x = x - x.max(axis=-1, keepdims=True)
    e = np.exp(x)
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float64)


@third("softmax", "One maximum was subtracted from the")
def globmax(S):
    # subtracts one maximum of the whole array, so rows far below it underflow to 0/0
    e = np.exp(S - np.max(S))
    return e / e.sum(axis=-1, keepdims=True)


@third("split-heads", "Column d.H . h went to head h:")
def interleaved(X, num_heads):
    # deals the columns out in turn: head h gets the columns h, h+H, h+2H, ...
    return np.stack([X[..., h::num_heads] for h in range(num_heads)], axis=-3)


@third("split-heads", "The array was reshaped straight to")
def noswap(X, num_heads):
    # reshapes straight to (..., H, T, D) without exchanging positions and heads
    *lead, T, W = X.shape
    return X.reshape(*lead, num_heads, T, W // num_heads)


@third("swiglu-backward", "σ .1 − σ. is the derivative of the")
def sigmaprime(dY, cache):
    # uses only σ(1-σ), the derivative of the sigmoid, for silu'
    G, U = cache
    s = 0.5 * (1 + np.tanh(0.5 * G))
    return dY * U * s * (1 - s), dY * G * s


@third(
    "swiglu-backward",
    "The two gradients are returned in the.*tanh stands where the sigmoid belongs:")
def swapped_swiglu_backward(dY, cache):
    # returns dU before dG; takes tanh(G) for the sigmoid
    G, U = cache
    s = np.tanh(G)
    dG = dY * U * (s + G * (1 - s ** 2))
    return dY * G * s, dG


@third("swiglu-backward", ".G. has a factor .U. too many")
def yforsilu(dY, cache):
    # puts the product Y = silu(G) U for silu(G) into the derivative
    G, U = cache
    sig = 1.0 / (1.0 + np.exp(-np.clip(G, -500, 500)))
    Y = G * sig * U
    dG = dY * U * (sig + Y * (1.0 - sig))
    dU = dY * G * sig
    return dG, dU


@third("tiled-backward", "A query that may attend to nothing has L")
def nanempty_tiled_backward(dO, cache):
    # gives NaN for a query that may attend to no key (exp(s - L) with L = -inf)
    Q, K, V, mask, O, L = cache
    t = lambda Z: np.swapaxes(Z, -1, -2)
    S = Q @ t(K) / math.sqrt(K.shape[-1])
    with np.errstate(all="ignore"):
        P = np.exp(S - L[..., None]) if mask is None else np.exp(S - L[..., None]) * mask
    dS = P * (dO @ t(V) - (dO * O).sum(-1)[..., None]) / math.sqrt(K.shape[-1])
    return t(dS) @ Q, t(P) @ dO


@third("tiled-backward", "δ was summed over the tile's keys only")
def tiledelta(dO, cache):
    # sums P*dP over the keys of the tile only
    Q, K, V, mask, O, L = cache
    r = 1 / math.sqrt(Q.shape[-1])
    S = Q @ K.swapaxes(-1, -2) * r
    P = np.exp(S - np.where(np.isneginf(L), 0.0, L)[..., None])
    if mask is not None:
        P = np.where(mask, P, 0.0)
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) * r
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@third("tiled-backward", "The weights were made by a softmax over")
def tilesoftmax(dO, cache):
    # makes the weights by a softmax over the tile alone and does not use L
    Q, K, V, mask, O, L = cache
    S = np.einsum("...id,...jd->...ij", Q, K) / np.sqrt(Q.shape[-1])
    E = np.exp(S)
    if mask is not None:
        E = E * mask
    Z = E.sum(-1, keepdims=True)
    P = E / np.where(Z == 0, 1, Z)
    D = (dO * O).sum(-1, keepdims=True)
    dS = P * (dO @ V.swapaxes(-1, -2) - D) / np.sqrt(Q.shape[-1])
    return np.einsum("...ij,...id->...jd", dS, Q), np.einsum("...ij,...id->...jd", P, dO)


@third("unit-sphere-distance", "The lengths were taken down the")
def normaxis(Q, K, sigma):
    # takes the norms down the columns (over the positions) instead of over the width
    q = Q / np.sqrt((Q * Q).sum(axis=-2, keepdims=True))
    k = K / np.sqrt((K * K).sum(axis=-2, keepdims=True))
    D = ((q[..., :, None, :] - k[..., None, :, :]) ** 2).sum(-1)
    E = np.exp(-D / (2 * sigma ** 2))
    return D, E / E.sum(-1, keepdims=True)


@third("unit-sphere-distance", "P holds NaN or inf where scores are large")
def unsquared_unit_sphere_distance(Q, K, sigma):
    # puts the distance (its square root) into the exponent and returns it right squared as D
    unit = lambda Z: Z / np.sqrt(np.einsum("...w,...w->...", Z, Z))[..., None]
    D = np.maximum(2.0 - 2.0 * np.einsum("...iw,...jw->...ij", unit(Q), unit(K)), 0.0)
    E = np.exp(-np.sqrt(D) / (2.0 * sigma * sigma))
    return D, E / np.sum(E, axis=-1, keepdims=True)


@third("valid-lens-mask", "Of lengths .B, Tq., only those of the")
def firstquery(valid_lens, Tq, Tk):
    # uses the length of the first query for all queries of a sequence
    lens = np.asarray(valid_lens).reshape(len(valid_lens), -1)[:, 0]
    mask = np.zeros((len(lens), Tq, Tk), dtype=bool)
    for b, n in enumerate(lens):
        mask[b, :, :n] = True
    return mask


@third("valid-lens-mask", "The last so many keys are allowed")
def leftpad(valid_lens, Tq, Tk):
    # takes the last keys as the real ones, as with padding at the front
    lens = np.asarray(valid_lens)
    lens = lens[:, None, None] if lens.ndim == 1 else lens[..., None]
    row = np.arange(Tk)[None, None, :] >= Tk - lens
    return np.broadcast_to(row, (lens.shape[0], Tq, Tk)).copy()


@third("vector-sum-score", "The gradient of the softmax lacks its")
def querynotzero(dO, cache):
    # forgets the softmax's normalizer, so the queries get a gradient though their part
    # cancels
    Q, K, V, P = cache
    dS = P * (dO @ V.swapaxes(-1, -2))
    dQ = np.repeat(dS.sum(-1)[..., None], Q.shape[-1], axis=-1)
    dK = np.repeat(dS.sum(-2)[..., None], K.shape[-1], axis=-1)
    return dQ, dK, P.swapaxes(-1, -2) @ dO


@third("vector-sum-score", "dK was divided by D. Each component is")
def shared(dO, cache):
    # divides the score's gradient among the D components
    Q, K, V, P = cache
    dP = np.einsum("...id,...jd->...ij", dO, V)
    dS = P * (dP - np.einsum("...ij,...ij->...i", P, dP)[..., None])
    D = Q.shape[-1]
    dQ = np.zeros_like(Q)
    dK = np.einsum("...ij->...j", dS)[..., None] * np.ones(D) / D
    return dQ, dK, np.einsum("...ij,...id->...jd", P, dO)


@third("window-mask", "The window reaches ahead as far as")
def bothsides(Tq, Tk, w):
    # a window on both sides, so the query sees the future
    i = np.arange(Tk - Tq, Tk)[:, None]
    return np.abs(i - np.arange(Tk)) < w


@third("window-mask", "All queries have the window of the last")
def lastw(Tq, Tk, w):
    # gives all queries the same window, the last w of all keys up to the query
    mask = np.zeros((Tq, Tk), dtype=bool)
    mask[:, max(Tk - w, 0):] = True
    return mask & np.tri(Tq, Tk, Tk - Tq, dtype=bool)


@third("window-mask", "The window has one key too many: it")
def wplusone(Tq, Tk, w):
    # allows w keys before the query in addition to its own
    return np.array([[Tk - Tq + i - w <= j <= Tk - Tq + i for j in range(Tk)] for i in range(Tq)])
