"""A fourth set, written from the statements alone by somebody who had seen no catalogue.

The first half was looked at while the engine was mended, the second one was measured first: of 126
answers 119 were named, none was accepted. What stands beside each answer is as in
wrong_answers_blind.py; below it, what its author did wrong.
"""

import math

import numpy as np
from wrong_answers_blind import Answers

fourth = Answers()


@fourth("query-gradient-covariance", "The mean was not subtracted: Σ")
def query_gradient_covariance_dev_1(q, K):
    # the mean is not subtracted: E[k kᵀ] instead of the covariance
    s = q @ K.T
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return np.einsum('...j,ja,jb->...ab', p, K, K)


@fourth("query-gradient-covariance", "The keys were centred at their")
def query_gradient_covariance_dev_2(q, K):
    # the keys are centred by their plain average, not by the mean under the weights
    scores = np.einsum('...d,td->...t', q, K)
    scores = scores - scores.max(axis=-1, keepdims=True)
    w = np.exp(scores)
    w = w / w.sum(axis=-1, keepdims=True)
    centred = K - K.mean(axis=0)
    return np.einsum('...t,ta,tb->...ab', w, centred, centred)


@fourth("parzen-classification", "The 2 is missing: the exponent")
def parzen_classification_dev_1(Q, X, y, sigma):
    # sigma in place of 2 sigma squared: the exponent is divided by sigma² without the 2
    sq = (Q ** 2).sum(1)[:, None] + (X ** 2).sum(1)[None, :] - 2 * Q @ X.T
    kern = np.exp(-sq / sigma ** 2)
    diff = kern @ y / len(y)
    f = kern @ y / kern.sum(axis=1)
    return (diff, f)


@fourth("parzen-classification", "Each class was divided by its ")
def parzen_classification_dev_2(Q, X, y, sigma):
    # each class is averaged over its own count instead of over n
    m = len(Q)
    D = np.zeros(m)
    f = np.zeros(m)
    for a in range(m):
        k = np.exp(-((X - Q[a]) ** 2).sum(axis=1) / (2 * sigma * sigma))
        D[a] = k[y > 0].mean() - k[y < 0].mean()
        f[a] = (k * y).sum() / k.sum()
    return (D, f)


@fourth("unit-sphere-distance", "D is 1 − q̂·k̂, which some cal")
def unit_sphere_distance_dev_1(Q, K, sigma):
    # the squared distance is 1 − cosine instead of 2 − 2 cosine
    qh = Q / np.sqrt((Q * Q).sum(-1, keepdims=True))
    kh = K / np.sqrt((K * K).sum(-1, keepdims=True))
    D = 1.0 - qh @ np.swapaxes(kh, -1, -2)
    S = -D / (2.0 * sigma * sigma)
    S -= S.max(-1, keepdims=True)
    P = np.exp(S)
    return (D, P / P.sum(-1, keepdims=True))


@fourth("nw-leave-one-out", "L is a mean over the points: t")
def nw_leave_one_out_dev_1(dL, cache):
    # the mean over n is forgotten in the gradient of the loss
    x, y, w, P, f = cache
    n = len(x)
    g = dL * 2.0 * (f - y)
    dw = 0.0
    for i in range(n):
        for j in range(n):
            ds = P[i, j] * g[i] * (y[j] - f[i])
            dw += ds * (-(x[i] - x[j]) ** 2 * w)
    return dw


@fourth("nw-leave-one-out", "The factor w is missing: the d")
def nw_leave_one_out_dev_2(dL, cache):
    # the derivative of the score by w misses the factor w
    x, y, w, P, f = cache
    u = x[:, None] - x[None, :]
    df = 2 * dL * (f - y) / x.size
    dP = np.outer(df, y)
    dS = P * (dP - np.sum(dP * P, axis=1, keepdims=True))
    return np.sum(dS * -u ** 2)


@fourth("softmax", "The scores go into exp as they")
def softmax_dev_1(S):
    # the maximum is not subtracted, large scores overflow
    top = np.exp(S)
    bottom = np.sum(top, axis=-1, keepdims=True)
    return np.divide(top, bottom)


@fourth("softmax", "One maximum was subtracted fro")
def softmax_dev_2(S):
    # the shift is by the maximum of the whole array, so that far lower rows underflow to
    # 0/0
    Z = S - np.max(S)
    E = np.exp(Z)
    return E / np.expand_dims(E.sum(-1), -1)


