"""Wrong answers written from the statements alone, before a catalogue was opened.

Beside each stands what is said of it: a regular expression for the verdict's paragraphs, "" where
its trouble is told without numbers, None where nothing is known of its cause. What they showed was
mended.
"""

from math import erf, pi, sqrt

import numpy as np

exp = np.exp


class Answers(list):
    """(exercise, words, function), filled by decorating functions."""

    def __call__(self, exercise, words):
        def put(function):
            self.append((exercise, words, function))
            return function

        return put


first = Answers()


def T(X):
    return X.swapaxes(-1, -2)


def rows(X):
    return X.sum(-1, keepdims=True)


def sm(S):
    E = exp(S - S.max(-1, keepdims=True))
    return E / rows(E)


def ds(dP, P):
    return P * (dP - rows(dP * P))


@first("absorbed-scores", "The scale is 1/√Dc, by the width")
def w_transposed_wrongly_contracted_scaled_by(Q, W, C):
    q = np.einsum("bhqd,hcd->bhqc", Q, W)
    return np.einsum("bhqc,bkc->bhqk", q, C) / sqrt(C.shape[-1])


@first("absorbed-scores", "The matrix of the first head was")
def head_0_s_matrix_for_all_heads(Q, W, C):
    q = np.einsum("bhqd,cd->bhqc", Q, W[0])
    return np.einsum("bhqc,bkc->bhqk", q, C) / sqrt(Q.shape[-1])


@first("absorbed-scores", "Each head of S is the sum of all")
def sum_over_heads_einsum_lost_h(Q, W, C):
    q = np.einsum("bhqd,hcd->bqc", Q, W)
    S = np.einsum("bqc,bkc->bqk", q, C) / sqrt(Q.shape[-1])
    return np.repeat(S[:, None], Q.shape[1], 1)


@first("adam-step", "The first two steps count as step")
def t_steps_rather_than_steps_1_guarded_by_max(p, g, m, v, steps, lr, beta1, beta2, eps):
    t = max(steps, 1)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


@first("adam-step", "m̂ and v̂ were returned as the")
def returns_bias_corrected_m_and_v(p, g, m, v, steps, lr, beta1, beta2, eps):
    t = steps + 1
    m = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)
    v = (beta2 * v + (1 - beta2) * g * g) / (1 - beta2**t)
    return p - lr * m / (np.sqrt(v) + eps), m, v


