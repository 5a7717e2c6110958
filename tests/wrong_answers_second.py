"""A second set, written with the first one and looked at after what that showed was mended.

What stands beside each answer is as in wrong_answers_blind.py.
"""

from math import pi, sqrt

import numpy as np
from wrong_answers_blind import Answers, T, ds, rows, sm

exp = np.exp
second = Answers()


@second("absorbed-scores", r"The factor 1/√D is missing\. \(Step")
def scale_forgotten(Q, W, C):
    return np.einsum("bhqd,hcd->bhqc", Q, W) @ T(C)[:, None]


@second("adam-step", "the absolute value of")
def v_gets_g_instead_of_g(p, g, m, v, steps, lr, beta1, beta2, eps):
    t = steps + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * abs(g)
    return p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


@second("adam-step", "does not change where beta2 does")
def beta1_used_for_both_means(p, g, m, v, steps, lr, beta1, beta2, eps):
    t = steps + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta1 * v + (1 - beta1) * g * g
    return p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta1**t)) + eps), m, v


@second("additive-attention-backward", "only what comes of the first index along the axis Tq")
def dwk_sums_over_the_first_query_only(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = ds(dO @ T(V), P)
    dA = dS[..., None] * w * (1 - F * F)
    return (np.einsum("bqd,bqkh->dh", Q, dA), np.einsum("bkd,bkh->dh", K, dA[:, 0]),
            np.einsum("bqk,bqkh->h", dS, F))


@second("additive-to-dot", "The columns of P sum to 1")
def weights_normalised_over_the_batch_axis(state, memory, valid_lens):
    s = np.einsum("bd,btd->bt", state, memory) / sqrt(state.shape[-1])
    E = np.where(np.arange(memory.shape[1]) < valid_lens[:, None], exp(s - s.max()), 0)
    Z = E.sum(0, keepdims=True)
    p = E / np.where(Z == 0, 1, Z)
    return np.einsum("bt,btd->bd", p, memory), p


@second("attention-backward", "dQ is what dK should be")
def dq_and_dk_exchanged_in_the_return(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    return T(dS) @ Q, dS @ K, T(P) @ dO


@second("attention-backward", None)
def row_sum_taken_from_o_do_v_rows_wrong_array(dO, cache):
    Q, K, V, P = cache
    dP = dO @ T(V)
    dS = P * (dP - rows(dO)) / sqrt(Q.shape[-1])
    return dS @ K, T(dS) @ Q, T(P) @ dO


@second("attention-dk", "The gradient of the softmax lacks")
def p_instead_of_ds_times_q(dO, cache):
    Q, K, V, P = cache
    return T(P * (dO @ T(V))) @ Q / sqrt(Q.shape[-1])


@second("attention-dq", "a mean was taken where")
def mean_of_p_dp_rather_than_the_sum(dO, cache):
    Q, K, V, P = cache
    dP = dO @ T(V)
    return P * (dP - (dP * P).mean(-1, keepdims=True)) @ K / sqrt(Q.shape[-1])


@second("bilinear-dm", "This is Kᵀ dSᵀ Q, the transpose")
def transposed_k_ds_q(dO, cache):
    Q, K, V, M, P = cache
    dS = ds(dO @ T(V), P)
    return (T(K) @ T(dS) @ Q).sum(0)


@second("causal-jacobian", None)
def key_s_and_value_s_path_only_at_i_m_diagonal(X):
    n, D = X.shape
    S = X @ X.T / sqrt(D)
    P = sm(np.where(np.tri(n, dtype=bool), S, -np.inf))
    O = P @ X
    J = np.zeros((n, n, D, D))
    for i in range(n):
        for m in range(i + 1):
            J[i, m] = P[i, m] * ((i != m) * np.eye(D) + np.outer(X[m] - O[i], X[i]) / sqrt(D))
        J[i, i] += sum(P[i, j] * np.outer(X[j], X[j] - O[i]) for j in range(i + 1)) / sqrt(D)
    return J


@second("changed-keys", "The tanh is missing in the additive")
def tanh_of_the_sum_left_out(Q, K, Wq, Wk, w, W, valid_lens):
    mask = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None]
    Sa = ((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w
    Sd = Q @ W @ T(K) / sqrt(K.shape[-1])
    return [sm(np.where(mask, S, -np.inf)) for S in (Sa, Sd)]


@second("co-attention-backward", "For b the sum in the softmax's")
def second_softmax_along_the_wrong_axis_pb(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    Pt = T(Pb)
    dPt = T(dOb @ T(Va))
    dS = (ds(dOa @ T(Vb), Pa) + ds(dPt, Pt)) / sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, T(Pb) @ dOb, T(Pa) @ dOa


@second("cross-attention-backward", "The factor 1/√D of the scores is")
def scale_forgotten_in_both_gradients(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    return (dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, np.einsum("btx,btd->xd", X, dQ),
            np.einsum("btx,btd->xd", M, dK), np.einsum("btx,btd->xd", M, dV))


@second("cross-entropy-backward", r"The targets were smoothed: 0\.9")
def label_smoothing_by_0_1(dloss, cache):
    P, targets, pad = cache
    C = P.shape[-1]
    counted = (targets != pad)[..., None]
    onehot = (np.arange(C) == targets[..., None]) * 0.9 + 0.1 / C
    return dloss * (P - onehot) * counted / max(counted.sum(), 1)


@second("delta-rule", "The key was divided by its length")
def key_normalised(S, q, k, v, beta):
    k = k / np.sqrt(rows(k * k))
    u = np.einsum("...kv,...k->...v", S, k)
    N = S + beta[..., None] * k[..., :, None] * (v - u)[..., None, :]
    return np.einsum("...kv,...k->...v", N, q), N


@second("dropout-backward", r"dP is scaled by 1/\(1 − rate\), but")
def dp_not_masked_only_scaled(dO, cache):
    P, V, keep, rate = cache
    return dO @ T(V) / (1 - rate), T(P * keep / (1 - rate)) @ dO


@second("embedding-backward", "The gradients of a token were averaged")
def mean_over_repeated_tokens(dY, cache):
    ids, E = cache
    dE, n = np.zeros_like(E), np.zeros(len(E))
    np.add.at(dE, ids, dY * sqrt(E.shape[-1]))
    np.add.at(n, ids, 1)
    return (dE / np.maximum(n, 1)[:, None]).astype(E.dtype)


@second("gelu-backward", "This is the derivative of the approximation")
def sigmoid_approximation(dY, cache):
    X, Phi = cache
    s = 1 / (1 + exp(-1.702 * X))
    return dY * (s + 1.702 * X * s * (1 - s))


@second("grouped-attention-backward", "Each group of dK is the sum of all")
def groups_taken_for_heads_sums_over_g(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V[:, :, None]), P) / sqrt(Q.shape[-1])
    dK, dV = (T(dS) @ Q), (T(P) @ dO)
    return (dS @ K[:, :, None], np.broadcast_to(dK.sum((1, 2))[:, None], K.shape),
            np.broadcast_to(dV.sum((1, 2))[:, None], V.shape))


@second("head-gate-backward", "only what comes of the first index along the axis B")
def dg_not_summed_over_the_batch_first_sequence(dY, cache):
    O, g, Wo = cache
    B, H, n, D = O.shape
    dG = (dY @ Wo.T).reshape(B, n, H, D).swapaxes(1, 2)
    return dG * g[:, None, None], (dG * O)[0].sum((1, 2))


@second("key-norm-attention-backward", "the factor `K` is missing")
def norm_s_term_times_q_s_sum_instead_of_k(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    return dS @ K, T(dS) @ Q - dS.sum(-2)[..., None], T(P) @ dO


@second("kv-cache", "The old cache was returned: the")
def returns_the_cache_without_the_new_token(x, K, V, Wq, Wk, Wv):
    K2 = np.concatenate([K, x @ Wk], -2)
    V2 = np.concatenate([V, x @ Wv], -2)
    return sm(x @ Wq @ T(K2) / sqrt(K2.shape[-1])) @ V2, K, V


@second("kv-cache", "`-2` stands where `-1`")
def key_and_value_projections_exchanged_scale(x, K, V, Wq, Wk, Wv):
    K = np.concatenate([K, x @ Wk], -2)
    V = np.concatenate([V, x @ Wv], -2)
    return sm(x @ Wq @ T(K) / sqrt(K.shape[-2])) @ V, K, V


@second("layer-norm", r"The row was multiplied by 1 \+ gain")
def gain_as_1_gain(X, gain, bias, eps):
    c = X - X.mean(-1, keepdims=True)
    return c / np.sqrt(X.var(-1, keepdims=True) + eps) * (1 + gain) + bias


@second("layer-norm", "Mean and variance run over the")
def normalises_over_the_last_two_axes(X, gain, bias, eps):
    ax = (-2, -1) if X.ndim > 1 else -1
    c = X - X.mean(ax, keepdims=True)
    return c / np.sqrt(X.var(ax, keepdims=True) + eps) * gain + bias


@second("layer-norm-backward", "`dXhat` stands where")
def dgain_uses_gain_dy_xhat_gain(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    dX = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    lead = tuple(range(dY.ndim - 1))
    return dX, (g * Xhat).sum(lead), g.sum(lead)


@second("linear-attention", "Each query read its own token alone")
def state_not_accumulated_only_the_present_token(Q, K, V):
    O = rows(Q * K) * V
    return O, K[..., -1, :, None] * V[..., -1, None, :]


@second("lstm-cell-backward", "dC lacks the factor F: the old")
def dc_is_dn_rather_than_dn_f(dY, cache):
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    t = np.tanh(N)
    dN = dHn * O * (1 - t * t) + dCn
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dHn * t * O * (1 - O),
                         dN * I * (1 - G * G)], -1)
    return dA @ Wx.T, dA @ Wh.T, dN, X.T @ dA, H.T @ dA, dA.sum(0)


@second("masked-softmax", "The mask was applied after the")
def normalises_over_all_keys_before_the_mask(S, mask):
    S = np.where(np.isfinite(S), S, 0)
    return sm(S) * mask


@second("mean-pooling-backward", "dW pairs dY with the cls token")
def dw_from_the_cls_token(dY, cache):
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = (dY @ W.T / (Z.shape[1] - 1))[:, None]
    return dZ, Z[:, 0].T @ dY, dY.sum(0)


@second("merge-partials", "The larger of L₁ and L₂ was returned")
def l_is_the_maximum_of_both(O1, L1, O2, L2):
    m = np.maximum(L1, L2)
    b = np.where(np.isneginf(m), 0, m)
    a, c = exp(L1 - b), exp(L2 - b)
    z = np.where(a + c == 0, 1, a + c)
    return (O1 * a[..., None] + O2 * c[..., None]) / z[..., None], m


@second("nadaraya-watson-dw", "The factor w is missing: the derivative")
def w_instead_of_its_own_power_u_no_w(df, cache):
    x, k, y, w, P = cache
    u = x[:, None] - k
    return -(ds(df[:, None] * y, P) * u * u).sum()


@second("nw-leave-one-out", "`f` stands where `y`")
def predictions_for_values(dL, cache):
    x, y, w, P, f = cache
    u = x[:, None] - x
    df = 2 * dL * (f - y) / len(x)
    return (ds(df[:, None] * f, P) * -u * u * w).sum()


@second("nw-many-parameters", "the sum runs over axis")
def db_summed_over_the_wrong_axis(df, cache):
    x, k, y, w, b, P = cache
    u = x[:, None] - k
    dS = ds(df[:, None] * y, P)
    return -(dS * u * u).sum(0) * w, dS.sum(1), P.T @ df


@second("online-softmax", "The new exponentials are relative")
def the_new_portion_relative_to_its_own_maximum(m, z, S):
    mine = S.max(-1)
    M = np.maximum(m, mine)
    own, base = np.where(np.isneginf(mine), 0, mine), np.where(np.isneginf(M), 0, M)
    return M, z * exp(m - base) + exp(S - own[..., None]).sum(-1)


@second("parzen-classification", "The kernel uses the distance, not")
def distance_not_squared(Q, X, y, sigma):
    d = np.sqrt(((Q[:, None] - X) ** 2).sum(-1))
    k = exp(-d / (2 * sigma**2))
    return k @ y / len(X), k @ y / k.sum(1)


@second("per-head-weights", r"The last axis was cut as \(D, H\)")
def head_dims_interleaved_reshape_d_h(X, Wq, Wk, H, mask):
    def cut(Y):
        return np.moveaxis(Y.reshape(*Y.shape[:2], -1, H), -1, 1)
    S = cut(X @ Wq) @ T(cut(X @ Wk)) / sqrt(Wq.shape[1] // H)
    if mask is None:
        return sm(S)
    S = np.where(mask, S, -np.inf)
    m = S.max(-1, keepdims=True)
    E = exp(S - np.where(np.isneginf(m), 0, m))
    Z = rows(E)
    return E / np.where(Z == 0, 1, Z)


@second("query-gradient-covariance", "The keys were centred at their")
def uniform_weights(q, K):
    c = K - K.mean(0)
    return np.broadcast_to(c.T @ c / len(K), (*q.shape, q.shape[-1]))


@second("random-heatmap", "The columns sum to 1; a query is")
def softmax_over_the_columns(S):
    E = exp(S)
    P = E / E.sum(-2, keepdims=True)
    return P, exp(-(P * np.log(P)).sum(-1))


@second("relative-positions", "`0` stands where `-c`")
def no_clipping_below_clip_j_i_0_c(dS, cache):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    r = np.clip(j - i, 0, c) + c
    dA = np.zeros_like(A)
    np.add.at(dA, r, np.einsum("...ij,...id->ijd", dS, Q))
    return np.einsum("...ij,ijd->...id", dS, A[r]), dA


@second("residual-norm-block-backward", "`X` stands where `H`")
def gate_by_x_0_rather_than_h_0(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA, D = dR * (X > 0), X.shape[-1]
    return dR + dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


@second("rms-norm-backward", "The correction was added; the derivative")
def correction_s_sign(dY, cache):
    X, gain, rstd = cache
    g, n = dY * gain, X * rstd
    return (rstd * (g + n * (g * n).mean(-1, keepdims=True)),
            (dY * n).reshape(-1, X.shape[-1]).sum(0))


@second("rotary-backward", "Both sine terms are added; that")
def second_of_a_pair_has_the_wrong_sign(dY, cache):
    cos, sin = cache
    d = np.empty_like(dY)
    d[..., ::2] = dY[..., ::2] * cos + dY[..., 1::2] * sin
    d[..., 1::2] = dY[..., 1::2] * cos + dY[..., ::2] * sin
    return d


@second("rotary-halves-backward", "Only the cosine terms are there")
def sine_s_terms_lacking_altogether(dY, cache):
    cos, sin = cache
    return dY * np.concatenate([cos, cos], -1)


@second("self-attention-backward", "The gradient of the merged heads")
def do_of_heads_cut_as_b_h_t_d_without_swap(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, n, D = O.shape

    def merge(A):
        return A.swapaxes(1, 2).reshape(B, n, H * D)

    def dot(A, C):
        return np.einsum("btx,btd->xd", A, C)
    dO = (dY @ Wo.T).reshape(B, H, n, D)
    dS = ds(dO @ T(V), P) / sqrt(D)
    dQ, dK, dV = map(merge, (dS @ K, T(dS) @ Q, T(P) @ dO))
    return (dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T, dot(X, dQ), dot(X, dK), dot(X, dV),
            dot(merge(O), dY))


@second("sink-softmax", "sink is missing, or was divided away")
def sink_subtracted_from_the_scores_softmax_s_b(S, b):
    return sm(S - b)


@second("sinusoidal-positions", "Sine and cosine are exchanged:")
def sin_and_cos_exchanged(X, offset):
    n, D = X.shape[-2:]
    t = np.arange(offset, offset + n)[:, None]
    a = t / 10000 ** (np.arange(D) // 2 * 2 / D)
    return X + np.where(np.arange(D) % 2 == 1, np.sin(a), np.cos(a))


@second("soft-cap-backward", "does not change where cap does")
def cosh_1_cosh_s_without_cap(dY, cache):
    S, Y, cap = cache
    return dY / np.cosh(S) ** 2


@second("softmax-jacobian", "Only the diagonal is filled, p_j")
def diagonal_only(S):
    p = sm(S)
    return np.eye(S.shape[-1]) * (p * (1 - p))[..., None]


@second("split-heads", "The axes T and H were not exchanged")
def heads_last_t_h_d(X, num_heads):
    return X.reshape(*X.shape[:-1], num_heads, -1)


@second("swiglu-backward", "`sigma` is added where")
def sigma_sign_1_sigma(dY, cache):
    G, U = cache
    s = 1 / (1 + exp(-G))
    return dY * U * s * (1 + G * (1 + s)), dY * G * s


@second("tiled-backward", r"the division by `math\.sqrt\(Q\.shape\[-1\]\)`")
def scale_missing_in_dk(dO, cache):
    Q, K, V, mask, O, L = cache
    S = Q @ T(K)
    P = exp(S - np.where(np.isneginf(L), 0, L)[..., None])
    if mask is not None:
        P = np.where(mask, P, 0)
    dS = P * (dO @ T(V) - rows(dO * O))
    return T(dS) @ Q, T(P) @ dO


@second("unit-sphere-distance", "D is the distance; its square was")
def distance_not_squared_2(Q, K, sigma):
    q, k = Q / np.sqrt(rows(Q * Q)), K / np.sqrt(rows(K * K))
    D = 2 - 2 * q @ T(k)
    return np.sqrt(np.maximum(D, 0)), sm(-D / (2 * sigma**2))


@second("valid-lens-mask", "The mask is True on the padding")
def true_for_padding_inverted(valid_lens, Tq, Tk):
    v = valid_lens if valid_lens.ndim == 2 else np.repeat(valid_lens[:, None], Tq, 1)
    return np.arange(Tk) >= v[..., None]


@second("vector-sum-score", "dP was used where dS belongs: the")
def dq_not_zero_p_in_place_of_ds(dO, cache):
    Q, K, V, P = cache
    dP = dO @ T(V)
    return (np.broadcast_to(rows(dP), Q.shape),
            np.broadcast_to(dP.sum(-2)[..., None], K.shape), T(P) @ dO)


@second("learned-positions-backward", "The result has only the rows that")
def only_the_rows_from_offset_on_shape_t_d(dY, cache):
    E, offset = cache
    return dY.reshape(-1, *dY.shape[-2:]).sum(0)


@second("linear-backward", r"dX uses W, not its transpose\. dX")
def dx_with_w_not_transposed_works_when_square(dY, cache):
    X, W = cache
    return dY @ W, X.reshape(-1, X.shape[-1]).T @ dY.reshape(-1, dY.shape[-1]), \
        dY.reshape(-1, dY.shape[-1]).sum(0)


@second("merge-heads-backward", r"dY was reshaped straight to \(\.")
def swap_forgotten_h_t_d_by_reshape(dY, num_heads):
    *lead, n, W = dY.shape
    return dY.reshape(*lead, num_heads, n, W // num_heads)


@second("window-mask", "The future is not hidden: keys")
def no_look_ahead_bar_only_the_lower_bound(Tq, Tk, w):
    i, j = np.arange(Tk - Tq, Tk)[:, None], np.arange(Tk)
    return j > i - w


@second("softmax", None)
def clipped_scores(S):
    E = exp(np.clip(S, -700, 700))
    return E / rows(E)


@second("swiglu-backward", "float32, in line 49., has few digits")
def gradient_by_tanh_written_with_float32(dY, cache):
    G, U = cache
    s = (1 / (1 + exp(-G.astype(np.float32)))).astype(G.dtype)
    return dY * U * s * (1 + G * (1 - s)), dY * G * s


@second("unit-sphere-distance", "largest one, before exp")
def whole_array_maximum_2(Q, K, sigma):
    q, k = Q / np.sqrt(rows(Q * Q)), K / np.sqrt(rows(K * K))
    D = 2 - 2 * q @ T(k)
    E = exp(-D / (2 * sigma**2) - (-D / (2 * sigma**2)).max())
    return D, E / rows(E)


@second("per-head-weights", "have lost their weights")
def one_maximum_for_all_heads(X, Wq, Wk, H, mask):
    def cut(Y):
        return Y.reshape(*Y.shape[:2], H, -1).swapaxes(1, 2)
    S = cut(X @ Wq) @ T(cut(X @ Wk)) / sqrt(Wq.shape[1] // H)
    E = exp(S - S.max())
    if mask is not None:
        E = E * mask
    Z = rows(E)
    return E / np.where(Z == 0, 1, Z)


@second("query-gradient-covariance", "no maximum is subtracted in the softmax")
def no_shift(q, K):
    E = exp(q @ K.T)
    p = E / rows(E)
    o = p @ K
    return np.einsum("...t,ta,tb->...ab", p, K, K) - o[..., :, None] * o[..., None, :]


@second("causal-jacobian", "largest one, before exp")
def no_shift_before_exp_2(X):
    n, D = X.shape
    E = exp(X @ X.T / sqrt(D)) * np.tri(n)
    P = E / rows(E)
    O = P @ X
    J = np.zeros((n, n, D, D))
    for i in range(n):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / sqrt(D))
        J[i, i] += sum(P[i, j] * np.outer(X[j], X[j] - O[i]) for j in range(i + 1)) / sqrt(D)
    return J


@second("additive-to-dot", "have lost their weights")
def maximum_over_the_padding_too(state, memory, valid_lens):
    s = np.einsum("bd,btd->bt", state, memory) / sqrt(state.shape[-1])
    E = exp(s - s.max(-1, keepdims=True)) * (np.arange(memory.shape[1]) < valid_lens[:, None])
    Z = rows(E)
    p = E / np.where(Z == 0, 1, Z)
    return np.einsum("bt,btd->bd", p, memory), p


@second("changed-keys", "largest one, before exp")
def no_shift_in_the_dot_score(Q, K, Wq, Wk, w, W, valid_lens):
    mask = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None]
    Sa = np.tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w
    E = exp(Q @ W @ T(K) / sqrt(K.shape[-1])) * mask
    return sm(np.where(mask, Sa, -np.inf)), E / rows(E)


@second("gelu-backward", "right where numbers are moderate")
def cut_off_beyond_five(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * (1 / exp(X * X / 2)) / sqrt(2 * pi) * (abs(X) < 5))


@second("soft-cap-backward", "right where numbers are moderate")
def overflows_far_below_zero(dY, cache):
    S, Y, cap = cache
    e = exp(-2 * S / cap)
    return dY * 4 * e / (1 + e) ** 2


@second("masked-softmax", "the max runs over axis")
def whole_array_maximum_3(S, mask):
    Z = np.where(mask, S, -np.inf)
    m = Z.max()
    E = exp(Z - (0 if np.isneginf(m) else m))
    s = rows(E)
    return E / np.where(s == 0, 1, s)