@fourth("softmax-jacobian", "The product p_j p_k is added; ")
def softmax_jacobian_dev_1(S):
    # the sign of the off-diagonal is wrong: diag(p) + p pᵀ
    p = np.exp(S - S.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    T = S.shape[-1]
    J = np.einsum('...j,...k->...jk', p, p)
    idx = np.arange(T)
    J[..., idx, idx] += p
    return J


@fourth("valid-lens-mask", "One key too many is allowed: t")
def valid_lens_mask_dev_1(valid_lens, Tq, Tk):
    # one position too many: the key at index valid_len is allowed
    lens = np.asarray(valid_lens)
    B = lens.shape[0]
    mask = np.zeros((B, Tq, Tk), dtype=bool)
    for b in range(B):
        for i in range(Tq):
            n = lens[b] if lens.ndim == 1 else lens[b, i]
            for j in range(Tk):
                mask[b, i, j] = j <= n
    return mask


@fourth("attention-cost", "The table was counted twice. I")
def attention_cost_dev_1(H, Tq, Tk, Dk, Dv):
    # the softmax's own read and write are not counted in the moved numbers
    dk, dv = (Dk // H, Dv // H)
    work = H * (Tq * dk * Tk + Tq * Tk * dv)
    moved = H * (Tq * dk + Tk * dk + Tq * Tk) + H * (Tq * Tk + Tk * dv + Tq * dv)
    return (work, moved)


@fourth("attention-cost", "A multiplication and the addit")
def attention_cost_dev_2(H, Tq, Tk, Dk, Dv):
    # each multiply-add is counted as two operations
    work = 2 * Tq * Tk * Dk + 2 * Tq * Tk * Dv
    moved = Tq * Dk + Tk * Dk + H * Tq * Tk
    moved += 2 * H * Tq * Tk
    moved += H * Tq * Tk + Tk * Dv + Tq * Dv
    return (work, moved)


@fourth("masked-softmax", "A large negative number stands")
def masked_softmax_dev_1(S, mask):
    # a big negative number instead of −∞ leaves uniform weights in a row without keys
    S = np.where(mask, S, -1000000000.0)
    S = S - S.max(axis=-1, keepdims=True)
    E = np.exp(S)
    return E / E.sum(axis=-1, keepdims=True)


@fourth("masked-softmax", "What is forbidden was multipli")
def masked_softmax_dev_2(S, mask):
    # the mask is multiplied in after exp, so a forbidden inf or NaN spoils the row
    top = np.max(np.where(mask, S, -np.inf), axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    E = np.exp(S - top) * mask
    Z = E.sum(axis=-1, keepdims=True)
    Z[Z == 0] = 1
    return E / Z


@fourth("softmax-backward", "Only the diagonal of the Jacob")
def softmax_backward_dev_1(dP, P):
    # only the diagonal of the Jacobian is used
    dS = np.empty_like(P)
    flatP, flatd, flat = (P.reshape(-1, P.shape[-1]), dP.reshape(-1, P.shape[-1]), dS.reshape(-1, P.shape[-1]))  # noqa: E501
    for r in range(flatP.shape[0]):
        for j in range(flatP.shape[1]):
            flat[r, j] = flatP[r, j] * (1 - flatP[r, j]) * flatd[r, j]
    return dS


@fourth("softmax-backward", "The sum is over dP alone; each")
def softmax_backward_dev_2(dP, P):
    # the row's sum of dP is subtracted without the weights
    total = np.einsum('...t->...', dP)
    return P * (dP - total[..., None])


@fourth("attention-dv", "P was not transposed. Value j ")
def attention_dv_dev_1(dO, cache):
    # the weights are not transposed, the sum runs over the keys instead of the queries (it
    # runs only where Tq = Tk)
    Q, K, V, P = cache
    return np.einsum('...ij,...jd->...id', P, dO)


@fourth("attention-dv", "The mean over the queries was ")
def attention_dv_dev_2(dO, cache):
    # the mean over the queries instead of their sum
    Q, K, V, P = cache
    Tq = P.shape[-2]
    dV = np.zeros(V.shape, dtype=V.dtype)
    for i in range(Tq):
        dV += P[..., i, :, None] * dO[..., i, None, :]
    return dV / Tq


@fourth("dropout-backward", "dV lacks the factor 1/.1 − rat")
def dropout_backward_dev_1(dO, cache):
    # the scale 1/(1 − r) is forgotten in dV
    P, V, keep, rate = cache
    M = keep.astype(P.dtype) / (1.0 - rate)
    dP = np.matmul(dO, V.swapaxes(-1, -2)) * M
    dV = np.matmul((P * keep).swapaxes(-1, -2), dO)
    return (dP, dV)


@fourth("attention-dk", "The factor 1/√Dk is missing. I")
def attention_dk_dev_1(dO, cache):
    # the scale 1/√d is forgotten
    Q, K, V, P = cache
    dP = np.einsum('...id,...jd->...ij', dO, V)
    inner = np.einsum('...ij,...ij->...i', dP, P)
    dS = P * (dP - inner[..., None])
    return np.einsum('...ij,...id->...jd', dS, Q)


@fourth("attention-dk", "dP was used where dS belongs: ")
def attention_dk_dev_2(dO, cache):
    # the softmax backward is left out: dP goes straight to the keys
    Q, K, V, P = cache
    d = Q.shape[-1]
    dP = dO @ V.swapaxes(-1, -2)
    return dP.swapaxes(-1, -2) @ Q / np.sqrt(d)


@fourth("attention-dq", "The scale is 1/√Dv; it should ")
def attention_dq_dev_1(dO, cache):
    # the width of the values under the root instead of that of the keys
    Q, K, V, P = cache
    scale = 1.0 / math.sqrt(V.shape[-1])
    dP = dO @ np.swapaxes(V, -1, -2)
    row = np.sum(dP * P, axis=-1, keepdims=True)
    dS = P * (dP - row)
    return scale * (dS @ K)


@fourth("attention-dq", "The sum in the softmax.s gradi")
def attention_dq_dev_2(dO, cache):
    # the row sum of the softmax backward is taken over the queries' axis
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-2, -1)
    tmp = dP * P
    dS = tmp - P * tmp.sum(axis=-2, keepdims=True)
    dQ = dS @ K
    dQ /= math.sqrt(K.shape[-1])
    return dQ


@fourth("bilinear-dm", "dM is a mean over the batch. A")
def bilinear_dm_dev_1(dO, cache):
    # the batch is averaged instead of summed
    Q, K, V, M, P = cache
    B = Q.shape[0]
    dM = np.zeros_like(M)
    for b in range(B):
        dP = dO[b] @ V[b].T
        dS = P[b] * (dP - (P[b] * dP).sum(1)[:, None])
        dM += Q[b].T @ dS @ K[b] / B
    return dM


@fourth("key-norm-attention-backward", "dK lacks the path through ‖k‖²")
def key_norm_attention_backward_dev_1(dO, cache):
    # the keys' gradient misses the path through the norms
    Q, K, V, P = cache
    dV = np.einsum('...ij,...iv->...jv', P, dO)
    dP = np.einsum('...iv,...jv->...ij', dO, V)
    dS = P * (dP - np.einsum('...ij,...ij->...i', P, dP)[..., None])
    dQ = np.einsum('...ij,...jd->...id', dS, K)
    dK = np.einsum('...ij,...id->...jd', dS, Q)
    return (dQ, dK, dV)


@fourth("attention-backward", "The factor 1/√Dk reached dQ bu")
def attention_backward_dev_1(dO, cache):
    # dK lacks the scale, dQ has it
    Q, K, V, P = cache
    s = 1 / math.sqrt(Q.shape[-1])
    T = lambda A: np.swapaxes(A, -1, -2)
    dV = T(P) @ dO
    dP = dO @ T(V)
    dS = P * (dP - np.sum(P * dP, axis=-1, keepdims=True))
    dQ = dS @ K * s
    dK = T(dS) @ Q
    return (dQ, dK, dV)


@fourth("attention-backward", ".dS. stands where .P. belongs,")
def attention_backward_dev_2(dO, cache):
    # dV is made with dS in place of P
    Q, K, V, P = cache
    scale = math.sqrt(Q.shape[-1])
    dP = np.einsum('...qd,...kd->...qk', dO, V)
    dS = P * dP - P * np.einsum('...qk,...qk->...q', P, dP)[..., None]
    dQ = np.einsum('...qk,...kd->...qd', dS, K) / scale
    dK = np.einsum('...qk,...qd->...kd', dS, Q) / scale
    dV = np.einsum('...qk,...qd->...kd', dS, dO)
    return (dQ, dK, dV)


@fourth("attention-backward", "dQ is what dK should be. dK is")
def attention_backward_dev_3(dO, cache):
    # dQ and dK are returned in each other's place: the products with K and Q are exchanged
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    D = (dP * P).sum(-1, keepdims=True)
    dS = P * (dP - D) / math.sqrt(Q.shape[-1])
    grad_q = dS.swapaxes(-1, -2) @ Q
    grad_k = dS @ K
    grad_v = P.swapaxes(-1, -2) @ dO
    return (grad_q, grad_k, grad_v)


@fourth("additive-attention-backward", "The tanh was not differentiate")
def additive_attention_backward_dev_1(dO, cache):
    # the derivative of tanh is forgotten
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = np.einsum('biv,bjv->bij', dO, V)
    dS = P * (dP - (dP * P).sum(-1)[..., None])
    dw = (dS[..., None] * F).sum(axis=(0, 1, 2))
    dF = dS[..., None] * w
    dWq = np.einsum('bid,bijh->dh', Q, dF)
    dWk = np.einsum('bjd,bijh->dh', K, dF)
    return (dWq, dWk, dw)


@fourth("additive-attention-backward", ".1.0 - F . F. stands where .F.")
def additive_attention_backward_dev_2(dO, cache):
    # dw uses the derivative of tanh instead of the hidden units
    Q, K, V, Wq, Wk, w, F, P = cache
    B = len(Q)
    dWq, dWk, dw = (np.zeros_like(Wq), np.zeros_like(Wk), np.zeros_like(w))
    for b in range(B):
        dP = dO[b] @ V[b].T
        dS = P[b] * (dP - np.sum(dP * P[b], axis=1, keepdims=True))
        back = dS[:, :, None] * (1 - F[b] ** 2)
        dw += back.sum((0, 1))
        back = back * w
        dWq += Q[b].T @ back.sum(1)
        dWk += K[b].T @ back.sum(0)
    return (dWq, dWk, dw)


@fourth("additive-to-dot", "The factor 1/√D is missing in ")
def additive_to_dot_dev_1(state, memory, valid_lens):
    # no scaling by √D

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    B, T, D = memory.shape
    s = (memory @ state[:, :, None])[:, :, 0]
    mask = np.arange(T)[None, :] < np.asarray(valid_lens)[:, None]
    p = masked_softmax(s, mask)
    return ((p[:, None, :] @ memory)[:, 0], p)


@fourth("lstm-cell-backward", "The gradient of the new cell, ")
def lstm_cell_backward_dev_1(dY, cache):
    # the gradient that arrives at the new cell is not used
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    tN = np.tanh(N)
    dO_ = dHn * tN
    dN = dHn * O * (1 - tN * tN)
    dI, dF, dG = (dN * G, dN * C, dN * I)
    dZ = np.hstack([dI * I * (1 - I), dF * F * (1 - F), dO_ * O * (1 - O), dG * (1 - G * G)])
    return (dZ @ Wx.T, dZ @ Wh.T, dN * F, X.T @ dZ, H.T @ dZ, dZ.sum(axis=0))


@fourth("lstm-cell-backward", "The candidate got G .1 − G.; i")
def lstm_cell_backward_dev_2(dY, cache):
    # the sigmoid's derivative is used for the candidate as well
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    sig = lambda a: a * (1.0 - a)
    dN = dCn + dHn * O * (1.0 - np.tanh(N) ** 2)
    parts = [dN * G * sig(I), dN * C * sig(F), dHn * np.tanh(N) * sig(O), dN * I * sig(G)]
    dZ = np.concatenate(parts, axis=1)
    dX = dZ @ Wx.T
    dH = dZ @ Wh.T
    return (dX, dH, dN * F, X.T @ dZ, H.T @ dZ, dZ.sum(0))


@fourth("split-heads", "The array was reshaped straigh")
def split_heads_dev_1(X, num_heads):
    # reshaped to the heads directly, without swapping the axes
    lead, T, W = (X.shape[:-2], X.shape[-2], X.shape[-1])
    return np.reshape(X, lead + (num_heads, T, W // num_heads))


@fourth("linear-backward", "One change in your function makes it right")
def linear_backward_dev_1(dY, cache):
    # db summed over axis 0 only
    X, W = cache
    Din, Dout = W.shape
    dX = np.einsum('...o,io->...i', dY, W)
    dW = np.einsum('ni,no->io', X.reshape(-1, Din), dY.reshape(-1, Dout))
    db = dY.sum(axis=0) if dY.ndim > 1 else dY.copy()
    return (dX, dW, db)


@fourth("linear-backward", "a mean was taken where a sum b")
def linear_backward_dev_2(dY, cache):
    # the gradient of the bias is averaged over the positions
    X, W = cache
    Dout = W.shape[1]
    flatX = X.reshape(-1, W.shape[0])
    flatY = dY.reshape(-1, Dout)
    dW = np.zeros_like(W)
    for n in range(len(flatX)):
        dW += np.outer(flatX[n], flatY[n])
    return (np.dot(dY, W.T), dW, flatY.mean(axis=0))


@fourth("merge-heads-backward", "Column d·H . h went to head h.")
def merge_heads_backward_dev_1(dY, num_heads):
    # heads and columns within the head exchanged: columns dealt out in turn
    *lead, T, W = dY.shape
    H = num_heads
    dO = np.empty((*lead, H, T, W // H), dtype=dY.dtype)
    for h in range(H):
        dO[..., h, :, :] = dY[..., h::H]
    return dO


@fourth("per-head-weights", "The scale is 1/√.H·D., by the ")
def per_head_weights_dev_1(X, Wq, Wk, H, mask):
    # scaled by the whole width instead of the head's

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    B, T, Dx = X.shape
    q = np.einsum('btx,xd->btd', X, Wq).reshape(B, T, H, -1)
    k = np.einsum('btx,xd->btd', X, Wk).reshape(B, T, H, -1)
    s = np.einsum('bihd,bjhd->bhij', q, k) / np.sqrt(Wq.shape[1])
    return masked_softmax(s, mask)


@fourth("head-gate-backward", "dg has a factor g: the gated o")
def head_gate_backward_dev_1(dY, cache):
    # the gates' gradient uses the gated output: one factor g too many
    O, g, Wo = cache
    B, H, T, D = O.shape
    W = Wo.reshape(H, D, -1)
    d = np.einsum('bty,hdy->bhtd', dY, W)
    dO = d * g[None, :, None, None]
    dg = np.einsum('bhtd,bhtd->h', dO, O)
    return (dO, dg)


@fourth("sinusoidal-positions", "Each column has a frequency of")
def sinusoidal_positions_dev_1(X, offset):
    # the exponent uses the column's own index for the cosine as well as for the sine
    T, D = (X.shape[-2], X.shape[-1])
    pos = np.arange(offset, offset + T)
    col = np.arange(D)
    angles = pos[:, None] / np.power(10000.0, col / D)
    P = np.where(col % 2 == 0, np.sin(angles), np.cos(angles))
    return (X + P).astype(X.dtype)


@fourth("learned-positions-backward", "The rows start at 0; they shou")
def learned_positions_backward_dev_1(dY, cache):
    # the offset is ignored
    E, offset = cache
    T, D = dY.shape[-2:]
    dE = np.zeros_like(E)
    dE[:T] = dY.reshape(-1, T, D).sum(axis=0)
    return dE


@fourth("relative-positions", "Pairs further apart than c wer")
def relative_positions_dev_1(dS, cache):
    # distances beyond the largest one are left out instead of clipped
    Q, A = cache
    Tq, Tk = dS.shape[-2:]
    c = A.shape[0] // 2
    dQ, dA = (np.zeros_like(Q), np.zeros_like(A))
    for i in range(Tq):
        for j in range(Tk):
            if abs(j - i) > c:
                continue
            r = j - i + c
            dQ[..., i, :] += dS[..., i, j, None] * A[r]
            dA[r] += np.einsum('...,...d->d', dS[..., i, j], Q[..., i, :])
    return (dQ, dA)


@fourth("self-attention-backward", "dX lacks what goes through the")
def self_attention_backward_dev_1(dY, cache):
    # dX lacks the path through the queries

    def split(X, H):
        return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)

    def merge(X):
        B, H, T, D = X.shape
        return X.swapaxes(1, 2).reshape(B, T, H * D)
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    H = Q.shape[1]
    d = Q.shape[-1]
    dWo = np.tensordot(merge(O), dY, axes=([0, 1], [0, 1]))
    dO = split(dY @ Wo.T, H)
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True)) / math.sqrt(d)
    dQ = merge(dS @ K)
    dK = merge(dS.swapaxes(-1, -2) @ Q)
    dV = merge(P.swapaxes(-1, -2) @ dO)
    dWq, dWk, dWv = (np.tensordot(X, a, axes=([0, 1], [0, 1])) for a in (dQ, dK, dV))
    dX = dK @ Wk.T + dV @ Wv.T
    return (dX, dWq, dWk, dWv, dWo)


@fourth("self-attention-backward", ".V. stands where .O. belongs, ")
def self_attention_backward_dev_2(dY, cache):
    # dWo is made from the values instead of the heads' outputs

    def split(X, H):
        return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)

    def merge(X):
        B, H, T, D = X.shape
        return X.swapaxes(1, 2).reshape(B, T, H * D)
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, T, _ = X.shape
    H, D = (Q.shape[1], Q.shape[-1])
    dWo = merge(V).reshape(B * T, -1).T @ dY.reshape(B * T, -1)
    dOh = split(dY @ Wo.T, H)
    dVh = np.einsum('bhij,bhid->bhjd', P, dOh)
    dPh = np.einsum('bhid,bhjd->bhij', dOh, V)
    dSh = P * (dPh - np.einsum('bhij,bhij->bhi', P, dPh)[..., None]) / D ** 0.5
    dQ = merge(np.einsum('bhij,bhjd->bhid', dSh, K))
    dK = merge(np.einsum('bhij,bhid->bhjd', dSh, Q))
    dV = merge(dVh)
    Xf = X.reshape(B * T, -1)
    fl = lambda a: a.reshape(B * T, -1)
    return (dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T, Xf.T @ fl(dQ), Xf.T @ fl(dK), Xf.T @ fl(dV), dWo)


@fourth("layer-norm", "ε was added to the standard de")
def layer_norm_dev_1(X, gain, bias, eps):
    # eps is added to the standard deviation, outside of the root
    mu = np.mean(X, axis=-1, keepdims=True)
    sd = np.std(X, axis=-1, keepdims=True)
    out = (X - mu) / (sd + eps)
    return out * gain + bias


@fourth("layer-norm", "The variance is divided by D −")
def layer_norm_dev_2(X, gain, bias, eps):
    # the unbiased variance, divided by D − 1
    D = X.shape[-1]
    mu = X.sum(axis=-1, keepdims=True) / D
    c = X - mu
    var = np.einsum('...d,...d->...', c, c)[..., None] / (D - 1)
    return gain * c / np.sqrt(var + eps) + bias


@fourth("causal-mask", "The triangle starts in the upp")
def causal_mask_dev_1(Tq, Tk):
    # built for the first Tq positions instead of the last
    mask = np.zeros((Tq, Tk), dtype=bool)
    for i in range(Tq):
        mask[i, :i + 1] = True
    return mask


@fourth("embedding-backward", "Where a token occurs several t")
def embedding_backward_dev_1(dY, cache):
    # repeated tokens overwrite one another with += by index
    ids, E = cache
    D = E.shape[-1]
    dE = np.zeros_like(E)
    flat = ids.reshape(-1)
    dE[flat] += math.sqrt(D) * dY.reshape(-1, D)
    return dE


@fourth("embedding-backward", "The factor √D is missing: it m")
def embedding_backward_dev_2(dY, cache):
    # the factor √D is forgotten
    ids, E = cache
    vocab, D = E.shape
    onehot = (ids[..., None] == np.arange(vocab)).astype(E.dtype)
    return onehot.reshape(-1, vocab).T @ dY.reshape(-1, D)


@fourth("kv-cache", "The query attends to the old c")
def kv_cache_dev_1(x, K, V, Wq, Wk, Wv):
    # the query attends to the past only: the new key and value are joined afterwards
    d = Wq.shape[1]
    q = x @ Wq
    s = q @ K.swapaxes(-1, -2) / np.sqrt(d)
    s = s - s.max(-1, keepdims=True, initial=-1e+300)
    e = np.exp(s)
    z = e.sum(-1, keepdims=True)
    o = e / np.where(z == 0, 1, z) @ V
    K = np.concatenate([K, x @ Wk], axis=-2)
    V = np.concatenate([V, x @ Wv], axis=-2)
    return (o, K, V)


@fourth("cross-entropy-backward", "The sum was divided by the num")
def cross_entropy_backward_dev_1(dloss, cache):
    # divided by all tokens, the padded ones included
    P, targets, pad = cache
    C = P.shape[-1]
    real = targets != pad
    onehot = np.eye(C)[np.where(real, targets, 0)]
    d = (P - onehot) * real[..., None]
    return d * dloss / targets.size


@fourth("cross-entropy-backward", "dloss is not used. The loss ma")
def cross_entropy_backward_dev_2(dloss, cache):
    # the upstream gradient is not multiplied in
    P, targets, pad = cache
    real = (targets != pad).ravel()
    d = np.array(P).reshape(-1, P.shape[-1])
    t = targets.ravel()
    n = max(real.sum(), 1)
    for i in range(len(d)):
        if real[i]:
            d[i, t[i]] -= 1.0
            d[i] /= n
        else:
            d[i] = 0.0
    return d.reshape(P.shape)


@fourth("layer-norm-backward", "The variance was treated as a ")
def layer_norm_backward_dev_1(dY, cache):
    # the term of the variance is missing
    Xhat, rstd, gain = cache
    D = Xhat.shape[-1]
    dxhat = dY * gain
    dX = rstd * (dxhat - dxhat.mean(axis=-1, keepdims=True))
    dgain = np.sum((dY * Xhat).reshape(-1, D), axis=0)
    dbias = np.sum(dY.reshape(-1, D), axis=0)
    return (dX, dgain, dbias)


@fourth("layer-norm-backward", ".dXhat. stands where .dY. belo")
def layer_norm_backward_dev_2(dY, cache):
    # dgain is made from dY times gain: the gain is multiplied in once too often
    Xhat, rstd, gain = cache
    D = gain.size
    g = dY * gain
    m1 = g.sum(-1, keepdims=True) / D
    m2 = np.einsum('...d,...d->...', g, Xhat)[..., None] / D
    dX = (g - m1 - Xhat * m2) * rstd
    dgain = np.einsum('nd,nd->d', g.reshape(-1, D), Xhat.reshape(-1, D))
    dbias = dY.reshape(-1, D).sum(0)
    return (dX, dgain, dbias)


@fourth("residual-norm-block-backward", "dX has only the gradient throu")
def residual_norm_block_backward_dev_1(dY, cache):
    # the residual path is missing in dX
    X, W, H, Xhat, rstd, gain = cache
    D = W.shape[0]
    g = dY * gain
    dR = (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True)) * rstd
    dA = np.where(H > 0, dR, 0.0)
    dW = np.einsum('ni,no->io', X.reshape(-1, D), dA.reshape(-1, D))
    dX = dA @ W.T
    return (dX, dW)


@fourth("cross-attention-backward", "dM holds only what goes throug")
def cross_attention_backward_dev_1(dO, cache):
    # the memory gets the values' path only
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    r = math.sqrt(Q.shape[-1])
    dP = dO @ V.swapaxes(1, 2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dQ = dS @ K / r
    dK = dS.swapaxes(1, 2) @ Q / r
    dV = P.swapaxes(1, 2) @ dO
    dWq = (X.swapaxes(1, 2) @ dQ).sum(0)
    dWk = (M.swapaxes(1, 2) @ dK).sum(0)
    dWv = (M.swapaxes(1, 2) @ dV).sum(0)
    return (dQ @ Wq.T, dV @ Wv.T, dWq, dWk, dWv)


@fourth("causal-jacobian", "The path through the query is ")
def causal_jacobian_dev_1(X):
    # the path through the query is missing on the diagonal blocks
    T, D = X.shape
    S = X @ X.T / np.sqrt(D)
    E = np.exp(S - S.max(1, keepdims=True)) * np.tril(np.ones((T, T)))
    P = E / E.sum(1, keepdims=True)
    O = P @ X
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / np.sqrt(D))
    return J


@fourth("gelu-backward", "The density lacks its constant")
def gelu_backward_dev_1(dY, cache):
    # the density's normalisation 1/√(2π) is missing
    X, Phi = cache
    phi = np.exp(-0.5 * X ** 2)
    return dY * (Phi + X * phi)


@fourth("gelu-backward", "The second term lacks its fact")
def gelu_backward_dev_2(dY, cache):
    # the density is not multiplied with X
    X, Phi = cache
    c = 1.0 / math.sqrt(2.0 * math.pi)
    pdf = c * np.exp(-X * X / 2.0)
    slope = Phi + pdf
    return slope * dY


@fourth("mean-pooling-backward", "dZ was divided by the number o")
def mean_pooling_backward_dev_1(dY, cache):
    # the cls token is counted: spread over 1+N positions
    Z, W, m = cache
    B, L, D = Z.shape
    dm = dY @ W.T
    dZ = np.zeros_like(Z)
    for t in range(1, L):
        dZ[:, t] = dm / L
    return (dZ, m.T @ dY, dY.sum(axis=0))


@fourth("adam-step", "The first two steps count as s")
def adam_step_dev_1(p, g, m, v, steps, lr, beta1, beta2, eps):
    # the bias correction uses t − 1: steps instead of steps + 1 (from the second step on)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * np.square(g)
    t = max(steps, 1)
    mhat = m / (1 - beta1 ** t)
    vhat = v / (1 - beta2 ** t)
    return (p - lr * mhat / (np.sqrt(vhat) + eps), m, v)


@fourth("adam-step", "m̂ and v̂ were returned as the")
def adam_step_dev_2(p, g, m, v, steps, lr, beta1, beta2, eps):
    # the corrected means are returned and stored
    t = steps + 1
    m_new = (beta1 * m + (1 - beta1) * g) / (1 - beta1 ** t)
    v_new = (beta2 * v + (1 - beta2) * g ** 2) / (1 - beta2 ** t)
    p_new = p - lr * m_new / (np.sqrt(v_new) + eps)
    return (p_new, m_new, v_new)


@fourth("soft-cap-backward", "1 − Y² was used; tanh.s/c. is ")
def soft_cap_backward_dev_1(dY, cache):
    # 1 − Y² without dividing Y by the cap
    S, Y, cap = cache
    Y = np.asarray(Y)
    return dY * (1.0 - Y * Y)


@fourth("window-mask", "The window has one key too man")
def window_mask_dev_1(Tq, Tk, w):
    # the window has one key too many: w before the own position
    mask = np.zeros((Tq, Tk), dtype=bool)
    for i in range(Tq):
        pos = Tk - Tq + i
        lo = max(pos - w, 0)
        mask[i, lo:pos + 1] = True
    return mask


@fourth("linear-attention", "The query read before its own ")
def linear_attention_dev_1(Q, K, V):
    # the query reads before its own key and value are written
    lead = Q.shape[:-2]
    T, Dk = Q.shape[-2:]
    S = np.zeros(lead + (Dk, V.shape[-1]), dtype=Q.dtype)
    O = np.empty_like(V)
    for t in range(T):
        O[..., t, :] = np.einsum('...kv,...k->...v', S, Q[..., t, :])
        S = S + np.einsum('...k,...v->...kv', K[..., t, :], V[..., t, :])
    return (O, S)


@fourth("rotary-backward", "dY was turned the same way as ")
def rotary_backward_dev_1(dY, cache):
    # turned forward again instead of back
    cos, sin = cache
    a, b = (dY[..., ::2], dY[..., 1::2])
    out = np.stack([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return out.reshape(dY.shape)


@fourth("sink-softmax", "The scores were shifted by the")
def sink_softmax_dev_1(S, b):
    # the sink's term is not shifted along with the scores
    top = S.max(axis=-1, keepdims=True)
    E = np.exp(S - top)
    return E / (E.sum(axis=-1, keepdims=True) + np.exp(b))


@fourth("swiglu-backward", "σ was treated as a constant: t")
def swiglu_backward_dev_1(dY, cache):
    # the derivative of SiLU is taken to be σ alone
    G, U = cache
    s = 1.0 / (1.0 + np.exp(-np.clip(G, -500, 500)))
    dU = dY * (G * s)
    dG = dY * U * s
    return (dG, dU)


@fourth("absorbed-scores", "The scale is 1/√Dc, by the wid")
def absorbed_scores_dev_1(Q, W, C):
    # scaled by the latent width instead of the head's width
    B, H, Tq, D = Q.shape
    absorbed = np.einsum('hcd,bhid->bhic', W, Q)
    S = absorbed @ C[:, None].swapaxes(-1, -2)
    return S / np.sqrt(absorbed.shape[-1])


@fourth("delta-rule", "The query read from the old st")
def delta_rule_dev_1(S, q, k, v, beta):
    # the output is read from the old state
    u = (S * k[..., :, None]).sum(axis=-2)
    N = S + beta[..., None] * k[..., :, None] * (v - u)[..., None, :]
    o = (S * q[..., :, None]).sum(axis=-2)
    return (o, N)


@fourth("merge-partials", "The outputs were averaged as i")
def merge_partials_dev_1(O1, L1, O2, L2):
    # the two outputs are averaged with equal weights instead of by their sums of
    # exponentials
    L = np.logaddexp(L1, L2)
    O = 0.5 * (O1 + O2)
    return (O, L)


@fourth("online-softmax", "The old sum was added as it is")
def online_softmax_dev_1(m, z, S):
    # the sum so far is not rescaled to the new maximum
    new = np.maximum(m, S.max(axis=-1))
    safe = np.where(np.isneginf(new), 0.0, new)
    add = np.exp(S - safe[..., None]).sum(axis=-1)
    return (new, z + add)


@fourth("rms-norm-backward", "The root mean square was treat")
def rms_norm_backward_dev_1(dY, cache):
    # the scale is held fixed: the row's rstd has no gradient
    X, gain, rstd = cache
    D = X.shape[-1]
    dX = dY * gain * rstd
    dgain = np.einsum('...d,...d->...d', dY, X * rstd).reshape(-1, D).sum(axis=0)
    return (dX, dgain)


@fourth("rotary-halves-backward", "Column 2i was paired with colu")
def rotary_halves_backward_dev_1(dY, cache):
    # pairs neighbours (even and odd columns) instead of halves
    cos, sin = cache
    dX = np.zeros_like(dY)
    even, odd = (dY[..., 0::2], dY[..., 1::2])
    dX[..., 0::2] = cos * even + sin * odd
    dX[..., 1::2] = cos * odd - sin * even
    return dX


@fourth("co-attention-backward", "dS holds only what comes from ")
def co_attention_backward_dev_1(dO, cache):
    # only side a's scores get a gradient: the path through Pb is missing in dA and dB
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    r = math.sqrt(A.shape[-1])
    dVb = Pa.swapaxes(-1, -2) @ dOa
    dVa = Pb.swapaxes(-1, -2) @ dOb
    dPa = dOa @ Vb.swapaxes(-1, -2)
    dS = Pa * (dPa - (Pa * dPa).sum(-1, keepdims=True)) / r
    return (dS @ B, dS.swapaxes(-1, -2) @ A, dVa, dVb)


@fourth("experts-backward", "The balance.s gradient is miss")
def experts_backward_dev_1(dY, cache):
    # the balance has no gradient: its path is forgotten
    X, R, F, chosen, P, A = cache
    dy, db = dY
    dF = np.einsum('ne,ny->ney', P, dy)
    dP = np.einsum('ney,ny->ne', F, dy)
    dG = P * (dP - (P * dP).sum(1, keepdims=True))
    return (dG @ R.T, X.T @ dG, dF)


@fourth("grouped-attention-backward", "Only the first head of each gr")
def grouped_attention_backward_dev_1(dO, cache):
    # keys and values get the gradient of the first head of the group only
    Q, K, V, P = cache
    kk, vv = (K[:, :, None], V[:, :, None])
    dP = dO @ vv.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(K.shape[-1])
    dQ = dS @ kk
    dK = np.einsum('bgij,bgid->bgjd', dS[:, :, 0], Q[:, :, 0])
    dV = np.einsum('bgij,bgiv->bgjv', P[:, :, 0], dO[:, :, 0])
    return (dQ, dK, dV)


@fourth("qk-norm-attention-backward", "The lengths were taken for con")
def qk_norm_attention_backward_dev_1(dO, cache):
    # the backward of the normalization lacks its projection in dQ and dK
    Q, K, V, t, nq, nk, P = cache
    qh, kh = (Q / nq, K / nk)
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dt = (dS * (qh @ kh.swapaxes(-1, -2))).sum()
    dQ = t * (dS @ kh) / nq
    dK = t * (dS.swapaxes(-1, -2) @ qh) / nk
    return (dQ, dK, dV, dt)


@fourth("tiled-backward", "δ was summed over the tile.s k")
def tiled_backward_dev_1(dO, cache):
    # the row sum is taken over the tile only, instead of from O
    Q, K, V, mask, O, L = cache
    S = Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1])
    P = np.exp(S - np.where(np.isneginf(L), 0.0, L)[..., None])
    if mask is not None:
        P = np.where(mask, P, 0.0)
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return (dS.swapaxes(-1, -2) @ Q / math.sqrt(Q.shape[-1]), dV)


@fourth("random-heatmap", "The entropy is in bits, by log")
def random_heatmap_dev_1(S):
    # entropy by log base 2, then e to it
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)
    h = -np.einsum('...ij,...ij->...i', P, np.log2(P))
    return (P, np.exp(h))