@first("additive-attention-backward", "The derivative of tanh is 1 − F²")
def tanh_taken_as_1_f_instead_of_1_f(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = ds(dO @ T(V), P)
    dA = dS[..., None] * w * (1 - F)
    return (np.einsum("bqd,bqkh->dh", Q, dA), np.einsum("bkd,bqkh->dh", K, dA),
            np.einsum("bqk,bqkh->h", dS, F))


@first("additive-attention-backward", "`dP` stands where `dS`")
def dp_used_for_dw_softmax_s_backward_forgotten(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ T(V)
    dS = ds(dP, P)
    dA = dS[..., None] * w * (1 - F**2)
    return (np.einsum("bqd,bqkh->dh", Q, dA), np.einsum("bkd,bqkh->dh", K, dA),
            np.einsum("bqk,bqkh->h", dP, F))


@first("additive-to-dot", "Padding got the score 0, which")
def masks_with_0_scores_rather_than_inf(state, memory, valid_lens):
    s = np.einsum("bd,btd->bt", state, memory) / sqrt(state.shape[-1])
    mask = np.arange(memory.shape[1]) < valid_lens[:, None]
    p = sm(np.where(mask, s, 0.0))
    return np.einsum("bt,btd->bd", p, memory), p


@first("additive-to-dot", "A large negative number stands")
def length_0_gives_uniform_weights_1e9(state, memory, valid_lens):
    s = np.einsum("bd,btd->bt", state, memory) / sqrt(state.shape[-1])
    mask = np.arange(memory.shape[1]) < valid_lens[:, None]
    p = sm(np.where(mask, s, -1e9))
    return np.einsum("bt,btd->bd", p, memory), p


@first("attention-backward", r"dV uses P, not its transpose\. Value")
def dv_with_p_of_the_wrong_transposition_p_do(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    return dS @ K, T(dS) @ Q, P @ dO


@first("attention-backward", "The scale is 1/√Dv; it should be")
def scale_sqrt_dv_instead_of_sqrt_dk(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(V.shape[-1])
    return dS @ K, T(dS) @ Q, T(P) @ dO


@first("attention-backward", "The factor 1/√Dk reached dQ but")
def scale_missing_in_dk_only(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    return dS @ K / sqrt(Q.shape[-1]), T(dS) @ Q, T(P) @ dO


@first("attention-cost", "`3` stands where `4`")
def forgets_that_p_is_read_again_moved_counts_p(H, Tq, Tk, Dk, Dv):
    return Tq * Tk * (Dk + Dv), Tq * Dk + Tk * Dk + Tk * Dv + Tq * Dv + 3 * H * Tq * Tk


@first("attention-cost", "One table of scores was counted")
def scores_counted_without_heads(H, Tq, Tk, Dk, Dv):
    return Tq * Tk * (Dk + Dv), Tq * Dk + Tk * Dk + Tk * Dv + Tq * Dv + 4 * Tq * Tk


@first("attention-dk", "grows with the square of dO")
def uses_k_for_q(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    return T(dS) @ (dS @ K)


@first("attention-dk", "The sum in the softmax's gradient")
def row_sum_along_queries_axis_2(dO, cache):
    Q, K, V, P = cache
    dP = dO @ T(V)
    dS = P * (dP - (dP * P).sum(-2, keepdims=True)) / sqrt(Q.shape[-1])
    return T(dS) @ Q


@first("attention-dq", "the factor `P` is missing")
def sum_of_dp_not_of_p_dp(dO, cache):
    Q, K, V, P = cache
    dP = dO @ T(V)
    return P * (dP - rows(dP)) @ K / sqrt(Q.shape[-1])


@first("attention-dq", "The factor 1/√Dk is there twice")
def scaled_twice_d_instead_of_sqrt_d(dO, cache):
    Q, K, V, P = cache
    return ds(dO @ T(V), P) @ K / Q.shape[-1]


@first("attention-dv", "`P` is squared, as in")
def p_not_transposed_but_einsum_with_wrong(dO, cache):
    Q, K, V, P = cache
    return np.einsum("...qk,...qv->...kv", P * P, dO)


@first("bilinear-dm", r"dM is a mean over the batch\. A")
def mean_over_the_batch(dO, cache):
    Q, K, V, M, P = cache
    dS = ds(dO @ T(V), P)
    return (T(Q) @ dS @ K).mean(0)


@first("bilinear-dm", r"There is a factor 1/√Dk\. This score")
def scaled_by_1_sqrt_dk_though_the_score_has_no(dO, cache):
    Q, K, V, M, P = cache
    dS = ds(dO @ T(V), P) / sqrt(K.shape[-1])
    return (T(Q) @ dS @ K).sum(0)


@first("causal-jacobian", "The path through the query is missing")
def forgets_the_part_through_the_query_i_m(X):
    n, D = X.shape
    S = X @ X.T / sqrt(D)
    P = sm(np.where(np.tri(n, dtype=bool), S, -np.inf))
    O = P @ X
    J = np.zeros((n, n, D, D))
    for i in range(n):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / sqrt(D))
    return J


@first("causal-jacobian", "The mask was applied after the")
def normalised_over_all_keys_softmax_then_mask(X):
    n, D = X.shape
    S = X @ X.T / sqrt(D)
    P = sm(S) * np.tri(n)
    O = P @ X
    J = np.zeros((n, n, D, D))
    for i in range(n):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / sqrt(D))
        J[i, i] += sum(P[i, j] * np.outer(X[j], X[j] - O[i]) for j in range(i + 1)) / sqrt(D)
    return J


@first("causal-mask", "A query may not attend to its own")
def excludes_own_position(Tq, Tk):
    return np.tri(Tq, Tk, Tk - Tq - 1, dtype=bool)


@first("causal-mask", "")
def int_dtype_rather_than_bool(Tq, Tk):
    return np.tri(Tq, Tk, Tk - Tq)


@first("changed-keys", "The dot product was divided by")
def scale_by_sqrt_dq_in_the_dot_score(Q, K, Wq, Wk, w, W, valid_lens):
    mask = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None]
    Sa = np.tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w
    Sd = Q @ W @ T(K) / sqrt(Q.shape[-1])
    return [sm(np.where(mask, S, -np.inf)) for S in (Sa, Sd)]


@first("changed-keys", "The mask was applied after the")
def multiplies_by_the_mask_after_the_softmax_no(Q, K, Wq, Wk, w, W, valid_lens):
    mask = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None]
    Sa = np.tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w
    Sd = Q @ W @ T(K) / sqrt(K.shape[-1])
    return sm(Sa) * mask, sm(Sd) * mask


@first("co-attention-backward", "dS holds only what comes from a's")
def the_part_of_pb_forgotten_in_ds(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    dS = ds(dOa @ T(Vb), Pa) / sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, T(Pb) @ dOb, T(Pa) @ dOa


@first("co-attention-backward", "The gradients of the values are")
def dva_and_dvb_exchanged(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    dS = (ds(dOa @ T(Vb), Pa) + T(ds(dOb @ T(Va), Pb))) / sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, T(Pa) @ dOa, T(Pb) @ dOb


@first("cross-attention-backward", "dM holds only what goes through")
def dm_only_through_the_keys(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    return (dQ @ Wq.T, dK @ Wk.T, np.einsum("btx,btd->xd", X, dQ),
            np.einsum("btx,btd->xd", M, dK), np.einsum("btx,btd->xd", M, dV))


@first("cross-attention-backward", "only the first was taken")
def dwk_from_dq_s_rows_first_batch_only_for_the(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    return (dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, X[0].T @ dQ[0], M[0].T @ dK[0], M[0].T @ dV[0])


@first("cross-entropy-backward", "The sum was divided by the number")
def divides_by_all_tokens(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    d = P.copy()
    np.put_along_axis(d, np.where(counted, targets, 0)[..., None],
                      np.take_along_axis(P, np.where(counted, targets, 0)[..., None], -1) - 1, -1)
    return dloss * d * counted[..., None] / targets.size


@first("cross-entropy-backward", "Padding was taken out of the targets")
def padding_rows_keep_p(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    onehot = (np.arange(P.shape[-1]) == targets[..., None]) & counted[..., None]
    return dloss * (P - onehot) / max(counted.sum(), 1)


@first("delta-rule", "The query read from the old state")
def reads_from_the_old_state(S, q, k, v, beta):
    u = np.einsum("...kv,...k->...v", S, k)
    N = S + beta[..., None] * k[..., :, None] * (v - u)[..., None, :]
    return np.einsum("...kv,...k->...v", S, q), N


@first("delta-rule", "The value itself was written, as")
def forgets_to_subtract_writes_v_no_u(S, q, k, v, beta):
    N = S + beta[..., None] * k[..., :, None] * v[..., None, :]
    return np.einsum("...kv,...k->...v", N, q), N


@first("delta-rule", "The old state was multiplied by")
def old_part_also_scaled_1_beta_s(S, q, k, v, beta):
    u = np.einsum("...kv,...k->...v", S, k)
    N = (1 - beta[..., None]) * S + beta[..., None] * k[..., :, None] * (v - u)[..., None, :]
    return np.einsum("...kv,...k->...v", N, q), N


@first("dropout-backward", "What was kept is divided by the")
def scales_by_rate_not_1_rate(dO, cache):
    P, V, keep, rate = cache
    M = keep / rate if rate else keep * 1.0
    return dO @ T(V) * M, T(P * M) @ dO


@first("dropout-backward", "dV was made with the weights before")
def dv_without_the_dropout(dO, cache):
    P, V, keep, rate = cache
    M = keep / (1 - rate)
    return dO @ T(V) * M, T(P) @ dO


@first("embedding-backward", "Where a token occurs several times")
def fancy_loses_repeats(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    dE[ids] += dY * sqrt(E.shape[-1])
    return dE


@first("embedding-backward", "The factor is the root of the number")
def scale_sqrt_vocabulary(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY * sqrt(E.shape[0]))
    return dE


@first("gelu-backward", "This is the derivative of the approximation")
def derivative_of_the_tanh_approximation(dY, cache):
    X, Phi = cache
    c = sqrt(2 / pi)
    t = np.tanh(c * (X + 0.044715 * X**3))
    return dY * (0.5 * (1 + t) + 0.5 * X * (1 - t * t) * c * (1 + 3 * 0.044715 * X**2))


@first("gelu-backward", "The density lacks its constant")
def density_without_1_sqrt_2_pi(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * exp(-X * X / 2))


@first("grouped-attention-backward", "Means were taken over the heads")
def mean_over_the_heads_of_a_group_rather_than(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V[:, :, None]), P) / sqrt(Q.shape[-1])
    return dS @ K[:, :, None], (T(dS) @ Q).mean(2), (T(P) @ dO).mean(2)


@first("grouped-attention-backward", "only the first was taken")
def sum_over_heads_lacks_in_dv_takes_the_first(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V[:, :, None]), P) / sqrt(Q.shape[-1])
    return dS @ K[:, :, None], (T(dS) @ Q).sum(2), (T(P) @ dO)[:, :, 0]


@first("head-gate-backward", "dg has a factor g: the gated output")
def dg_from_gated_outputs_one_factor_g_too_many(dY, cache):
    O, g, Wo = cache
    B, H, n, D = O.shape
    dG = (dY @ Wo.T).reshape(B, n, H, D).swapaxes(1, 2)
    return dG * g[:, None, None], (dG * O * g[:, None, None]).sum((0, 2, 3))


@first("head-gate-backward", "The gradient of the merged heads")
def heads_cut_in_the_wrong_order_reshape_b_h_t(dY, cache):
    O, g, Wo = cache
    dG = (dY @ Wo.T).reshape(O.shape)
    return dG * g[:, None, None], (dG * O).sum((0, 2, 3))


@first("key-norm-attention-backward", "The derivative of ‖k‖²/2 is k:")
def the_norm_s_term_with_factor_1_2(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    return dS @ K, T(dS) @ Q - 0.5 * dS.sum(-2)[..., None] * K, T(P) @ dO


@first("key-norm-attention-backward", "The norm's part of dK was added")
def the_norm_s_term_added_sign(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    return dS @ K, T(dS) @ Q + dS.sum(-2)[..., None] * K, T(P) @ dO


@first("kv-cache", "The new key and value stand in")
def new_token_put_first(x, K, V, Wq, Wk, Wv):
    K = np.concatenate([x @ Wk, K], -2)
    V = np.concatenate([x @ Wv, V], -2)
    return sm(x @ Wq @ T(K) / sqrt(K.shape[-1])) @ V, K, V


@first("kv-cache", "The query attends to the old cache")
def attends_to_the_past_only_not_to_itself(x, K, V, Wq, Wk, Wv):
    k, v = x @ Wk, x @ Wv
    E = exp(x @ Wq @ T(K) / sqrt(K.shape[-1])) if K.shape[-2] else np.zeros((*x.shape[:-1], 0))
    o = E / np.maximum(rows(E), 1e-300) @ V
    return o, np.concatenate([K, k], -2), np.concatenate([V, v], -2)


@first("layer-norm", "ε was added to the standard deviation")
def eps_added_outside_the_root(X, gain, bias, eps):
    c = X - X.mean(-1, keepdims=True)
    return c / (X.std(-1, keepdims=True) + eps) * gain + bias


@first("layer-norm", "`X` stands where `centred`")
def rms_norm_mean_not_subtracted_in_the(X, gain, bias, eps):
    return X / np.sqrt(X.var(-1, keepdims=True) + eps) * gain + bias


@first("layer-norm-backward", "`dY` stands where `dXhat`")
def projection_term_takes_dy_not_g_dy_gain(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    dX = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (dY * Xhat).mean(-1, keepdims=True))
    lead = tuple(range(dY.ndim - 1))
    return dX, (dY * Xhat).sum(lead), dY.sum(lead)


@first("layer-norm-backward", "a sum was taken where")
def sum_instead_of_mean_in_the_second_projection(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    dX = rstd * (g - g.mean(-1, keepdims=True) - Xhat * rows(g * Xhat))
    lead = tuple(range(dY.ndim - 1))
    return dX, (dY * Xhat).sum(lead), dY.sum(lead)


@first("learned-positions-backward", "The rows start at 0; they should")
def offset_ignored(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    dE[: dY.shape[-2]] = dY.reshape(-1, *dY.shape[-2:]).sum(0)
    return dE


@first("learned-positions-backward", "The mean over the batch was taken")
def mean_over_batch(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    dE[offset : offset + dY.shape[-2]] = dY.reshape(-1, *dY.shape[-2:]).mean(0)
    return dE


@first("linear-attention", "The query read before its own key")
def reads_before_writing_strictly_causal(Q, K, V):
    S = np.zeros((*K.shape[:-2], K.shape[-1], V.shape[-1]))
    O = np.zeros_like(V)
    for t in range(Q.shape[-2]):
        O[..., t, :] = np.einsum("...kv,...k->...v", S, Q[..., t, :])
        S = S + K[..., t, :, None] * V[..., t, None, :]
    return O, S


@first("linear-attention", "Every query read the last state")
def not_causal_reads_from_the_last_state(Q, K, V):
    S = T(K) @ V
    return Q @ S, S


@first("linear-attention", "The scores have a factor 1/√Dk")
def scaled_by_sqrt_dk(Q, K, V):
    A = np.tril(Q @ T(K)) / sqrt(Q.shape[-1])
    return A @ V, T(K) @ V


@first("linear-backward", "dY has 1 or 2 axes, and never where it has 3 or 4")
def db_keeps_axes_summed_over_the_first_axis(dY, cache):
    X, W = cache
    x, d = X.reshape(-1, X.shape[-1]), dY.reshape(-1, dY.shape[-1])
    return dY @ W.T, x.T @ d, dY.sum(0) if dY.ndim > 1 else dY


@first("lstm-cell-backward", "The gradient of the new cell, dCn")
def dcn_not_added_to_the_cell_s_gradient(dY, cache):
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    t = np.tanh(N)
    dN = dHn * O * (1 - t * t)
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dHn * t * O * (1 - O),
                         dN * I * (1 - G * G)], -1)
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0)


@first("lstm-cell-backward", "The blocks were joined in the order")
def order_of_blocks_i_f_g_o(dY, cache):
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    t = np.tanh(N)
    dN = dHn * O * (1 - t * t) + dCn
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dN * I * (1 - G * G),
                         dHn * t * O * (1 - O)], -1)
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0)


@first("lstm-cell-backward", "1 − C′² was used; C′ is what goes")
def tanh_forgotten_at_tanh_c_1_n_used(dY, cache):
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    t = np.tanh(N)
    dN = dHn * O * (1 - N * N) + dCn
    dA = np.concatenate([dN * G * I * (1 - I), dN * C * F * (1 - F), dHn * t * O * (1 - O),
                         dN * I * (1 - G * G)], -1)
    return dA @ Wx.T, dA @ Wh.T, dN * F, X.T @ dA, H.T @ dA, dA.sum(0)


@first("masked-softmax", "What is forbidden was multiplied")
def nan_scores_behind_the_mask_leak_multiplies(S, mask):
    E = exp(S - np.where(mask, S, -np.inf).max(-1, keepdims=True)) * mask
    Z = rows(E)
    return E / np.where(Z == 0, 1, Z)


@first("masked-softmax", "A large negative number stands")
def dead_row_uniform(S, mask):
    return sm(np.where(mask, S, -1e30))


@first("mean-pooling-backward", "dZ was divided by the number of")
def divides_by_n_1(dY, cache):
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = (dY @ W.T / Z.shape[1])[:, None]
    return dZ, m.T @ dY, dY.sum(0)


@first("mean-pooling-backward", "The cls token got a gradient as")
def cls_token_gets_the_gradient_too(dY, cache):
    Z, W, m = cache
    dZ = np.broadcast_to((dY @ W.T / (Z.shape[1] - 1))[:, None], Z.shape)
    return dZ, m.T @ dY, dY.sum(0)


@first("merge-heads-backward", r"Column d·H \+ h went to head h\.")
def columns_dealt_round_robin_reshape_d_h(dY, num_heads):
    *lead, n, W = dY.shape
    return np.moveaxis(dY.reshape(*lead, n, W // num_heads, num_heads), -1, -3)


@first("merge-partials", r"exp\(L\) was made without subtracting")
def no_shift_exp_l_overflows(O1, L1, O2, L2):
    a, b = exp(L1), exp(L2)
    z = a + b
    w = np.where(z == 0, 1, z)
    return (O1 * a[..., None] + O2 * b[..., None]) / w[..., None], np.log(z)


@first("merge-partials", "The outputs were averaged as if")
def plain_mean_of_the_outputs(O1, L1, O2, L2):
    return (O1 + O2) / 2, np.logaddexp(L1, L2)


@first("nadaraya-watson-dw", "The distance x − k enters squared")
def forgets_the_square_u_w_instead_of_u_w(df, cache):
    x, k, y, w, P = cache
    u = x[:, None] - k
    return (ds(df[:, None] * y, P) * -u * w).sum()


@first("nadaraya-watson-dw", "`dP` is subtracted where")
def sign(df, cache):
    x, k, y, w, P = cache
    u = x[:, None] - k
    return (ds(df[:, None] * y, P) * u * u * w).sum()


@first("nw-leave-one-out", "The 2 of the square is missing")
def factor_2_forgotten(dL, cache):
    x, y, w, P, f = cache
    u = x[:, None] - x
    df = dL * (f - y) / len(x)
    return (ds(df[:, None] * y, P) * -u * u * w).sum()


@first("nw-leave-one-out", "The loss is a mean over n points")
def divides_by_n_1_2(dL, cache):
    x, y, w, P, f = cache
    u = x[:, None] - x
    df = 2 * dL * (f - y) / max(len(x) - 1, 1)
    return (ds(df[:, None] * y, P) * -u * u * w).sum()


@first("nw-many-parameters", "`dP` stands where `dS`")
def db_from_p_df_softmax_backward_forgotten(df, cache):
    x, k, y, w, b, P = cache
    u = x[:, None] - k
    dS = ds(df[:, None] * y, P)
    return (dS * -u * u * w).sum(0), (df[:, None] * y).sum(0), P.T @ df


@first("nw-many-parameters", r"dy has a factor y\. The prediction")
def dy_multiplied_with_w(df, cache):
    x, k, y, w, b, P = cache
    u = x[:, None] - k
    dS = ds(df[:, None] * y, P)
    return (dS * -u * u * w).sum(0), dS.sum(0), (P.T @ df) * y


@first("online-softmax", "The old sum was added as it is")
def the_old_sum_is_not_rescaled(m, z, S):
    M = np.maximum(m, S.max(-1))
    base = np.where(np.isneginf(M), 0, M)
    return M, z + exp(S - base[..., None]).sum(-1)


@first("online-softmax", "The old sum was multiplied by exp")
def rescales_with_the_wrong_sign_exp_m_m(m, z, S):
    M = np.maximum(m, S.max(-1))
    base = np.where(np.isneginf(M), 0, M)
    old = np.where(np.isneginf(m), base, m)
    return M, z * exp(base - old) + exp(S - base[..., None]).sum(-1)


@first("parzen-classification", "The square of the distance is divided")
def kernel_with_sigma_instead_of_2_sigma(Q, X, y, sigma):
    d = ((Q[:, None] - X) ** 2).sum(-1)
    k = exp(-d / (2 * sigma))
    return k @ y / len(X), k @ y / k.sum(1)


@first("parzen-classification", "Each class was divided by its own")
def each_class_divided_by_its_own_count(Q, X, y, sigma):
    d = ((Q[:, None] - X) ** 2).sum(-1)
    k = exp(-d / (2 * sigma**2))
    return k[:, y > 0].mean(1) - k[:, y < 0].mean(1), k @ y / k.sum(1)


@first("per-head-weights", r"The scale is 1/√\(H·D\), by the whole")
def scaled_by_the_whole_width_h_d(X, Wq, Wk, H, mask):
    def cut(Y):
        return Y.reshape(*Y.shape[:2], H, -1).swapaxes(1, 2)
    S = cut(X @ Wq) @ T(cut(X @ Wk)) / sqrt(Wq.shape[1])
    if mask is None:
        return sm(S)
    S = np.where(mask, S, -np.inf)
    m = S.max(-1, keepdims=True)
    E = exp(S - np.where(np.isneginf(m), 0, m))
    Z = rows(E)
    return E / np.where(Z == 0, 1, Z)


@first("per-head-weights", r"The mask was not used\. \(Step 4")
def mask_ignored(X, Wq, Wk, H, mask):
    def cut(Y):
        return Y.reshape(*Y.shape[:2], H, -1).swapaxes(1, 2)
    return sm(cut(X @ Wq) @ T(cut(X @ Wk)) / sqrt(Wq.shape[1] // H))


@first("query-gradient-covariance", "The mean was not subtracted: Σ")
def second_moment_mean_not_subtracted(q, K):
    p = sm(q @ K.T)
    return np.einsum("...t,ta,tb->...ab", p, K, K)


@first("query-gradient-covariance", "There is a factor 1/√D; the scores")
def unbiased_divided_by_1_sum_p(q, K):
    p = sm(q @ K.T)
    o = p @ K
    J = np.einsum("...t,ta,tb->...ab", p, K, K) - o[..., :, None] * o[..., None, :]
    return J / sqrt(K.shape[-1])


@first("random-heatmap", "The entropy is in bits, by log2")
def entropy_in_bits_exp_of_log2(S):
    P = sm(S)
    return P, exp(-(P * np.log2(P)).sum(-1))


@first("random-heatmap", "n is 1/Σ p², which also counts")
def by_1_sum_p_instead_of_exp_of_the_entropy(S):
    P = sm(S)
    return P, 1 / (P * P).sum(-1)


@first("relative-positions", "The distance has the wrong sign")
def i_j_for_j_i(dS, cache):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    r = np.clip(i - j, -c, c) + c
    dA = np.zeros_like(A)
    np.add.at(dA, r, np.einsum("...ij,...id->ijd", dS, Q))
    return np.einsum("...ij,ijd->...id", dS, A[r]), dA


@first("relative-positions", "Of all pairs that share a row,")
def da_assigned_not_added_the_last_pair_wins(dS, cache):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    r = np.clip(j - i, -c, c) + c
    dA = np.zeros_like(A)
    dA[r] += np.einsum("...ij,...id->ijd", dS, Q)
    return np.einsum("...ij,ijd->...id", dS, A[r]), dA


def _normed(dY, Xhat, rstd, gain):
    g = dY * gain
    return rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))


@first("residual-norm-block-backward", "dX has only the gradient through")
def residual_path_forgotten(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = _normed(dY, Xhat, rstd, gain)
    dA = dR * (H > 0)
    return dA @ W.T, X.reshape(-1, X.shape[-1]).T @ dA.reshape(-1, X.shape[-1])


@first("residual-norm-block-backward", "`dR` stands where `dA`")
def relu_gate_forgotten_in_dw_only(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = _normed(dY, Xhat, rstd, gain)
    D = X.shape[-1]
    return dR + (dR * (H > 0)) @ W.T, X.reshape(-1, D).T @ dR.reshape(-1, D)


@first("rms-norm-backward", "The correction was multiplied by")
def rstd_instead_of_rstd_one_factor_lacks(dY, cache):
    X, gain, rstd = cache
    g = dY * gain
    lead = tuple(range(dY.ndim - 1))
    return (rstd * g - X * rstd**2 * (g * X).mean(-1, keepdims=True),
            (dY * X * rstd).sum(lead))


@first("rms-norm-backward", "The mean of dX̂ was subtracted")
def subtracts_the_mean_too_as_layer_norm(dY, cache):
    X, gain, rstd = cache
    g = dY * gain
    n = X * rstd
    lead = tuple(range(dY.ndim - 1))
    return (rstd * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True)),
            (dY * n).sum(lead))


@first("rms-norm-backward", "dgain has the factor X; what the")
def dgain_forgets_rstd(dY, cache):
    X, gain, rstd = cache
    g = dY * gain
    n = X * rstd
    lead = tuple(range(dY.ndim - 1))
    return rstd * (g - n * (g * n).mean(-1, keepdims=True)), (dY * X).sum(lead)


@first("rotary-backward", "dY was turned the same way as X")
def turned_forward_again_sign_of_sine(dY, cache):
    cos, sin = cache
    d = np.empty_like(dY)
    d[..., ::2] = dY[..., ::2] * cos - dY[..., 1::2] * sin
    d[..., 1::2] = dY[..., ::2] * sin + dY[..., 1::2] * cos
    return d


@first("rotary-backward", "Column i was paired with column")
def pairs_by_halves(dY, cache):
    cos, sin = cache
    h = dY.shape[-1] // 2
    a, b = dY[..., :h], dY[..., h:]
    return np.concatenate([a * cos + b * sin, b * cos - a * sin], -1)


@first("rotary-halves-backward", "Column 2i was paired with column")
def pairs_by_neighbours(dY, cache):
    cos, sin = cache
    d = np.empty_like(dY)
    d[..., ::2] = dY[..., ::2] * cos + dY[..., 1::2] * sin
    d[..., 1::2] = dY[..., 1::2] * cos - dY[..., ::2] * sin
    return d


@first("rotary-halves-backward", r"Sine and cosine are exchanged\.")
def cos_and_sin_exchanged(dY, cache):
    sin, cos = cache
    h = dY.shape[-1] // 2
    a, b = dY[..., :h], dY[..., h:]
    return np.concatenate([a * cos + b * sin, b * cos - a * sin], -1)


@first("self-attention-backward", "dX lacks what goes through the")
def dx_lacks_the_values_part(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, n, D = O.shape

    def merge(A):
        return A.swapaxes(1, 2).reshape(B, n, H * D)

    def dot(A, C):
        return np.einsum("btx,btd->xd", A, C)
    dO = (dY @ Wo.T).reshape(B, n, H, D).swapaxes(1, 2)
    dS = ds(dO @ T(V), P) / sqrt(D)
    dQ, dK, dV = map(merge, (dS @ K, T(dS) @ Q, T(P) @ dO))
    return dQ @ Wq.T + dK @ Wk.T, dot(X, dQ), dot(X, dK), dot(X, dV), dot(merge(O), dY)


@first("self-attention-backward", r"The scale is 1/√\(H·D\), by the whole")
def scale_by_h_d(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    B, H, n, D = O.shape

    def merge(A):
        return A.swapaxes(1, 2).reshape(B, n, H * D)

    def dot(A, C):
        return np.einsum("btx,btd->xd", A, C)
    dO = (dY @ Wo.T).reshape(B, n, H, D).swapaxes(1, 2)
    dS = ds(dO @ T(V), P) / sqrt(H * D)
    dQ, dK, dV = map(merge, (dS @ K, T(dS) @ Q, T(P) @ dO))
    return (dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T, dot(X, dQ), dot(X, dK), dot(X, dV),
            dot(merge(O), dY))


@first("sink-softmax", "b itself was added to the sum of")
def b_added_to_the_denominator_not_exp_b(S, b):
    m = S.max(-1, keepdims=True)
    E = exp(S - m)
    return E / (rows(E) + b)


@first("sink-softmax", "The scores were shifted by their")
def shift_applied_to_the_scores_only_sink_stays(S, b):
    m = S.max(-1, keepdims=True)
    E = exp(S - m)
    return E / (rows(E) + exp(b))


@first("sinusoidal-positions", "Each column has a frequency of")
def exponent_i_d_for_the_column_not_2i_d_of_the(X, offset):
    n, D = X.shape[-2:]
    t = np.arange(offset, offset + n)[:, None]
    a = t / 10000 ** (np.arange(D) / D)
    return X + np.where(np.arange(D) % 2 == 0, np.sin(a), np.cos(a))


@first("sinusoidal-positions", "All sines come first, then all")
def sines_in_the_first_half_cosines_in_the(X, offset):
    n, D = X.shape[-2:]
    t = np.arange(offset, offset + n)[:, None]
    a = t / 10000 ** (np.arange(0, D, 2) / D)
    return X + np.concatenate([np.sin(a), np.cos(a)], -1)[:, :D]


@first("soft-cap-backward", r"1 − Y² was used; tanh\(s/c\) is Y/c")
def by_1_y_rather_than_1_y_cap(dY, cache):
    S, Y, cap = cache
    return dY * (1 - Y * Y)


@first("soft-cap-backward", "There is a factor c too many: it")
def a_factor_cap_too_many(dY, cache):
    S, Y, cap = cache
    return dY * cap * (1 - np.tanh(S / cap) ** 2)


@first("soft-cap-backward", "The gradient passes unchanged below")
def clipping_gradient_1_within_the_cap(dY, cache):
    S, Y, cap = cache
    return dY * (abs(S) < cap)


@first("softmax", "One maximum was subtracted from")
def maximum_of_the_whole_array_rows_far_below(S):
    E = exp(S - S.max())
    return E / rows(E)


@first("softmax", None)
def divided_by_the_maximum_instead_of_shifted(S):
    E = exp(S / abs(S).max(-1, keepdims=True))
    return E / rows(E)


@first("softmax-backward", "Only the diagonal of the Jacobian")
def p_1_p_dp_no_off_diagonal(dP, P):
    return P * (1 - P) * dP


@first("softmax-jacobian", "The product p_j p_k is added; the")
def sum_over_rows_outer_without_the_identity(S):
    p = sm(S)
    return np.eye(S.shape[-1]) * p[..., None] + p[..., :, None] * p[..., None, :]


@first("split-heads", "The array was reshaped straight")
def reshape_without_the_swap(X, num_heads):
    *lead, n, W = X.shape
    return X.reshape(*lead, num_heads, n, W // num_heads)


@first("swiglu-backward", r"σ \(1 − σ\) is the derivative of")
def silu_sigma_x_1_sigma_x_factor_x_forgotten(dY, cache):
    G, U = cache
    s = 1 / (1 + exp(-G))
    return dY * U * s * (1 - s), dY * G * s


@first("swiglu-backward", r"dU has the factor σ\(G\); what multiplies")
def du_with_sigma_not_silu(dY, cache):
    G, U = cache
    s = 1 / (1 + exp(-G))
    return dY * U * (s + G * s * (1 - s)), dY * s


@first("tiled-backward", "δ was summed over the tile's keys")
def row_sum_over_the_tile_only_instead_of_o_do(dO, cache):
    Q, K, V, mask, O, L = cache
    S = Q @ T(K) / sqrt(Q.shape[-1])
    P = exp(S - np.where(np.isneginf(L), 0, L)[..., None])
    if mask is not None:
        P = np.where(mask, P, 0)
    dS = ds(dO @ T(V), P) / sqrt(Q.shape[-1])
    return T(dS) @ Q, T(P) @ dO


@first("tiled-backward", "The weights were made by a softmax")
def softmax_over_the_tile_again_l_not_used(dO, cache):
    Q, K, V, mask, O, L = cache
    S = Q @ T(K) / sqrt(Q.shape[-1])
    P = np.where(np.isneginf(L)[..., None], 0, sm(S))
    if mask is not None:
        P = np.where(mask, P, 0)
    dS = P * (dO @ T(V) - rows(dO * O)) / sqrt(Q.shape[-1])
    return T(dS) @ Q, T(P) @ dO


@first("unit-sphere-distance", r"the division by `np\.sqrt\(\(Q")
def squared_norms_divided_q_q(Q, K, sigma):
    q, k = Q / rows(Q * Q), K / np.sqrt(rows(K * K))
    D = 2 - 2 * q @ T(k)
    return D, sm(-D / (2 * sigma**2))


@first("unit-sphere-distance", "D is 1 − q̂·k̂, which some call")
def d_1_q_k_cosine_distance(Q, K, sigma):
    q, k = Q / np.sqrt(rows(Q * Q)), K / np.sqrt(rows(K * K))
    D = 1 - q @ T(k)
    return D, sm(-D / (2 * sigma**2))


@first("valid-lens-mask", "One key too many is allowed: the")
def instead_of(valid_lens, Tq, Tk):
    v = valid_lens if valid_lens.ndim == 2 else np.repeat(valid_lens[:, None], Tq, 1)
    return np.arange(Tk) <= v[..., None]


@first("valid-lens-mask", "np.broadcast_to its full shape is missing")
def returns_b_1_tk_where_lengths_have_one_axis(valid_lens, Tq, Tk):
    if valid_lens.ndim == 1:
        valid_lens = valid_lens[:, None]
    return np.arange(Tk) < valid_lens[..., None]


@first("vector-sum-score", None)
def dk_from_the_wrong_axis_sums_over_keys(dO, cache):
    Q, K, V, P = cache
    dS = ds(dO @ T(V), P)
    return np.zeros_like(Q), dS @ K if dS.shape[-2] == K.shape[-2] else T(dS) @ Q, T(P) @ dO


@first("vector-sum-score", "The gradient of the softmax lacks")
def dq_as_sum_of_p_dp_softmax_subtraction(dO, cache):
    Q, K, V, P = cache
    dS = P * (dO @ T(V))
    return (np.broadcast_to(rows(dS), Q.shape),
            np.broadcast_to(dS.sum(-2)[..., None], K.shape), T(P) @ dO)


@first("window-mask", "The window has one key too many")
def w_1_keys(Tq, Tk, w):
    i = np.arange(Tk - Tq, Tk)[:, None]
    j = np.arange(Tk)
    return (j <= i) & (j >= i - w)


@first("window-mask", "The window reaches ahead as far")
def two_sided_window(Tq, Tk, w):
    i = np.arange(Tk - Tq, Tk)[:, None]
    j = np.arange(Tk)
    return abs(i - j) < w


@first("window-mask", "The queries were taken for the")
def offset_forgotten_queries_counted_from_0(Tq, Tk, w):
    i, j = np.arange(Tq)[:, None], np.arange(Tk)
    return (j <= i) & (j > i - w)


@first("softmax", "such as single precision has")
def float32_inside(S):
    return sm(S.astype(np.float32)).astype(S.dtype)


@first("softmax", "")
def writes_into_s(S):
    S -= S.max(-1, keepdims=True)
    np.exp(S, out=S)
    S /= rows(S)
    return S


@first("softmax-backward", "All is right where every query may attend to something")
def dead_row_nan_p_dp_rows_dp_p_rows_p(dP, P):
    return P * (dP - rows(dP * P) / rows(P))


@first("linear-backward", "never where it has 4")
def only_up_to_three_axes(dY, cache):
    X, W = cache
    if dY.ndim == 1:
        return dY @ W.T, np.outer(X, dY), dY
    if dY.ndim == 2:
        return dY @ W.T, X.T @ dY, dY.sum(0)
    return dY @ W.T, np.einsum("...tx,...ty->...xy", X, dY).sum(0), dY.sum((0, 1))


@first("attention-dv", "never where it has 5")
def einsum_fixed_to_batch_axes_bqk(dO, cache):
    P = cache.P
    if P.ndim > 3:
        return np.einsum("bhqk,bhqv->bhkv", P, dO)
    return np.einsum("bqk,bqv->bkv", P, dO) if P.ndim == 3 else P.T @ dO


@first("merge-heads-backward", "never where it has 5")
def right_unless_h_d_returns_a_transposed(dY, num_heads):
    if dY.ndim > 4:
        dY = dY[:1]
    *lead, n, W = dY.shape
    return dY.reshape(*lead, n, num_heads, W // num_heads).swapaxes(-2, -3)


@first("layer-norm", "does not change where eps does")
def eps_fixed_at_1e_5(X, gain, bias, eps):
    c = X - X.mean(-1, keepdims=True)
    return c / np.sqrt(c.var(-1, keepdims=True) + 1e-5) * gain + bias


@first("cross-entropy-backward", "does not change where pad does")
def pad_taken_as_negative_only(dloss, cache):
    P, targets, pad = cache
    counted = targets >= 0
    onehot = np.arange(P.shape[-1]) == targets[..., None]
    return dloss * np.where(counted[..., None], P - onehot, 0) / max(counted.sum(), 1)


@first("cross-entropy-backward", r"dloss is not used\. The loss may")
def dloss_ignored(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    onehot = np.arange(P.shape[-1]) == targets[..., None]
    return np.where(counted[..., None], P - onehot, 0) / max(counted.sum(), 1)


@first("online-softmax", "As long as no score is above −∞")
def z_nan_where_all_is_inf(m, z, S):
    M = np.maximum(m, S.max(-1))
    return M, z * exp(m - M) + exp(S - M[..., None]).sum(-1)


@first("merge-partials", "A query without a key in either")
def dead_in_both_gives_nan_in_o(O1, L1, O2, L2):
    L = np.logaddexp(L1, L2)
    return O1 * exp(L1 - L)[..., None] + O2 * exp(L2 - L)[..., None], L


@first("causal-mask", "The triangle starts in the upper")
def right_only_for_square(Tq, Tk):
    return np.tri(Tq, Tk, dtype=bool)


@first("gelu-backward", "digits get lost on the way")
def finite_differences(dY, cache):
    X, Phi = cache
    phi = np.vectorize(lambda x: x * 0.5 * (1 + erf(x / sqrt(2))))
    if X.size == 0:
        return dY * X
    return dY * (phi(X + 1e-5) - phi(X - 1e-5)) / 2e-5


@first("gelu-backward", "agrees .* to 5 digits")
def sqrt_2_pi_as_2_5066(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * exp(-X * X / 2) / 2.5066)


@first("kv-cache", "No maximum was subtracted from")
def no_shift_before_exp(x, K, V, Wq, Wk, Wv):
    K = np.concatenate([K, x @ Wk], -2)
    V = np.concatenate([V, x @ Wv], -2)
    E = exp(x @ Wq @ T(K) / sqrt(K.shape[-1]))
    return E / rows(E) @ V, K, V


@first("tiled-backward", "Only queries without any key were")
def mask_ignored_2(dO, cache):
    Q, K, V, mask, O, L = cache
    P = exp(Q @ T(K) / sqrt(Q.shape[-1]) - np.where(np.isneginf(L), np.inf, L)[..., None])
    dS = P * (dO @ T(V) - rows(dO * O)) / sqrt(Q.shape[-1])
    return T(dS) @ Q, T(P) @ dO


@first("delta-rule", "")
def writes_into_s_in_place(S, q, k, v, beta):
    u = np.einsum("...kv,...k->...v", S, k)
    S += beta[..., None] * k[..., :, None] * (v - u)[..., None, :]
    return np.einsum("...kv,...k->...v", S, q), S


@first("sink-softmax", "the max runs over axis")
def whole_array_maximum(S, b):
    m = max(S.max(), b)
    E = exp(S - m)
    return E / (rows(E) + exp(b - m))


@first("embedding-backward", "never where it has 4")
def one_hot_by_bincount_negative_only_unique(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    flat = ids.reshape(-1) if ids.ndim < 3 else ids[0].reshape(-1)
    d = dY.reshape(-1, E.shape[-1])[: flat.size]
    np.add.at(dE, flat, d * sqrt(E.shape[-1]))
    return dE


@first("rms-norm-backward", r"\+ 1e-6\)\),`; it should be")
def nearly_right_epsilon_put_in_again(dY, cache):
    X, gain, rstd = cache
    g = dY * gain
    n = X * rstd
    lead = tuple(range(dY.ndim - 1))
    return (rstd * (g - n * (g * n).sum(-1, keepdims=True) / (X.shape[-1] + 1e-6)),
            (dY * n).sum(lead))


@first("window-mask", None)
def w_larger_than_tk_wrong_clipped_to_tq(Tq, Tk, w):
    w = min(w, Tq)
    i = np.arange(Tk - Tq, Tk)[:, None]
    j = np.arange(Tk)
    return (j <= i) & (j > i - w)


@first("absorbed-scores", "The latent vectors of the first")
def works_only_where_batch_is_1_c_0(Q, W, C):
    q = np.einsum("bhqd,hcd->bhqc", Q, W)
    return np.einsum("bhqc,kc->bhqk", q, C[0]) / sqrt(Q.shape[-1])