@fourth("nadaraya-watson-dw", ".dP. is subtracted where it mu")
def nadaraya_watson_dw_dev_1(df, cache):
    # the sign of the score's derivative is lost
    x, k, y, w, P = cache
    dist = x[:, None] - k[None, :]
    g = df[:, None] * y[None, :]
    dS = P * (g - (P * g).sum(axis=1, keepdims=True))
    return np.sum(dS * dist ** 2 * w)


@fourth("nw-many-parameters", "Each key of dw is the sum of a")
def nw_many_parameters_dev_1(df, cache):
    # dw is summed over all keys too, so that all widths get one and the same gradient
    x, k, y, w, b, P = cache
    n = len(k)
    u = x[:, None] - k
    g = np.outer(df, y)
    dS = P * (g - (g * P).sum(1)[:, None])
    dw = np.full(n, -(dS * u ** 2 * w).sum())
    return (dw, dS.sum(axis=0), P.T @ df)


@fourth("changed-keys", "The factor 1/√Dk is missing in")
def changed_keys_dev_1(Q, K, Wq, Wk, w, W, valid_lens):
    # the dot-product score lacks the scale 1/√Dk

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    mask = np.arange(K.shape[1])[None, None, :] < np.asarray(valid_lens)[:, None, None]
    hid = np.tanh(np.einsum('bid,dh->bih', Q, Wq)[:, :, None] + np.einsum('bjd,dh->bjh', K, Wk)[:, None])  # noqa: E501
    sa = np.einsum('bijh,h->bij', hid, w)
    sd = np.einsum('bid,de,bje->bij', Q, W, K)
    return (masked_softmax(sa, mask), masked_softmax(sd, mask))


@fourth("vector-sum-score", "The gradient of the softmax la")
def vector_sum_score_dev_1(dO, cache):
    # the row sum of the softmax backward is forgotten: dS = P dP, so dQ is not 0
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * dP
    ones = np.ones(Q.shape[-1])
    dQ = dS.sum(-1)[..., None] * ones
    dK = dS.sum(-2)[..., None] * ones
    return (dQ, dK, P.swapaxes(-1, -2) @ dO)


@fourth("softmax", "")
def softmax_dev_3(S):
    # the answer is computed in place and overwrites the scores given
    S -= S.max(axis=-1, keepdims=True)
    np.exp(S, out=S)
    S /= S.sum(axis=-1, keepdims=True)
    return S


@fourth("layer-norm-backward", "dgain has leading axes that ar")
def layer_norm_backward_dev_3(dY, cache):
    # gain and bias gradients keep the middle axes: sums over axis 0 only
    Xhat, rstd, gain = cache

    def rowmean(a):
        return np.mean(a, axis=-1, keepdims=True)
    h = gain * dY
    dX = rstd * (h - rowmean(h) - Xhat * rowmean(h * Xhat))
    if dY.ndim == 1:
        return (dX, dY * Xhat, dY)
    return (dX, np.sum(dY * Xhat, axis=0), np.sum(dY, axis=0))


@fourth("softmax-backward", "One change in your function makes it right")
def softmax_backward_dev_3(dP, P):
    # the Jacobian's minus sign is lost in the off-diagonal: p_j p_k added, by loops
    dS = np.zeros_like(P)
    T = P.shape[-1]
    for j in range(T):
        for k in range(T):
            if j == k:
                dS[..., j] += P[..., j] * (1 - P[..., j]) * dP[..., j]
            else:
                dS[..., j] += P[..., j] * P[..., k] * dP[..., k]
    return dS


@fourth("split-heads", "All is right where X has 3 axe")
def split_heads_dev_2(X, num_heads):
    # only right for one leading axis: the batch is taken from the first, axes fixed
    B, T, W = X.shape
    D = W // num_heads
    Y = np.zeros((B, num_heads, T, D), dtype=X.dtype)
    for h in range(num_heads):
        Y[:, h] = X[:, :, h * D:(h + 1) * D]
    return Y


@fourth("merge-partials", "exp.L. was made without subtra")
def merge_partials_dev_2(O1, L1, O2, L2):
    # the largest is not subtracted: exp(L) overflows for large L
    w1, w2 = (np.exp(L1), np.exp(L2))
    total = w1 + w2
    safe = np.where(total > 0, total, 1.0)
    O = (w1[..., None] * O1 + w2[..., None] * O2) / safe[..., None]
    with np.errstate(divide='ignore'):
        L = np.log(total)
    return (O, L)


@fourth("online-softmax", "As long as no score is above −")
def online_softmax_dev_2(m, z, S):
    # −∞ minus −∞ gives NaN where no key was seen yet
    new = np.maximum(m, S.max(axis=-1))
    z_new = z * np.exp(m - new) + np.sum(np.exp(S - new[..., None]), axis=-1)
    return (new, z_new)


@fourth("kv-cache", "One change in your function makes it right")
def kv_cache_dev_2(x, K, V, Wq, Wk, Wv):
    # joined along axis 1, which is the tokens' axis only with exactly one leading axis
    Kn = np.concatenate((K, x @ Wk), axis=1)
    Vn = np.concatenate((V, x @ Wv), axis=1)
    s = np.einsum('...id,...jd->...ij', x @ Wq, Kn) / np.sqrt(Kn.shape[-1])
    w = np.exp(s - s.max(axis=-1, keepdims=True))
    w = w / w.sum(axis=-1, keepdims=True)
    return (np.einsum('...ij,...jv->...iv', w, Vn), Kn, Vn)


@fourth("additive-to-dot", "The mask was applied after the")
def additive_to_dot_dev_2(state, memory, valid_lens):
    # the mask is applied after the softmax, the weights are not normalized again
    B, T, D = memory.shape
    s = np.einsum('bd,btd->bt', state, memory) / np.sqrt(D)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    real = np.arange(T) < valid_lens[:, None]
    P = P * real
    return (np.einsum('bt,btd->bd', P, memory), P)


@fourth("tiled-backward", "Only queries without any key w")
def tiled_backward_dev_2(dO, cache):
    # the mask is not looked at
    Q, K, V, mask, O, L = cache
    d = Q.shape[-1]
    S = np.einsum('...id,...jd->...ij', Q, K) / math.sqrt(d)
    P = np.exp(S - np.where(np.isneginf(L), np.inf, L)[..., None])
    delta = np.einsum('...iv,...iv->...i', dO, O)
    dS = P * (np.einsum('...iv,...jv->...ij', dO, V) - delta[..., None])
    return (np.einsum('...ij,...id->...jd', dS, Q) / math.sqrt(d), np.einsum('...ij,...iv->...jv', P, dO))  # noqa: E501


@fourth("per-head-weights", "The last axis was reshaped str")
def per_head_weights_dev_2(X, Wq, Wk, H, mask):
    # the heads are split without swapping positions and heads

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    B, T, _ = X.shape
    Q = (X @ Wq).reshape(B, H, T, -1)
    K = (X @ Wk).reshape(B, H, T, -1)
    S = np.matmul(Q, K.transpose(0, 1, 3, 2)) / np.sqrt(Q.shape[-1])
    return masked_softmax(S, mask)


@fourth("unit-sphere-distance", "keys were not divided by their lengths")
def unit_sphere_distance_dev_2(Q, K, sigma):
    # only the queries are normalized, the keys keep their length
    Qn = Q / np.linalg.norm(Q, axis=-1, keepdims=True)
    D = (Qn ** 2).sum(-1)[..., :, None] + (K ** 2).sum(-1)[..., None, :] - 2 * np.einsum('...iw,...jw->...ij', Qn, K)  # noqa: E501
    S = -D / (2 * sigma ** 2)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return (D, E / E.sum(axis=-1, keepdims=True))


@fourth("valid-lens-mask", "Of lengths .B, Tq., only those")
def valid_lens_mask_dev_2(valid_lens, Tq, Tk):
    # a length for each query is read as one for the whole sequence: the first one
    lens = np.asarray(valid_lens)
    if lens.ndim == 2:
        lens = lens[:, 0]
    row = np.arange(Tk)[None, :] < lens[:, None]
    return np.repeat(row[:, None, :], Tq, axis=1)


@fourth("softmax-backward", "A mean was taken where a sum b")
def softmax_backward_dev_4(dP, P):
    # the row sum is a mean over the keys
    inner = np.mean(P * dP, axis=-1, keepdims=True)
    dS = P * dP
    dS = dS - P * inner
    return dS


@fourth("attention-dq", ".math.sqrt.Q.shape.-1... multi")
def attention_dq_dev_3(dO, cache):
    # multiplied by √d instead of divided
    Q, K, V, P = cache
    T = V.swapaxes(-1, -2)
    dP = dO @ T
    dS = P * dP
    dS = dS - P * dS.sum(axis=-1, keepdims=True)
    return dS @ K * math.sqrt(Q.shape[-1])


@fourth("additive-to-dot", "Padding got the score 0, which")
def additive_to_dot_dev_3(state, memory, valid_lens):
    # padding is masked with 0 instead of −∞, so it keeps weight
    B, T, D = memory.shape
    c = np.zeros((B, D), dtype=memory.dtype)
    P = np.zeros((B, T), dtype=memory.dtype)
    for b in range(B):
        s = memory[b] @ state[b] / np.sqrt(D)
        s[valid_lens[b]:] = 0
        e = np.exp(s - s.max())
        P[b] = e / e.sum()
        c[b] = P[b] @ memory[b]
    return (c, P)


@fourth("merge-heads-backward", "dY was reshaped straight to ..")
def merge_heads_backward_dev_2(dY, num_heads):
    # reshaped to (H, T, D) without moving the heads' axis
    shape = dY.shape
    D = shape[-1] // num_heads
    return dY.reshape(shape[:-2] + (num_heads, shape[-2], D))


@fourth("learned-positions-backward", "The mean over the batch was ta")
def learned_positions_backward_dev_2(dY, cache):
    # the mean over the batch instead of the sum
    E, offset = cache
    dE = np.zeros(E.shape, dtype=E.dtype)
    T, D = (dY.shape[-2], dY.shape[-1])
    rows = dY.reshape(-1, T, D)
    dE[offset:offset + T] += rows.mean(axis=0)
    return dE


@fourth("causal-mask", "A query may not attend to its ")
def causal_mask_dev_2(Tq, Tk):
    # the query's own position is forbidden
    q = np.arange(Tk - Tq, Tk)
    k = np.arange(Tk)
    return q[:, None] > k[None, :]


@fourth("layer-norm-backward", "The mean was treated as a cons")
def layer_norm_backward_dev_4(dY, cache):
    # the mean is held fixed: its term is missing
    Xhat, rstd, gain = cache
    g = dY * gain
    proj = np.einsum('...d,...d->...', g, Xhat) / Xhat.shape[-1]
    dX = (g - Xhat * proj[..., None]) * rstd
    axes = tuple(range(dY.ndim - 1))
    return (dX, (dY * Xhat).sum(axis=axes), dY.sum(axis=axes))


@fourth("gelu-backward", "This is the derivative of the ")
def gelu_backward_dev_3(dY, cache):
    # the derivative of the logistic approximation x σ(1.702 x)
    X, Phi = cache
    s = 1.0 / (1.0 + np.exp(-1.702 * X))
    return dY * (s + 1.702 * X * s * (1.0 - s))


@fourth("window-mask", "The window reaches ahead as fa")
def window_mask_dev_2(Tq, Tk, w):
    # the future is not forbidden: the window reaches to both sides
    q = np.arange(Tk - Tq, Tk).reshape(-1, 1)
    k = np.arange(Tk).reshape(1, -1)
    return np.abs(q - k) < w


@fourth("swiglu-backward", "dG lacks the factor U: in a pr")
def swiglu_backward_dev_2(dY, cache):
    # dG forgets the factor U
    G, U = cache
    sig = 0.5 * (1 + np.tanh(G / 2))
    dsilu = sig + G * sig * (1 - sig)
    return (dY * dsilu, dY * G * sig)


@fourth("merge-partials", "The weighted outputs were not ")
def merge_partials_dev_3(O1, L1, O2, L2):
    # the outputs are added without dividing by the common sum
    m = np.maximum(L1, L2)
    m = np.where(np.isneginf(m), 0.0, m)
    a = np.exp(L1 - m)
    b = np.exp(L2 - m)
    O = a[..., None] * O1 + b[..., None] * O2
    with np.errstate(divide='ignore'):
        return (O, m + np.log(a + b))


@fourth("rotary-halves-backward", "dY was turned the same way as ")
def rotary_halves_backward_dev_2(dY, cache):
    # the forward rotation once more
    cos, sin = cache
    out = dY.copy()
    half = dY.shape[-1] // 2
    for i in range(half):
        c, s = (cos[:, i], sin[:, i])
        out[..., i] = c * dY[..., i] - s * dY[..., i + half]
        out[..., i + half] = s * dY[..., i] + c * dY[..., i + half]
    return out


@fourth("random-heatmap", "n is the entropy itself; the n")
def random_heatmap_dev_2(S):
    # the entropy without the exponential
    P = np.exp(S - S.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)
    n = -(P * np.log(P)).sum(-1)
    return (P, n)


@fourth("vector-sum-score", "dK was divided by D. Each comp")
def vector_sum_score_dev_2(dO, cache):
    # dK is divided among the components: 1/D too much
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dK = np.zeros_like(K)
    dK += dS.sum(axis=-2)[..., None] / K.shape[-1]
    return (np.zeros_like(Q), dK, P.swapaxes(-1, -2) @ dO)


@fourth("linear-backward", "dW and db were divided by the ")
def linear_backward_dev_3(dY, cache):
    # two mistakes: db is the mean over the positions, and dW too
    X, W = cache
    n = max(int(np.prod(X.shape[:-1])), 1)
    x, d = (X.reshape(n, -1), dY.reshape(n, -1))
    return (d.dot(W.T).reshape(X.shape), x.T.dot(d) / n, d.sum(axis=0) / n)


@fourth("swiglu-backward", "dG lacks the factor U: in a pr")
def swiglu_backward_dev_3(dY, cache):
    # two mistakes: dG lacks U, dU lacks G
    G, U = cache
    sig = 0.5 * (1.0 + np.tanh(0.5 * G))
    dG = dY * (sig + G * sig * (1 - sig))
    dU = dY * sig
    return (dG, dU)


@fourth("query-gradient-covariance", "The weights were made with sco")
def query_gradient_covariance_held_1(q, K):
    # a scale 1/√D is put on the scores though there is none
    D = K.shape[1]
    s = q @ K.T / np.sqrt(D)
    p = np.exp(s - s.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    mean = p @ K
    C = K - mean[..., None, :]
    return np.einsum('...t,...ta,...tb->...ab', p, C, C)


@fourth("query-gradient-covariance", "There is a factor T/.T − 1., a")
def query_gradient_covariance_held_2(q, K):
    # unbiased covariance: multiplied by T/(T − 1)
    T, D = K.shape
    flat = q.reshape(-1, D)
    J = np.zeros((len(flat), D, D))
    for n, one in enumerate(flat):
        s = K @ one
        p = np.exp(s - s.max())
        p = p / p.sum()
        c = K - p @ K
        J[n] = c.T * p @ c * T / (T - 1)
    return J.reshape(*q.shape, D)


@fourth("parzen-classification", "The kernel uses the distance, ")
def parzen_classification_held_1(Q, X, y, sigma):
    # the distance is not squared in the kernel
    dist = np.linalg.norm(Q[:, None, :] - X[None, :, :], axis=-1)
    K = np.exp(-dist / (2 * sigma ** 2))
    return ((K * y).mean(axis=1), K @ y / K.sum(axis=1))


@fourth("unit-sphere-distance", "P holds NaN or inf where score")
def unit_sphere_distance_held_1(Q, K, sigma):
    # no shift before exp: with a narrow kernel all underflow and 0/0 gives NaN
    unit = lambda A: A / np.sqrt(np.einsum('...w,...w->...', A, A))[..., None]
    D = 2 - 2 * np.einsum('...iw,...jw->...ij', unit(Q), unit(K))
    E = np.exp(-D / (2 * sigma ** 2))
    return (D, E / E.sum(-1, keepdims=True))


@fourth("nw-leave-one-out", "The values were compared with ")
def nw_leave_one_out_held_1(dL, cache):
    # dS uses y_j − y_i in place of y_j − f_i
    x, y, w, P, f = cache
    g = 2 * (f - y) * dL / len(x)
    diff = x[:, None] - x[None, :]
    dS = P * g[:, None] * (y[None, :] - y[:, None])
    return (dS * (-w * diff ** 2)).sum()


@fourth("nw-leave-one-out", "dL was not used. The loss may ")
def nw_leave_one_out_held_2(dL, cache):
    # the incoming gradient dL is not multiplied in
    x, y, w, P, f = cache
    n = x.shape[0]
    r = f - y
    u2 = (x[:, None] - x[None, :]) ** 2
    total = 0.0
    for i in range(n):
        row = P[i] * (y - f[i])
        total += 2.0 / n * r[i] * np.dot(row, -w * u2[i])
    return total


@fourth("softmax", "P sums to 1 along axis 0; it s")
def softmax_held_1(S):
    # normalized along the first axis instead of the last
    S = np.asarray(S)
    Z = np.exp(S - S.max(axis=0))
    return Z / Z.sum(axis=0)


@fourth("softmax", "The mean of the row was subtra")
def softmax_held_2(S):
    # shifted by the mean of the row instead of its largest: large scores still overflow
    S = np.asarray(S)
    out = S - S.mean(-1)[..., np.newaxis]
    out = np.exp(out)
    return out / out.sum(-1)[..., np.newaxis]


@fourth("softmax-jacobian", "J is right in 3 of 6 cases. Al")
def softmax_jacobian_held_1(S):
    # np.diag and np.outer: right for a single row only
    e = np.exp(S - np.max(S))
    p = (e / e.sum()).ravel()
    return np.diag(p) - np.outer(p, p)


@fourth("softmax-jacobian", "The factor p_j must multiply δ")
def softmax_jacobian_held_2(S):
    # the diagonal is 1 − p instead of p(1 − p): δ is not weighted by p
    e = np.exp(S - S.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    I = np.eye(S.shape[-1])
    return I - p[..., :, None] * p[..., None, :]


@fourth("valid-lens-mask", "The mask is True on the paddin")
def valid_lens_mask_held_1(valid_lens, Tq, Tk):
    # inverted: True on the padding
    lens = np.asarray(valid_lens)
    lens = lens.reshape(lens.shape[0], -1, 1)
    mask = np.arange(Tk).reshape(1, 1, -1) >= lens
    return np.broadcast_to(mask, (lens.shape[0], Tq, Tk)).copy()


@fourth("attention-cost", "The work was multiplied by H, ")
def attention_cost_held_1(H, Tq, Tk, Dk, Dv):
    # the number of heads multiplies the multiply-adds, as though each head had the full
    # width
    work = 0
    moved = 0
    for h in range(H):
        work += Tq * Tk * Dk + Tq * Tk * Dv
        moved += (Tq + Tk) * (Dk // H) + Tq * Tk
        moved += 2 * Tq * Tk
        moved += Tq * Tk + Tk * (Dv // H) + Tq * (Dv // H)
    return (work, moved)


@fourth("masked-softmax", "The mask was read the other wa")
def masked_softmax_held_1(S, mask):
    # the mask is inverted
    S = np.where(mask, -np.inf, S)
    top = S.max(axis=-1, keepdims=True)
    E = np.exp(S - np.where(np.isinf(top), 0.0, top))
    total = E.sum(axis=-1, keepdims=True)
    return np.divide(E, total, out=np.zeros_like(E), where=total != 0)


@fourth("masked-softmax", "A query that may attend to not")
def masked_softmax_held_2(S, mask):
    # a query that may attend to nothing gets NaN
    neg = np.where(mask, S, -np.inf)
    shifted = neg - np.max(neg, axis=-1, keepdims=True)
    W = np.exp(shifted)
    W = W / np.sum(W, axis=-1, keepdims=True)
    return W


@fourth("masked-softmax", "The mask was applied after the")
def masked_softmax_held_3(S, mask):
    # the mask is applied after the softmax, and the rest is not normalized again
    clean = np.where(np.isfinite(S), S, -1e+30)
    E = np.exp(clean - clean.max(-1, keepdims=True))
    P = E / E.sum(-1, keepdims=True)
    return np.where(mask, P, 0.0).astype(S.dtype)


@fourth("softmax-backward", "Only the diagonal of the Jacob")
def softmax_backward_held_1(dP, P):
    # the correction P·dP is not summed over the row: elementwise only
    correction = P * dP
    return P * (dP - correction)


@fourth("softmax-backward", "The factor P in front is missi")
def softmax_backward_held_2(dP, P):
    # the outer factor P is missing
    s = np.einsum('...t,...t->...', dP, P)
    return dP - s[..., np.newaxis]


@fourth("attention-dv", "One change in your function makes it right")
def attention_dv_held_1(dO, cache):
    # the gradient of the scores is used in place of the weights
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dV = dS.swapaxes(-1, -2) @ dO
    return dV


@fourth("attention-dv", "..T. reverses all axes, batch ")
def attention_dv_held_2(dO, cache):
    # all axes are reversed with .T: right without leading axes only
    Q, K, V, P = cache
    return P.T @ dO


@fourth("dropout-backward", "dP does not pass through the d")
def dropout_backward_held_1(dO, cache):
    # the dropout mask is not applied to dP
    P, V, keep, rate = cache
    M = (keep / (1.0 - rate)).astype(P.dtype)
    W = P * M
    dV = np.einsum('...qk,...qd->...kd', W, dO)
    dP = np.einsum('...qd,...kd->...qk', dO, V)
    return (dP, dV)


@fourth("dropout-backward", "What was kept is divided by th")
def dropout_backward_held_2(dO, cache):
    # scaled by 1/rate instead of 1/(1 − rate)
    P, V, keep, rate = cache
    scale = 1.0 / rate
    dW = np.matmul(dO, np.swapaxes(V, -1, -2))
    dP = np.where(keep, dW * scale, 0.0)
    dV = np.matmul(np.swapaxes(np.where(keep, P * scale, 0.0), -1, -2), dO)
    return (dP, dV)


@fourth("attention-dk", "dS was not transposed: dS Q su")
def attention_dk_held_1(dO, cache):
    # the last product is dS K, the queries' gradient: not transposed, and with K in place
    # of Q
    Q, K, V, P = cache
    dP = np.matmul(dO, V.swapaxes(-1, -2))
    dS = P * (dP - np.sum(dP * P, axis=-1, keepdims=True))
    dK = np.matmul(dS, K)
    return dK / math.sqrt(Q.shape[-1])


@fourth("attention-dk", "The factor 1/√Dk is there twic")
def attention_dk_held_2(dO, cache):
    # divided by d instead of by its root
    Q, K, V, P = cache
    *lead, Tq, Dk = Q.shape
    Tk = K.shape[-2]  # noqa: F841
    dK = np.zeros_like(K)
    dP = np.einsum('...qv,...kv->...qk', dO, V)
    for i in range(Tq):
        p = P[..., i, :]
        ds = p * (dP[..., i, :] - np.einsum('...k,...k->...', p, dP[..., i, :])[..., None])
        dK += ds[..., :, None] * Q[..., i, None, :] / Dk
    return dK


@fourth("attention-dq", "..dP . P..sum.axis=-1, keepdim")
def attention_dq_held_1(dO, cache):
    # the plus sign in the softmax backward
    Q, K, V, P = cache
    dP = np.einsum('...iv,...jv->...ij', dO, V)
    r = np.einsum('...ij,...ij->...i', P, dP)
    dS = P * (dP + r[..., None])
    return np.einsum('...ij,...jd->...id', dS, K) / math.sqrt(K.shape[-1])


@fourth("bilinear-dm", "There is a factor 1/√Dk. This ")
def bilinear_dm_held_1(dO, cache):
    # a scale 1/√Dk too much
    Q, K, V, M, P = cache
    dP = dO @ V.transpose(0, 2, 1)
    dS = P * (dP - (P * dP).sum(axis=2, keepdims=True))
    dM = (Q.transpose(0, 2, 1) @ dS @ K).sum(axis=0)
    return dM / np.sqrt(K.shape[-1])


@fourth("bilinear-dm", "only the first was taken where")
def bilinear_dm_held_2(dO, cache):
    # only the first sequence of the batch is taken
    Q, K, V, M, P = cache
    dP = np.einsum('iv,jv->ij', dO[0], V[0])
    dS = P[0] * (dP - np.einsum('ij,ij->i', P[0], dP)[:, None])
    return np.einsum('ij,id,je->de', dS, Q[0], K[0])


@fourth("key-norm-attention-backward", "The derivative of ‖k‖²/2 is k:")
def key_norm_attention_backward_held_1(dO, cache):
    # the norm's term has factor ½ left: −½ K instead of −K
    Q, K, V, P = cache
    Vt = V.swapaxes(-1, -2)
    dP = dO @ Vt
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))
    dK = dS.swapaxes(-1, -2) @ Q
    dK = dK - 0.5 * K * dS.sum(axis=-2)[..., :, None]
    return (dS @ K, dK, P.swapaxes(-1, -2) @ dO)


@fourth("attention-backward", "the factor .scale. is there tw")
def attention_backward_held_1(dO, cache):
    # the scale is applied twice to dK: once in dS and once again
    Q, K, V, P = cache
    s = math.sqrt(Q.shape[-1])
    dP = np.einsum('...iv,...jv->...ij', dO, V)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / s
    dQ = np.einsum('...ij,...jd->...id', dS, K)
    dK = np.einsum('...ij,...id->...jd', dS, Q) / s
    dV = np.einsum('...ij,...iv->...jv', P, dO)
    return (dQ, dK, dV)


@fourth("attention-backward", "the sum runs over axis None; i")
def attention_backward_held_2(dO, cache):
    # the softmax's row sum runs over all queries and heads too (no axis given)
    Q, K, V, P = cache
    dV = np.swapaxes(P, -1, -2) @ dO
    dP = dO @ np.swapaxes(V, -1, -2)
    dS = P * (dP - np.sum(P * dP))
    dS = dS / np.sqrt(Q.shape[-1])
    return (dS @ K, np.swapaxes(dS, -1, -2) @ Q, dV)


@fourth("additive-attention-backward", "The factor w is missing: s = F")
def additive_attention_backward_held_1(dO, cache):
    # w is forgotten on the way from the scores to the hidden units
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ V.swapaxes(1, 2)
    dS = P * (dP - (P * dP).sum(2, keepdims=True))
    dA = dS[:, :, :, None] * (1.0 - F * F)
    dWq = np.einsum('bqkh,bqd->dh', dA, Q)
    dWk = np.einsum('bqkh,bkd->dh', dA, K)
    return (dWq, dWk, np.einsum('bqk,bqkh->h', dS, F))


@fourth("additive-attention-backward", "F .1 − F. is the derivative of")
def additive_attention_backward_held_2(dO, cache):
    # tanh's derivative is written as F(1 − F), the sigmoid's
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = np.einsum('bqv,bkv->bqk', dO, V)
    dS = P * (dP - np.einsum('bqk,bqk->bq', P, dP)[:, :, None])
    dw = np.tensordot(dS, F, axes=3)
    g = np.einsum('bqk,h->bqkh', dS, w) * F * (1 - F)
    dWq = np.tensordot(Q, g.sum(axis=2), axes=([0, 1], [0, 1]))
    dWk = np.tensordot(K, g.sum(axis=1), axes=([0, 1], [0, 1]))
    return (dWq, dWk, dw)


@fourth("additive-to-dot", "context holds NaN or inf where")
def additive_to_dot_held_1(state, memory, valid_lens):
    # a length 0 gives NaN
    D = state.shape[1]
    s = np.einsum('bd,btd->bt', state, memory) / np.sqrt(D)
    s = np.where(np.arange(s.shape[1]) < valid_lens[:, None], s, -np.inf)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    return (np.einsum('bt,btd->bd', P, memory), P)


@fourth("lstm-cell-backward", "The tanh in H′ = O tanh.C′. wa")
def lstm_cell_backward_held_1(dY, cache):
    # the derivative of tanh at the new cell is forgotten on the way from H′ to C′
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    dN = dCn + dHn * O
    dI = dN * G * I * (1 - I)
    dF = dN * C * F * (1 - F)
    dO = dHn * np.tanh(N) * O * (1 - O)
    dG = dN * I * (1 - G ** 2)
    dA = np.concatenate((dI, dF, dO, dG), axis=1)
    return (dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(axis=0))


@fourth("lstm-cell-backward", "dC lacks the factor F: the old")
def lstm_cell_backward_held_2(dY, cache):
    # dC is dN without the forget gate
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    th = np.tanh(N)
    dN = dCn + dHn * O * (1 - th ** 2)
    Dh = N.shape[1]
    dA = np.zeros((len(X), 4 * Dh))
    dA[:, :Dh] = dN * G * I * (1 - I)
    dA[:, Dh:2 * Dh] = dN * C * F * (1 - F)
    dA[:, 2 * Dh:3 * Dh] = dHn * th * O * (1 - O)
    dA[:, 3 * Dh:] = dN * I * (1 - G * G)
    return (dA.dot(Wx.T), dA.dot(Wh.T), dN, X.T.dot(dA), H.T.dot(dA), dA.sum(0))


@fourth("lstm-cell-backward", "The blocks were joined in the ")
def lstm_cell_backward_held_3(dY, cache):
    # the blocks are put together in another order: I, F, G, O
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    th = np.tanh(N)
    dN = dCn + dHn * O * (1 - th * th)
    pieces = [dN * G * I * (1 - I), dN * C * F * (1 - F), dN * I * (1 - G * G), dHn * th * O * (1 - O)]  # noqa: E501
    dA = np.concatenate(pieces, axis=-1)
    return (dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0))


@fourth("split-heads", "Column d·H . h went to head h:")
def split_heads_held_1(X, num_heads):
    # the columns are dealt out in turn: D and H exchanged
    *lead, T, W = X.shape
    Y = X.reshape(*lead, T, W // num_heads, num_heads)
    return np.moveaxis(Y, -1, -3)


@fourth("linear-backward", "dX uses W, not its transpose. ")
def linear_backward_held_1(dY, cache):
    # W is not transposed in dX (it runs for square W only)
    X, W = cache
    dX = dY @ W
    x2, y2 = (X.reshape(-1, X.shape[-1]), dY.reshape(-1, dY.shape[-1]))
    return (dX, x2.T @ y2, y2.sum(axis=0))


@fourth("linear-backward", "dW has a matrix for each seque")
def linear_backward_held_2(dY, cache):
    # dW is not summed over the leading axes but comes as one for each sequence
    X, W = cache
    dX = dY @ W.T
    if X.ndim == 1:
        dW = np.outer(X, dY)
    else:
        dW = np.swapaxes(X, -1, -2) @ dY
    db = dY.reshape(-1, W.shape[1]).sum(0)
    return (dX, dW, db)


@fourth("per-head-weights", "The mask was not used. .Step 4")
def per_head_weights_held_1(X, Wq, Wk, H, mask):
    # no mask at all is used
    B, T, Dx = X.shape
    heads = []
    D = Wq.shape[1] // H
    for h in range(H):
        c = slice(h * D, h * D + D)
        q, k = (X @ Wq[:, c], X @ Wk[:, c])
        s = q @ k.transpose(0, 2, 1) / np.sqrt(D)
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        heads.append(e / e.sum(axis=-1, keepdims=True))
    return np.stack(heads, axis=1)


@fourth("per-head-weights", "The keys were made with Wq; th")
def per_head_weights_held_2(X, Wq, Wk, H, mask):
    # keys are projected by the queries' matrix

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    B, T, _ = X.shape

    def proj(W):
        return (X @ W).reshape(B, T, H, -1).transpose(0, 2, 1, 3)
    q = proj(Wq)
    k = proj(Wq)
    return masked_softmax(np.einsum('bhid,bhjd->bhij', q, k) / q.shape[-1] ** 0.5, mask)


@fourth("head-gate-backward", "dg is a mean over the batch. A")
def head_gate_backward_held_1(dY, cache):
    # dg is summed over the positions only and averaged over the batch
    O, g, Wo = cache
    B, H, T, D = O.shape
    back = np.empty_like(O)
    for h in range(H):
        back[:, h] = dY @ Wo[h * D:(h + 1) * D].T
    dO = np.einsum('h,bhtd->bhtd', g, back)
    dg = (back * O).sum(axis=(2, 3)).mean(axis=0)
    return (dO, dg)


@fourth("head-gate-backward", "dO lacks the factor g of its h")
def head_gate_backward_held_2(dY, cache):
    # the gate is missing in dO
    O, g, Wo = cache
    B, H, T, D = O.shape
    d = (dY @ Wo.T).reshape(B, T, H, D).transpose(0, 2, 1, 3)
    return (d, np.einsum('bhtd,bhtd->h', d, O))


@fourth("sinusoidal-positions", "The positions start at 0 whate")
def sinusoidal_positions_held_1(X, offset):
    # the offset is not added to the positions
    D = X.shape[-1]
    t = np.arange(X.shape[-2])[:, None]
    rate = 10000.0 ** (-np.arange(0, D, 2) / D)
    P = np.zeros((X.shape[-2], D), dtype=X.dtype)
    P[:, 0::2] = np.sin(t * rate)
    P[:, 1::2] = np.cos(t * rate)[:, :D // 2]
    return X + P


@fourth("sinusoidal-positions", "All sines come first, then all")
def sinusoidal_positions_held_2(X, offset):
    # sines in the first half and cosines in the second instead of in pairs
    T, D = X.shape[-2:]
    pos = np.arange(offset, offset + T)[:, None]
    freq = 1.0 / 10000 ** (np.arange(0, D, 2) / D)
    P = np.concatenate([np.sin(pos * freq), np.cos(pos * freq[:D // 2])], axis=-1)
    return X + P.astype(X.dtype)


@fourth("learned-positions-backward", "dE has another length than it ")
def learned_positions_backward_held_1(dY, cache):
    # as many rows as dY has, not as the table has
    E, offset = cache
    T, D = dY.shape[-2:]
    dE = np.zeros((offset + T, D))
    for t in range(T):
        dE[offset + t] = dY[..., t, :].reshape(-1, D).sum(axis=0)
    return dE


@fourth("relative-positions", "The distance has the wrong sig")
def relative_positions_held_1(dS, cache):
    # the sign of the distance: i − j instead of j − i
    Q, A = cache
    Tq, Tk = (dS.shape[-2], dS.shape[-1])
    c = (len(A) - 1) // 2
    r = np.clip(np.arange(Tq)[:, None] - np.arange(Tk)[None, :], -c, c) + c
    dQ = np.einsum('...ij,ijd->...id', dS, A[r])
    dA = np.zeros_like(A)
    np.add.at(dA, r, np.einsum('nij,nid->ijd', dS.reshape(-1, Tq, Tk), Q.reshape(-1, Tq, Q.shape[-1])))  # noqa: E501
    return (dQ, dA)


@fourth("relative-positions", "Of all pairs that share a row,")
def relative_positions_held_2(dS, cache):
    # pairs of one distance overwrite one another in dA instead of adding up
    Q, A = cache
    Tq, Tk = dS.shape[-2:]
    D = Q.shape[-1]
    c = len(A) // 2
    r = np.clip(np.arange(Tk) - np.arange(Tq)[:, None], -c, c) + c
    dQ = np.einsum('...ij,ijd->...id', dS, A[r])
    pair = np.einsum('nij,nid->ijd', dS.reshape(-1, Tq, Tk), Q.reshape(-1, Tq, D))
    dA = np.zeros_like(A)
    dA[r] += pair
    return (dQ, dA)


@fourth("self-attention-backward", "The scale is 1/√.H·D., by the ")
def self_attention_backward_held_1(dY, cache):
    # the scale uses the whole width H·D instead of one head's

    def split(X, H):
        return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)

    def merge(X):
        B, H, T, D = X.shape
        return X.swapaxes(1, 2).reshape(B, T, H * D)
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    Yo = merge(O)
    dWo = (Yo.swapaxes(1, 2) @ dY).sum(axis=0)
    dOh = split(dY @ Wo.T, H)
    dPh = dOh @ V.swapaxes(2, 3)
    dSh = P * (dPh - (P * dPh).sum(axis=3, keepdims=True))
    dSh /= np.sqrt(H * D)
    dQ, dK = (merge(dSh @ K), merge(dSh.swapaxes(2, 3) @ Q))
    dV = merge(P.swapaxes(2, 3) @ dOh)
    Xt = X.swapaxes(1, 2)
    dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T
    return (dX, (Xt @ dQ).sum(0), (Xt @ dK).sum(0), (Xt @ dV).sum(0), dWo)


@fourth("self-attention-backward", "dQ, dK and dV were reshaped fr")
def self_attention_backward_held_2(dY, cache):
    # the heads' gradients are merged without swapping back heads and positions

    def split(X, H):
        return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)

    def merge(X):
        B, H, T, D = X.shape
        return X.swapaxes(1, 2).reshape(B, T, H * D)
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, T, D = Q.shape
    dWo = np.einsum('btd,bty->dy', merge(O), dY)
    dOh = split(np.einsum('bty,dy->btd', dY, Wo), H)
    dPh = np.einsum('bhid,bhjd->bhij', dOh, V)
    dSh = P * (dPh - (P * dPh).sum(-1, keepdims=True)) / math.sqrt(D)
    flat = lambda a: a.reshape(B, T, H * D)
    dQ = flat(dSh @ K)
    dK = flat(dSh.swapaxes(-1, -2) @ Q)
    dV = flat(P.swapaxes(-1, -2) @ dOh)
    dW = lambda g: np.einsum('btx,btd->xd', X, g)
    return (dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T, dW(dQ), dW(dK), dW(dV), dWo)


@fourth("layer-norm", ".X. stands where .centred. bel")
def layer_norm_held_1(X, gain, bias, eps):
    # the mean is not subtracted before scaling
    var = X.var(axis=-1, keepdims=True)
    Xhat = X / np.sqrt(var + eps)
    return Xhat * gain + bias


@fourth("layer-norm", "Mean and variance run over the")
def layer_norm_held_2(X, gain, bias, eps):
    # normalized over the first axis, as batch norm does
    mu = X.mean(axis=0)
    var = ((X - mu) ** 2).mean(axis=0)
    return gain * ((X - mu) / np.sqrt(var + eps)) + bias


@fourth("layer-norm", "The row was multiplied by 1 . ")
def layer_norm_held_3(X, gain, bias, eps):
    # the gain is taken as 1 + gain
    mu = np.einsum('...d->...', X)[..., None] / X.shape[-1]
    var = np.einsum('...d,...d->...', X - mu, X - mu)[..., None] / X.shape[-1]
    return (X - mu) / np.sqrt(var + eps) * (1 + gain) + bias


@fourth("causal-mask", "")
def causal_mask_held_1(Tq, Tk):
    # mask of numbers, not of bool: float zeros and ones
    return np.tril(np.ones((Tq, Tk)), k=Tk - Tq)


@fourth("embedding-backward", "In the largest case that fails")
def embedding_backward_held_1(dY, cache):
    # written for one axis of ids only: with more axes repeated tokens of a row overwrite
    # one another, with none it raises
    ids, E = cache
    dE = np.zeros_like(E)
    s = math.sqrt(E.shape[1])
    for n in range(len(ids)):
        dE[ids[n]] += s * dY[n]
    return dE


@fourth("kv-cache", "The scores lack the factor 1/√")
def kv_cache_held_1(x, K, V, Wq, Wk, Wv):
    # the scores are not divided by √d
    k_new = np.einsum('...id,de->...ie', x, Wk)
    v_new = np.einsum('...id,de->...ie', x, Wv)
    K2 = np.concatenate([K, k_new], axis=-2)
    V2 = np.concatenate([V, v_new], axis=-2)
    s = np.einsum('...ie,...je->...ij', x @ Wq, K2)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return (p @ V2, K2, V2)


@fourth("kv-cache", "The new key and value stand in")
def kv_cache_held_2(x, K, V, Wq, Wk, Wv):
    # the new key and value are put in front
    K = np.concatenate([x @ Wk, K], axis=-2)
    V = np.concatenate([x @ Wv, V], axis=-2)
    s = x @ Wq @ np.swapaxes(K, -1, -2) / np.sqrt(K.shape[-1])
    e = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True) @ V, K, V)


@fourth("cross-entropy-backward", "Padding was taken out of the t")
def cross_entropy_backward_held_1(dloss, cache):
    # the padded tokens keep a gradient (P)
    P, targets, pad = cache
    d = P.copy()
    real = targets != pad
    n = max(int(real.sum()), 1)
    where = np.nonzero(real)
    d[where + (targets[where],)] -= 1
    return d * (dloss / n)


@fourth("cross-entropy-backward", "The division by N is missing: ")
def cross_entropy_backward_held_2(dloss, cache):
    # sum instead of mean: not divided by the number of tokens
    P, targets, pad = cache
    C = P.shape[-1]
    real = targets != pad
    hot = np.arange(C) == targets[..., None]
    return np.where(real[..., None], P - hot, 0.0) * dloss


@fourth("layer-norm-backward", "dY was used where dX̂ = dY ⊙ g")
def layer_norm_backward_held_1(dY, cache):
    # the gain is not multiplied in before the means
    Xhat, rstd, gain = cache
    D = Xhat.shape[-1]
    s1 = dY.sum(-1, keepdims=True)
    s2 = (dY * Xhat).sum(-1, keepdims=True)
    dX = rstd / D * (D * dY - s1 - Xhat * s2)
    flat = lambda a: a.reshape(-1, D).sum(axis=0)
    return (dX, flat(dY * Xhat), flat(dY))


@fourth("residual-norm-block-backward", ".X. stands where .H. belongs, ")
def residual_norm_block_backward_held_1(dY, cache):
    # the ReLU's gate asks X instead of H
    X, W, H, Xhat, rstd, gain = cache
    D = X.shape[-1]
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * np.mean(g * Xhat, -1, keepdims=True))
    dA = dR * (X > 0)
    dX = dR + dA @ W.T
    dW = X.reshape(-1, D).T @ dA.reshape(-1, D)
    return (dX, dW)


@fourth("residual-norm-block-backward", "dW was made with the sublayer.")
def residual_norm_block_backward_held_2(dY, cache):
    # dW is made from H instead of the input X
    X, W, H, Xhat, rstd, gain = cache
    D = W.shape[1]
    dh = gain * dY
    m1 = dh.sum(-1, keepdims=True) / D
    m2 = (dh * Xhat).sum(-1, keepdims=True) / D
    dR = (dh - m1 - Xhat * m2) * rstd
    dA = np.where(H > 0, dR, 0)
    dW = np.einsum('ni,nj->ij', H.reshape(-1, D), dA.reshape(-1, D))
    return (dR + np.einsum('...j,ij->...i', dA, W), dW)


@fourth("residual-norm-block-backward", "The path through the sublayer ")
def residual_norm_block_backward_held_3(dY, cache):
    # W is not transposed on the way back to X
    X, W, H, Xhat, rstd, gain = cache
    D = X.shape[-1]
    dxh = dY * gain
    dR = rstd * (dxh - dxh.mean(-1, keepdims=True) - Xhat * (dxh * Xhat).mean(-1, keepdims=True))
    dA = dR * (H > 0)
    return (dR + dA @ W, X.reshape(-1, D).T @ dA.reshape(-1, D))


@fourth("cross-attention-backward", "The factor 1/√D reached dQ but")
def cross_attention_backward_held_1(dO, cache):
    # the scale 1/√D is missing in the keys' gradient, so in dWk and dM
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    d = Q.shape[-1]
    dP = np.einsum('biv,bjv->bij', dO, V)
    dS = P * (dP - (P * dP).sum(-1)[..., None])
    dQ = np.einsum('bij,bjd->bid', dS, K) / math.sqrt(d)
    dK = np.einsum('bij,bid->bjd', dS, Q)
    dV = np.einsum('bij,biv->bjv', P, dO)
    dX = dQ @ Wq.T
    dM = dK @ Wk.T + dV @ Wv.T
    return (dX, dM, np.einsum('bix,bid->xd', X, dQ), np.einsum('bjm,bjd->md', M, dK), np.einsum('bjm,bjv->mv', M, dV))  # noqa: E501


@fourth("cross-attention-backward", "In the largest case that fails")
def cross_attention_backward_held_2(dO, cache):
    # dWq, dWk, dWv are not summed over the batch: only the last sequence is kept
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dX, dM = (np.zeros_like(X), np.zeros_like(M))
    for b in range(X.shape[0]):
        dP = dO[b] @ V[b].T
        dS = P[b] * (dP - (P[b] * dP).sum(1, keepdims=True)) / math.sqrt(Q.shape[-1])
        dQ, dK, dV = (dS @ K[b], dS.T @ Q[b], P[b].T @ dO[b])
        dX[b] = dQ @ Wq.T
        dM[b] = dK @ Wk.T + dV @ Wv.T
        dWq, dWk, dWv = (X[b].T @ dQ, M[b].T @ dK, M[b].T @ dV)
    return (dX, dM, dWq, dWk, dWv)


@fourth("causal-jacobian", "The path through the values is")
def causal_jacobian_held_1(X):
    # the values' direct path P_im·I is missing
    T, D = X.shape
    S = X @ X.T / np.sqrt(D)
    E = np.exp(S - S.max(axis=1, keepdims=True)) * np.tri(T)
    P = E / E.sum(axis=1, keepdims=True)
    O = P @ X
    J = np.zeros((T, T, D, D))
    for i in range(T):
        C = np.einsum('j,ja,jb->ab', P[i], X - O[i], X)
        J[i, i] += C / np.sqrt(D)
        for m in range(i + 1):
            J[i, m] += P[i, m] * np.outer(X[m] - O[i], X[i]) / np.sqrt(D)
    return J


@fourth("causal-jacobian", "The path through the keys is t")
def causal_jacobian_held_2(X):
    # the outer product is transposed in the key's path
    T, D = X.shape
    r = np.sqrt(D)
    S = np.where(np.tri(T) > 0, X @ X.T / r, -np.inf)
    P = np.exp(S - S.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    O = P @ X
    I = np.eye(D)
    J = np.einsum('im,ab->imab', P, I) + np.einsum('im,ia,imb->imab', P, X, X[None] - O[:, None]) / r  # noqa: E501
    for i in range(T):
        J[i, i] += np.einsum('j,ja,jb->ab', P[i], X - O[i], X) / r
    return J


@fourth("mean-pooling-backward", "The cls token got a gradient a")
def mean_pooling_backward_held_1(dY, cache):
    # the cls token gets a share as well
    Z, W, m = cache
    B, L, D = Z.shape
    dm = np.einsum('bc,dc->bd', dY, W)
    dZ = np.broadcast_to(dm[:, None, :] / (L - 1), Z.shape).copy()
    return (dZ, np.einsum('bd,bc->dc', m, dY), dY.sum(0))


@fourth("mean-pooling-backward", "The factor 1/N is missing in d")
def mean_pooling_backward_held_2(dY, cache):
    # not divided by the number of patches
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 1:, :] = (dY @ W.T)[:, np.newaxis, :]
    dW = m.T.dot(dY)
    return (dZ, dW, np.sum(dY, axis=0))


@fourth("adam-step", "ε stands under the root; it sh")
def adam_step_held_1(p, g, m, v, steps, lr, beta1, beta2, eps):
    # eps is added under the root
    t = steps + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mh = m / (1 - beta1 ** t)
    vh = v / (1 - beta2 ** t)
    return (p - lr * mh / np.sqrt(vh + eps), m, v)


@fourth("adam-step", "The mean of the squares was no")
def adam_step_held_2(p, g, m, v, steps, lr, beta1, beta2, eps):
    # the second mean is not corrected
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g ** 2 - v)
    step = lr / (1 - beta1 ** (steps + 1))
    return (p - step * m / (np.sqrt(v) + eps), m, v)


@fourth("adam-step", "the absolute value of .g. was ")
def adam_step_held_3(p, g, m, v, steps, lr, beta1, beta2, eps):
    # the second mean collects the gradient, not its square
    t = steps + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * np.abs(g)
    upd = m / (1 - beta1 ** t) / (np.sqrt(v / (1 - beta2 ** t)) + eps)
    return (p - lr * upd, m, v)


@fourth("soft-cap-backward", "There is a factor c too many: ")
def soft_cap_backward_held_1(dY, cache):
    # the derivative keeps a factor cap
    S, Y, cap = cache
    t = np.tanh(S / cap)
    return cap * (1 - t ** 2) * dY


@fourth("soft-cap-backward", "The derivative of tanh is 1 − ")
def soft_cap_backward_held_2(dY, cache):
    # the gate 1 − tanh without the square
    S, Y, cap = cache
    ratio = Y / cap
    return (1.0 - ratio) * dY


@fourth("window-mask", "The queries were taken for the")
def window_mask_held_1(Tq, Tk, w):
    # the queries are taken to be the first Tq positions
    mask = np.zeros((Tq, Tk), dtype=bool)
    for i in range(Tq):
        for j in range(Tk):
            mask[i, j] = i - w < j <= i
    return mask


@fourth("linear-attention", "Every query read the last stat")
def linear_attention_held_1(Q, K, V):
    # the sum is not causal: each query reads the last state
    S = np.einsum('...tk,...tv->...kv', K, V)
    O = Q @ S
    return (O, S)


@fourth("linear-attention", "The scores have a factor 1/√Dk")
def linear_attention_held_2(Q, K, V):
    # scores are scaled by 1/√Dk
    T, Dk = Q.shape[-2:]
    A = np.tril(Q @ K.swapaxes(-1, -2)) / np.sqrt(Dk)
    return (A @ V, K.swapaxes(-1, -2) @ V)


@fourth("rotary-backward", "Both sine terms are added; tha")
def rotary_backward_held_1(dY, cache):
    # the sign of the sine is turned in one of the two columns only
    cos, sin = cache
    dX = np.zeros_like(dY)
    for i in range(cos.shape[-1]):
        a, b = (dY[..., 2 * i], dY[..., 2 * i + 1])
        dX[..., 2 * i] = a * cos[:, i] + b * sin[:, i]
        dX[..., 2 * i + 1] = a * sin[:, i] + b * cos[:, i]
    return dX


@fourth("rotary-backward", "Column i was paired with colum")
def rotary_backward_held_2(dY, cache):
    # the pairs are taken as halves
    cos, sin = cache
    n = dY.shape[-1] // 2
    u, v = (dY[..., :n], dY[..., n:])
    return np.concatenate((u * cos + v * sin, v * cos - u * sin), axis=-1)


@fourth("sink-softmax", "No maximum was subtracted: lar")
def sink_softmax_held_1(S, b):
    # nothing is subtracted before exp: large scores or a large sink overflow
    num = np.exp(S)
    den = np.exp(b) + num.sum(axis=-1, keepdims=True)
    return num / den


@fourth("sink-softmax", "b itself was added to the sum")
def sink_softmax_held_2(S, b):
    # the sink is added as a number b, not as exp(b)
    e = np.exp(S - S.max(-1, keepdims=True))
    return e / (e.sum(-1, keepdims=True) + b * np.exp(-S.max(-1, keepdims=True)))


@fourth("swiglu-backward", "dU has the factor σ.G.; what m")
def swiglu_backward_held_1(dY, cache):
    # dU is multiplied by the sigmoid only, not by silu
    G, U = cache
    sig = 0.5 + 0.5 * np.tanh(0.5 * G)
    silu = G * sig
    dU = dY * sig
    dG = dY * U * (sig + silu * (1 - sig))
    return (dG, dU)


@fourth("absorbed-scores", "The matrix of the first head w")
def absorbed_scores_held_1(Q, W, C):
    # all heads use the first head's matrix
    B, H, Tq, D = Q.shape
    out = np.zeros((B, H, Tq, C.shape[1]), dtype=Q.dtype)
    for h in range(H):
        t = Q[:, h] @ W[0].T
        out[:, h] = t @ C.swapaxes(1, 2) / np.sqrt(D)
    return out


@fourth("absorbed-scores", "The factor 1/√D is missing. .S")
def absorbed_scores_held_2(Q, W, C):
    # the scale is forgotten
    keys = np.einsum('hcd,bjc->bhjd', W, C)
    return np.matmul(Q, keys.transpose(0, 1, 3, 2))


@fourth("delta-rule", "The strength β is missing. .St")
def delta_rule_held_1(S, q, k, v, beta):
    # beta is forgotten in the writing
    u = np.einsum('...kv,...k->...v', S, k)
    diff = v - u
    N = S + np.einsum('...k,...v->...kv', k, diff)
    return (np.einsum('...kv,...k->...v', N, q), N)


@fourth("delta-rule", "u was added to the value; it m")
def delta_rule_held_2(S, q, k, v, beta):
    # what the state returned is added instead of subtracted
    u = (np.swapaxes(S, -1, -2) @ k[..., None])[..., 0]
    delta = beta * (v + u)
    N = S + k[..., :, None] @ delta[..., None, :]
    return ((np.swapaxes(N, -1, -2) @ q[..., None])[..., 0], N)


@fourth("delta-rule", "β multiplies u alone; it multi")
def delta_rule_held_3(S, q, k, v, beta):
    # beta multiplies the old value only: v − βu
    u = np.einsum('...k,...kv->...v', k, S)
    N = S + k[..., :, None] * (v - beta * u)[..., None, :]
    o = np.einsum('...k,...kv->...v', q, N)
    return (o, N)


@fourth("merge-partials", "A query without a key in eithe")
def merge_partials_held_1(O1, L1, O2, L2):
    # −∞ minus −∞ gives NaN where neither part has a key
    m = np.maximum(L1, L2)
    a, b = (np.exp(L1 - m), np.exp(L2 - m))
    O = (a[..., None] * O1 + b[..., None] * O2) / (a + b)[..., None]
    return (O, m + np.log(a + b))


@fourth("merge-partials", "The larger of L₁ and L₂ was re")
def merge_partials_held_2(O1, L1, O2, L2):
    # the common L is the larger of the two, its log term is missing
    L = np.maximum(L1, L2)
    c = np.where(np.isneginf(L), 0.0, L)
    w1, w2 = (np.exp(L1 - c), np.exp(L2 - c))
    s = np.where(w1 + w2 == 0, 1.0, w1 + w2)
    O = O1 * (w1 / s)[..., None] + O2 * (w2 / s)[..., None]
    return (O, L)


@fourth("online-softmax", "The new maximum is that of the")
def online_softmax_held_1(m, z, S):
    # the maximum is that of the new portion only
    mx = S.max(axis=-1)
    base = np.where(np.isneginf(mx), 0.0, mx)
    keep = np.where(np.isneginf(m), 0.0, z * np.exp(np.where(np.isneginf(m), 0.0, m) - base))
    return (mx, keep + np.exp(S - base[..., None]).sum(axis=-1))


@fourth("online-softmax", "The old sum was multiplied by ")
def online_softmax_held_2(m, z, S):
    # the old sum is rescaled the wrong way round: exp(new − old)
    new = np.maximum(m, S.max(axis=-1))
    ref = np.where(np.isneginf(new), 0.0, new)
    old = np.where(np.isneginf(m), ref, m)
    return (new, z * np.exp(ref - old) + np.exp(S - ref[..., None]).sum(-1))


@fourth("rms-norm-backward", "The correction is a sum over t")
def rms_norm_backward_held_1(dY, cache):
    # the mean over D is a sum in the correction
    X, gain, rstd = cache
    D = X.shape[-1]
    g = dY * gain
    xh = X * rstd
    dX = rstd * (g - xh * np.einsum('...d,...d->...', g, xh)[..., None])
    return (dX, np.einsum('nd,nd->d', dY.reshape(-1, D), xh.reshape(-1, D)))


@fourth("rms-norm-backward", "The mean of dX̂ was subtracted")
def rms_norm_backward_held_2(dY, cache):
    # the mean of the gradient is subtracted, as for layer norm
    X, gain, rstd = cache
    xh = X * rstd
    g = dY * gain
    dX = rstd * (g - g.mean(axis=-1, keepdims=True) - xh * (g * xh).mean(axis=-1, keepdims=True))
    dgain = (dY * xh).sum(axis=tuple(range(X.ndim - 1)))
    return (dX, dgain)


@fourth("rms-norm-backward", "dgain has the factor X; what t")
def rms_norm_backward_held_3(dY, cache):
    # dgain uses the raw input, not the normalized one
    X, gain, rstd = cache
    D = gain.shape[0]
    g = dY * gain
    dX = g * rstd - X * rstd ** 3 * (g * X).sum(-1, keepdims=True) / D
    dgain = (dY * X).reshape(-1, D).sum(0)
    return (dX, dgain)


@fourth("rotary-halves-backward", "Sine and cosine are exchanged.")
def rotary_halves_backward_held_1(dY, cache):
    # sine and cosine are exchanged
    cos, sin = cache
    h = dY.shape[-1] // 2
    lo, hi = (dY[..., :h], dY[..., h:])
    return np.concatenate([lo * sin + hi * cos, hi * sin - lo * cos], axis=-1)


@fourth("co-attention-backward", "Every entry of dB is √D times ")
def co_attention_backward_held_1(dO, cache):
    # the scale 1/√D is missing in dB
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    d = A.shape[-1]
    back = lambda p, g: p * (g - np.sum(p * g, axis=-1, keepdims=True))
    dSa = back(Pa, np.einsum('...iv,...jv->...ij', dOa, Vb))
    dSb = back(Pb, np.einsum('...jv,...iv->...ji', dOb, Va))
    dS = dSa + np.swapaxes(dSb, -1, -2)
    dA = np.einsum('...ij,...jd->...id', dS, B) / math.sqrt(d)
    dB = np.einsum('...ij,...id->...jd', dS, A)
    return (dA, dB, np.einsum('...ji,...jv->...iv', Pb, dOb), np.einsum('...ij,...iv->...jv', Pa, dOa))  # noqa: E501


@fourth("experts-backward", "The division by the number of ")
def experts_backward_held_1(dY, cache):
    # the balance is not averaged over the tokens: 1/N is missing
    X, R, F, chosen, P, A = cache
    dy, db = dY
    N, E = A.shape
    k = chosen.sum(axis=1)[0]
    share = chosen.sum(axis=0) / (N * k)
    dP = np.einsum('ney,ny->ne', F, dy)
    dG = P * (dP - np.einsum('ne,ne->n', P, dP)[:, None])
    dA = db * E * share
    dG = dG + A * (dA - (A @ dA)[:, None])
    return (dG @ R.T, X.T @ dG, P[:, :, None] * dy[:, None, :])


@fourth("experts-backward", "dF was weighed by the softmax ")
def experts_backward_held_2(dY, cache):
    # dF goes to all experts with the softmax over all scores
    X, R, F, chosen, P, A = cache
    dy, db = dY
    N, E = P.shape
    h = chosen.mean(axis=0) / chosen[0].sum()
    dP = (F * dy[:, None]).sum(axis=2)
    dA = np.tile(db * E * h / N, (N, 1))
    bw = lambda p, g: p * (g - (p * g).sum(axis=1, keepdims=True))
    dG = bw(P, dP) + bw(A, dA)
    dF = np.einsum('ne,ny->ney', A, dy)
    return (dG @ R.T, X.T @ dG, dF)


@fourth("grouped-attention-backward", "Means were taken over the head")
def grouped_attention_backward_held_1(dO, cache):
    # dK and dV are averaged over the heads of a group
    Q, K, V, P = cache
    B, G, R, Tq, D = Q.shape
    dQ = np.zeros_like(Q)
    dK = np.zeros_like(K)
    dV = np.zeros_like(V)
    for r in range(R):
        p, do = (P[:, :, r], dO[:, :, r])
        dp = do @ V.swapaxes(-1, -2)
        ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / math.sqrt(D)
        dQ[:, :, r] = ds @ K
        dK += ds.swapaxes(-1, -2) @ Q[:, :, r] / R
        dV += p.swapaxes(-1, -2) @ do / R
    return (dQ, dK, dV)


@fourth("qk-norm-attention-backward", "The factor t of the scores is ")
def qk_norm_attention_backward_held_1(dO, cache):
    # t is missing in dQ and dK
    Q, K, V, t, nq, nk, P = cache
    qh, kh = (Q / nq, K / nk)
    C = np.einsum('...id,...jd->...ij', qh, kh)
    dP = np.einsum('...iv,...jv->...ij', dO, V)
    dS = P * (dP - np.einsum('...ij,...ij->...i', P, dP)[..., None])
    dq = np.einsum('...ij,...jd->...id', dS, kh)
    dk = np.einsum('...ij,...id->...jd', dS, qh)
    dQ = (dq - qh * np.sum(qh * dq, axis=-1, keepdims=True)) / nq
    dK = (dk - kh * np.sum(kh * dk, axis=-1, keepdims=True)) / nk
    return (dQ, dK, np.einsum('...ij,...iv->...jv', P, dO), np.sum(dS * C))


@fourth("qk-norm-attention-backward", "dt has a factor t: the scores ")
def qk_norm_attention_backward_held_2(dO, cache):
    # dt uses the scaled scores: one factor t too many
    Q, K, V, t, nq, nk, P = cache
    qh, kh = (Q / nq, K / nk)
    S = t * qh @ kh.swapaxes(-1, -2)
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))

    def un(g, h, n):
        return (g - h * (h * g).sum(-1, keepdims=True)) / n
    dQ = un(t * (dS @ kh), qh, nq)
    dK = un(t * (dS.swapaxes(-1, -2) @ qh), kh, nk)
    return (dQ, dK, P.swapaxes(-1, -2) @ dO, (dS * S).sum())


@fourth("tiled-backward", "The weights were made by a sof")
def tiled_backward_held_1(dO, cache):
    # the weights are normalized within the tile instead of by L
    Q, K, V, mask, O, L = cache
    S = Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    top = S.max(-1, keepdims=True)
    E = np.exp(S - np.where(np.isneginf(top), 0, top))
    Z = E.sum(-1, keepdims=True)
    P = E / np.where(Z == 0, 1, Z)
    delta = (dO * O).sum(-1, keepdims=True)
    dS = P * (dO @ V.swapaxes(-1, -2) - delta) / math.sqrt(Q.shape[-1])
    return (dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO)


@fourth("random-heatmap", "n is 1/Σ p², which also counts")
def random_heatmap_held_1(S):
    # the number is 1/Σp², not the exponential of the entropy
    e = np.exp(S - S.max(axis=-1, keepdims=True))
    P = e / e.sum(axis=-1, keepdims=True)
    return (P, 1.0 / np.einsum('...ij,...ij->...i', P, P))


@fourth("nadaraya-watson-dw", "The distance x − k enters squa")
def nadaraya_watson_dw_held_1(df, cache):
    # the distance is not squared
    x, k, y, w, P = cache
    u = x[:, None] - k[None]
    f = P @ y
    total = 0.0
    for i in range(len(x)):
        for j in range(len(k)):
            total -= df[i] * P[i, j] * (y[j] - f[i]) * w * u[i, j]
    return total


@fourth("nadaraya-watson-dw", "the factor .df.:, None.. is mi")
def nadaraya_watson_dw_held_2(df, cache):
    # the upstream gradient is not used
    x, k, y, w, P = cache
    u2 = (x[:, None] - k) ** 2
    f = P @ y
    dS = P * (y[None, :] - f[:, None])
    return -(w * dS * u2).sum()


@fourth("nw-many-parameters", "dy uses P, not its transpose: ")
def nw_many_parameters_held_1(df, cache):
    # dy is P df instead of Pᵀ df (it runs for Tq = Tk only)
    x, k, y, w, b, P = cache
    u = x[:, None] - k
    dP = df[:, None] * y
    dS = P * (dP - (P * dP).sum(1, keepdims=True))
    dw = np.einsum('ij,ij,j->j', dS, -u ** 2, w)
    dy = P @ df
    return (dw, dS.sum(0), dy)


@fourth("nw-many-parameters", "db is what it should be times ")
def nw_many_parameters_held_2(df, cache):
    # the gradient of the bias carries the derivative of the width: times w
    x, k, y, w, b, P = cache
    n = len(k)
    dw, db, dy = (np.zeros(n), np.zeros(n), np.zeros(n))
    f = P @ y
    for j in range(n):
        ds = df * P[:, j] * (y[j] - f)
        dw[j] = np.sum(ds * -(x - k[j]) ** 2 * w[j])
        db[j] = np.sum(ds) * w[j]
        dy[j] = np.sum(P[:, j] * df)
    return (dw, db, dy)


@fourth("changed-keys", "The tanh is missing in the add")
def changed_keys_held_1(Q, K, Wq, Wk, w, W, valid_lens):
    # the tanh is missing in the additive score

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    real = np.arange(K.shape[1])[None, None] < valid_lens[:, None, None]
    a = ((Q @ Wq)[:, :, None, :] + (K @ Wk)[:, None, :, :]) @ w
    d = Q @ W @ K.transpose(0, 2, 1) / np.sqrt(K.shape[2])
    return (masked_softmax(a, real), masked_softmax(d, real))


@fourth("changed-keys", "`mask` is not handed to `masked_softmax`")
def changed_keys_held_2(Q, K, Wq, Wk, w, W, valid_lens):
    # padding is not masked in Pd

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    B, Tq, _ = Q.shape
    Tk = K.shape[1]
    Sa = np.zeros((B, Tq, Tk))
    Sd = np.zeros((B, Tq, Tk))
    for b in range(B):
        for i in range(Tq):
            for j in range(Tk):
                Sa[b, i, j] = w @ np.tanh(Q[b, i] @ Wq + K[b, j] @ Wk)
                Sd[b, i, j] = Q[b, i] @ W @ K[b, j] / np.sqrt(K.shape[-1])
    real = np.arange(Tk)[None, None, :] < valid_lens[:, None, None]
    return (masked_softmax(Sa, real), masked_softmax(Sd))


@fourth("vector-sum-score", "Where dK is wrong, it is .dS.swapaxes.-1, -2. @ Q")
def vector_sum_score_held_1(dO, cache):
    # dK is as for the dot product: dS times the queries
    Q, K, V, P = cache
    dP = np.einsum('...iv,...jv->...ij', dO, V)
    dS = P * (dP - np.einsum('...ij,...ij->...i', P, dP)[..., None])
    dK = np.einsum('...ij,...id->...jd', dS, Q)
    return (np.zeros_like(Q), dK, np.einsum('...ij,...iv->...jv', P, dO))


@fourth("gelu-backward", "The exponent of the density is")
def gelu_backward_held_1(dY, cache):
    # the exponent of the density lacks the half: e^(−x²)
    X, Phi = cache
    pdf = np.exp(-np.square(X)) / np.sqrt(2 * np.pi)
    out = np.empty_like(dY)
    np.multiply(dY, Phi + X * pdf, out=out)
    return out


@fourth("gelu-backward", "Only Φ was differentiated. The")
def gelu_backward_held_2(dY, cache):
    # Φ is left out: only the second term of the product rule
    X, Phi = cache
    bell = np.exp(-X ** 2 / 2) / math.sqrt(2 * math.pi)
    return dY * X * bell


@fourth("soft-cap-backward", "1 − .S/c.² was used; S/c is wh")
def soft_cap_backward_held_3(dY, cache):
    # S in place of Y: 1 − (S/c)²
    S, Y, cap = cache
    slope = 1 - np.square(S / cap)
    return slope * dY


@fourth("tiled-backward", "dK lacks 1/√D: the factor of t")
def tiled_backward_held_2(dO, cache):
    # the scale 1/√D is missing in dK
    Q, K, V, mask, O, L = cache
    S = np.einsum('...id,...jd->...ij', Q, K) / math.sqrt(K.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    P = np.exp(S - np.where(np.isneginf(L), 0, L)[..., None])
    D = np.einsum('...iv,...iv->...i', dO, O)[..., None]
    dS = P * (np.einsum('...iv,...jv->...ij', dO, V) - D)
    return (np.einsum('...ij,...id->...jd', dS, Q), np.einsum('...ij,...iv->...jv', P, dO))


@fourth("tiled-backward", "A query that may attend to not")
def tiled_backward_held_3(dO, cache):
    # a query that may attend to nothing gives NaN: exp(−∞ − (−∞))
    Q, K, V, mask, O, L = cache
    r = 1.0 / math.sqrt(Q.shape[-1])
    S = r * (Q @ K.swapaxes(-1, -2))
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    P = np.exp(S - L[..., None])
    dV = P.swapaxes(-1, -2) @ dO
    dS = P * (dO @ V.swapaxes(-1, -2) - (dO * O).sum(-1, keepdims=True))
    return (r * (dS.swapaxes(-1, -2) @ Q), dV)


@fourth("window-mask", "The window has one key too few")
def window_mask_held_2(Tq, Tk, w):
    # the window's lower end is one too far forward: w − 1 keys
    q = np.arange(Tq)[:, None] + (Tk - Tq)
    k = np.arange(Tk)[None, :]
    return np.logical_and(k <= q, q - k < w - 1)


@fourth("experts-backward", "The gradient of the softmax ov")
def experts_backward_held_3(dY, cache):
    # the balance's gradient is linear through A: its softmax backward is left out
    X, R, F, chosen, P, A = cache
    dy, db = dY
    N, E = P.shape
    h = chosen.mean(axis=0) / chosen[0].sum()
    dP = np.einsum('ney,ny->ne', F, dy)
    dG = P * (dP - (P * dP).sum(axis=1, keepdims=True))
    dG = dG + A * (db * E * h / N)
    return (dG @ R.T, X.T @ dG, P[..., None] * dy[:, None])


@fourth("grouped-attention-backward", "the factor .P. is missing, as ")
def grouped_attention_backward_held_2(dO, cache):
    # the softmax backward subtracts the row sum without the weights
    Q, K, V, P = cache
    Kg = np.repeat(K[:, :, None], Q.shape[2], axis=2)
    Vg = np.repeat(V[:, :, None], Q.shape[2], axis=2)
    dP = np.einsum('bgriv,bgrjv->bgrij', dO, Vg)
    dS = P * (dP - dP.sum(axis=-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    dQ = np.einsum('bgrij,bgrjd->bgrid', dS, Kg)
    dK = np.einsum('bgrij,bgrid->bgjd', dS, Q)
    dV = np.einsum('bgrij,bgriv->bgjv', P, dO)
    return (dQ, dK, dV)


@fourth("grouped-attention-backward", "Every entry of dQ is √D times ")
def grouped_attention_backward_held_3(dO, cache):
    # the scale is missing in dQ
    Q, K, V, P = cache
    r = math.sqrt(Q.shape[-1])
    dP = np.einsum('bgriv,bgjv->bgrij', dO, V)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))
    dQ = np.einsum('bgrij,bgjd->bgrid', dS, K)
    dK = np.einsum('bgrij,bgrid->bgjd', dS, Q) / r
    return (dQ, dK, np.einsum('bgrij,bgriv->bgjv', P, dO))


@fourth("co-attention-backward", "The two terms of dS were added")
def co_attention_backward_held_2(dO, cache):
    # the second table's gradient is added without transposing it back (it runs for Ta = Tb
    # only)
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    t = lambda a: np.swapaxes(a, -1, -2)
    sm = lambda p, g: p * (g - (p * g).sum(-1, keepdims=True))
    dS = sm(Pa, dOa @ t(Vb)) + sm(Pb, dOb @ t(Va))
    dS = dS / math.sqrt(A.shape[-1])
    return (dS @ B, t(dS) @ A, t(Pb) @ dOb, t(Pa) @ dOa)


@fourth("mean-pooling-backward", "dW pairs dY with the average o")
def mean_pooling_backward_held_3(dY, cache):
    # the projection's gradient uses the mean over all positions, the cls token included
    Z, W, m = cache
    B, L, D = Z.shape
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = np.einsum('bc,dc->bd', dY, W)[:, None] / (L - 1)
    dW = Z.mean(axis=1).T @ dY
    return (dZ, dW, dY.sum(axis=0))


@fourth("valid-lens-mask", "The last so many keys are allo")
def valid_lens_mask_held_2(valid_lens, Tq, Tk):
    # the padding is counted at the front: the last valid_len keys are allowed
    v = np.asarray(valid_lens)
    v = v[:, None] if v.ndim == 1 else v
    v = np.broadcast_to(v, (len(v), Tq))
    return np.arange(Tk) >= Tk - v[:, :, None]


@fourth("changed-keys", "One change in your function makes it right")
def changed_keys_held_3(Q, K, Wq, Wk, w, W, valid_lens):
    # w is applied inside the tanh, not after it

    def masked_softmax(S, mask=None):
        if mask is not None:
            S = np.where(mask, S, -np.inf)
        top = S.real.max(axis=-1, keepdims=True)
        E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
        Z = E.sum(axis=-1, keepdims=True)
        return E / np.where(Z == 0.0, 1.0, Z)
    real = np.arange(K.shape[1]) < valid_lens[:, None, None]
    pre = (Q @ Wq)[:, :, None] + (K @ Wk)[:, None]
    a = np.tanh(pre * w).sum(axis=-1)
    d = np.einsum('bid,bjd->bij', Q @ W, K) / math.sqrt(K.shape[-1])
    return (masked_softmax(a, real), masked_softmax(d, real))


@fourth("merge-heads-backward", "The axes T and H were not exch")
def merge_heads_backward_held_1(dY, num_heads):
    # the heads are stacked behind the positions: the result has the shape (…, T, H, D)
    *lead, T, W = dY.shape
    return np.stack(np.split(dY, num_heads, axis=-1), axis=-2)


@fourth("merge-heads-backward", "Along the axis head dO is what")
def merge_heads_backward_held_2(dY, num_heads):
    # the heads come out in reversed order
    D = dY.shape[-1] // num_heads
    parts = []
    for h in range(num_heads):
        stop = dY.shape[-1] - h * D
        parts.append(dY[..., stop - D:stop])
    return np.stack(parts, axis=-3)


@fourth("attention-backward", "The factor 1/√Dk is missing. I")
def attention_backward_held_3(dO, cache):
    # two mistakes: no scale in dQ and dK, and dV made from dS
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dQ = dS @ K
    dK = dS.swapaxes(-1, -2) @ Q
    dV = dS.swapaxes(-1, -2) @ dO
    return (dQ, dK, dV)


@fourth("layer-norm", "The variance is divided by D −")
def layer_norm_held_4(X, gain, bias, eps):
    # two mistakes: eps outside the root, and the unbiased variance
    c = X - X.mean(axis=-1, keepdims=True)
    sd = c.std(axis=-1, keepdims=True, ddof=1)
    return c / (sd + eps) * gain + bias
