"""Wrong answers written apart from the catalogues, first of all to the exercises at sections' ends.

What stands beside them, and how it is judged: see wrong_answers.py.
"""

import numpy as np
from wrong_answers import WrongAnswers

wild = WrongAnswers()


def T(X):
    return np.swapaxes(X, -1, -2)


def softmax(S, axis=-1):
    E = np.exp(S - S.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


def scores_gradient(dO, V, P):
    dP = dO @ T(V)
    return P * (dP - (dP * P).sum(-1, keepdims=True))


# ---- cross-attention, and the two-sided one ----


@wild("cross-attention-backward", "only through keys")
def values_forgotten(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(K.shape[-1])
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    return dQ @ Wq.T, dK @ Wk.T, (T(X) @ dQ).sum(0), (T(M) @ dK).sum(0), (T(M) @ dV).sum(0)


@wild("cross-attention-backward", "only through values")
def second_path_overwrites_the_first(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / Q.shape[-1] ** 0.5
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    dM = dK @ Wk.T
    dM = dV @ Wv.T
    return dQ @ Wq.T, dM, *(np.tensordot(A, d, ((0, 1), (0, 1)))
                            for A, d in ((X, dQ), (M, dK), (M, dV)))


@wild("cross-attention-backward", "dM is all zeros")
def encoder_taken_for_a_constant(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(K.shape[-1])
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    weights = [np.einsum("bti,bto->io", A, d) for A, d in ((X, dQ), (M, dK), (M, dV))]
    return dQ @ Wq.T, np.zeros_like(M), *weights


@wild("cross-attention-backward", "dK not scaled")
def scaled_on_one_side_only(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    dQ, dK, dV = dS @ K / np.sqrt(K.shape[-1]), T(dS) @ Q, T(P) @ dO
    weights = [np.einsum("bti,bto->io", A, d) for A, d in ((X, dQ), (M, dK), (M, dV))]
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, *weights


@wild("cross-attention-backward", "weights not summed")
def one_matrix_per_sequence(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(K.shape[-1])
    dQ, dK, dV = dS @ K, T(dS) @ Q, T(P) @ dO
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, T(X) @ dQ, T(M) @ dK, T(M) @ dV


def _two_ways(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    dSa, dSb = scores_gradient(dO[0], Vb, Pa), scores_gradient(dO[1], Va, Pb)
    return dSa, dSb, T(Pb) @ dO[1], T(Pa) @ dO[0]


@wild("co-attention-backward", "only along columns")
def second_way_overwrites_the_first(dO, cache):
    A, B = cache.A, cache.B
    dSa, dSb, dVa, dVb = _two_ways(dO, cache)
    c = 1 / np.sqrt(A.shape[-1])
    dA, dB = c * dSa @ B, c * T(dSa) @ A
    dB, dA = c * dSb @ A, c * T(dSb) @ B
    return dA, dB, dVa, dVb


@wild("co-attention-backward", "columns without transpose")
def added_as_they_are(dO, cache):
    A, B = cache.A, cache.B
    dSa, dSb, dVa, dVb = _two_ways(dO, cache)
    dS = (dSa + dSb) / np.sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, dVa, dVb


@wild("co-attention-backward", "only as queries")
def each_asks_and_is_not_asked(dO, cache):
    A, B = cache.A, cache.B
    dSa, dSb, dVa, dVb = _two_ways(dO, cache)
    return dSa @ B / A.shape[-1] ** 0.5, dSb @ A / A.shape[-1] ** 0.5, dVa, dVb


@wild("co-attention-backward", "values exchanged")
def values_in_the_other_order(dO, cache):
    A, B = cache.A, cache.B
    dSa, dSb, dVa, dVb = _two_ways(dO, cache)
    dS = (dSa + T(dSb)) / np.sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, dVb, dVa


@wild("co-attention-backward", "second softmax along a")
def second_softmax_along_the_wrong_axis(dO, cache):
    A, B, Va, Vb, Pa, Pb = cache
    dSa, _, dVa, dVb = _two_ways(dO, cache)
    dPb = dO[1] @ T(Va)
    dSb = Pb * (dPb - (dPb * Pb).sum(-2, keepdims=True))
    dS = (dSa + T(dSb)) / np.sqrt(A.shape[-1])
    return dS @ B, T(dS) @ A, dVa, dVb


# ---- other scores ----


@wild("additive-attention-backward", "tanh skipped")
def tanh_forgotten(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = scores_gradient(dO, V, P)
    dF = dS[..., None] * w
    return (np.einsum("bqi,bqkh->ih", Q, dF), np.einsum("bki,bqkh->ih", K, dF),
            (dS[..., None] * F).sum((0, 1, 2)))


@wild("additive-attention-backward", "tanh twice")
def tanh_of_the_activation(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = scores_gradient(dO, V, P)
    dG = dS[..., None] * w / np.cosh(F) ** 2
    return (np.einsum("bqi,bqkh->ih", Q, dG), np.einsum("bki,bqkh->ih", K, dG),
            np.einsum("bqk,bqkh->h", dS, F))


@wild("additive-attention-backward", "w left out")
def output_weights_forgotten(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = scores_gradient(dO, V, P)
    dG = dS[..., None] * (1 - F**2)
    return (np.einsum("bqi,bqkh->ih", Q, dG), np.einsum("bki,bqkh->ih", K, dG),
            np.einsum("bqk,bqkh->h", dS, F))


@wild("additive-attention-backward", "softmax skipped")
def straight_from_weights_to_scores(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dS = dO @ T(V)
    dG = dS[..., None] * w * (1 - F**2)
    return (np.einsum("bqi,bqkh->ih", Q, dG), np.einsum("bki,bqkh->ih", K, dG),
            np.einsum("bqk,bqkh->h", dS, F))


@wild("additive-attention-backward", "dw is all zeros")
def output_weights_not_learned(dO, cache):
    Q, K, V, Wq, Wk, w, F, P = cache
    dG = scores_gradient(dO, V, P)[..., None] * w * (1 - F**2)
    return np.einsum("bqi,bqkh->ih", Q, dG), np.einsum("bki,bqkh->ih", K, dG), np.zeros_like(w)


@wild("key-norm-attention-backward", "norm forgotten")
def only_the_product(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    return dS @ K, T(dS) @ Q, T(P) @ dO


@wild("key-norm-attention-backward", "half kept")
def half_a_key(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    return dS @ K, T(dS) @ Q - 0.5 * K * dS.sum(-2)[..., None], T(P) @ dO


@wild("key-norm-attention-backward", "scaled")
def scaled_out_of_habit(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(Q.shape[-1])
    return dS @ K, T(dS) @ Q - K * dS.sum(-2)[..., None], T(P) @ dO


@wild("key-norm-attention-backward")
def squares_of_keys(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    return dS @ K, T(dS) @ Q - K**2 * dS.sum(-2)[..., None], T(P) @ dO


@wild("bilinear-dm", "transposed")
def keys_before_queries(dO, cache):
    Q, K, V, M, P = cache
    return np.einsum("bkj,bqk,bqi->ji", K, scores_gradient(dO, V, P), Q)


@wild("bilinear-dm", "mean over the batch")
def averaged_over_the_batch(dO, cache):
    Q, K, V, M, P = cache
    return (T(Q) @ scores_gradient(dO, V, P) @ K).mean(0)


@wild("bilinear-dm", "not summed over the batch")
def batch_axis_left(dO, cache):
    Q, K, V, M, P = cache
    return T(Q) @ scores_gradient(dO, V, P) @ K


@wild("bilinear-dm", "no row sum")
def row_sum_forgotten(dO, cache):
    Q, K, V, M, P = cache
    dS = P * (dO @ T(V))
    return sum(q.T @ d @ k for q, d, k in zip(Q, dS, K, strict=True))


@wild("vector-sum-score", "dot product")
def as_for_a_dot_product(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    return dS @ K, T(dS) @ Q, T(P) @ dO


@wild("vector-sum-score", "keys do not matter")
def nothing_is_learned(dO, cache):
    return np.zeros_like(cache.Q), np.zeros_like(cache.K), T(cache.P) @ dO


@wild("vector-sum-score")
def one_column_of_dK(dO, cache):
    Q, K, V, P = cache
    return 0.0 * Q, scores_gradient(dO, V, P).sum(-2)[..., None], T(P) @ dO


@wild("vector-sum-score", "no row sum")
def row_sum_left_out(dO, cache):
    Q, K, V, P = cache
    dS = P * (dO @ T(V))
    one = np.ones_like(Q[..., 0, :])[..., None, :]
    return dS.sum(-1, keepdims=True) * one, T(dS).sum(-1, keepdims=True) * one, T(P) @ dO


@wild("changed-keys", "scale left out")
def product_not_scaled(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, valid_lens, scale=1.0)


@wild("changed-keys", "no mask")
def valid_lens_not_used(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, np.full_like(valid_lens, K.shape[1]))


@wild("changed-keys", "one too many")
def up_to_and_with_the_length(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, valid_lens + 1)


@wild("changed-keys", "score 0 on padding")
def scores_of_padding_set_to_zero(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, valid_lens, fill=0.0)


@wild("changed-keys", "tanh left out")
def no_nonlinearity(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, valid_lens, bend=lambda F: F)


@wild("changed-keys")
def rectified(Q, K, Wq, Wk, w, W, valid_lens):
    return _two_scores(Q, K, Wq, Wk, w, W, valid_lens, bend=lambda F: np.maximum(F, 0))


def _two_scores(Q, K, Wq, Wk, w, W, lens, scale=None, fill=-np.inf, bend=np.tanh):
    allowed = (np.arange(K.shape[1]) < lens[:, None])[:, None, :]
    additive = bend((Q @ Wq)[:, :, None, :] + (K @ Wk)[:, None, :, :]) @ w
    dot = (Q @ W) @ T(K) * (K.shape[-1] ** -0.5 if scale is None else scale)
    return tuple(softmax(np.where(allowed, S, fill)) for S in (additive, dot))


@wild("attention-cost", "flops")
def two_operations_each(H, Tq, Tk, Dk, Dv):
    table = 4 * H * Tq * Tk
    return 2 * Tq * Tk * Dk + 2 * Tq * Tk * Dv, Tq * Dk + Tk * Dk + Tk * Dv + Tq * Dv + table


@wild("attention-cost", "heads times the work")
def every_head_at_full_width(H, Tq, Tk, Dk, Dv):
    return H * Tq * Tk * (Dk + Dv), (Tq + Tk) * (Dk + Dv) + 4 * H * Tq * Tk


@wild("attention-cost", "one table")
def one_table_for_all_heads(H, Tq, Tk, Dk, Dv):
    return Tq * Tk * (Dk + Dv), (Tq + Tk) * (Dk + Dv) + 4 * Tq * Tk


@wild("attention-cost", "tables left out")
def as_if_in_one_step(H, Tq, Tk, Dk, Dv):
    return Tq * Tk * (Dk + Dv), (Tq + Tk) * (Dk + Dv)


# ---- pooling by distance ----


def _pooled(df, cache):
    dP = df[:, None] * cache.y
    return cache.P * (dP - (dP * cache.P).sum(1, keepdims=True)), cache.x[:, None] - cache.k


@wild("nadaraya-watson-dw", "w left out")
def only_the_squares(df, cache):
    dS, u = _pooled(df, cache)
    return -(dS * u**2).sum()


@wild("nadaraya-watson-dw", "half left out")
def the_two_comes_down(df, cache):
    dS, u = _pooled(df, cache)
    return (dS * -2 * u * (u * cache.w)).sum()


@wild("nadaraya-watson-dw", "has the wrong sign")
def uphill(df, cache):
    dS, u = _pooled(df, cache)
    return cache.w * (dS * u**2).sum()


@wild("nadaraya-watson-dw", "not squared")
def inner_derivative_only(df, cache):
    dS, u = _pooled(df, cache)
    return (dS * -(u * cache.w)).sum()


@wild("nadaraya-watson-dw")
def absolute_distance(df, cache):
    dS, u = _pooled(df, cache)
    return -cache.w * (dS * abs(u)).sum()


def _regression(dL, cache, P=None, factor=2.0, count=None):
    x, y, w, P_cache, _ = cache
    P = P_cache if P is None else P
    f = P @ y
    dP = (dL * factor * (f - y) / (len(x) if count is None else count))[:, None] * y
    dS = P * (dP - (dP * P).sum(1, keepdims=True))
    return -w * (dS * (x[:, None] - x) ** 2).sum()


@wild("nw-leave-one-out", "itself included")
def weights_made_anew(dL, cache):
    x, y, w, _, _ = cache
    return _regression(dL, cache, softmax(-0.5 * ((x[:, None] - x) * w) ** 2))


@wild("nw-leave-one-out", "upstream left out")
def loss_is_the_end(dL, cache):
    return _regression(1.0, cache)


@wild("nw-leave-one-out", "n left out")
def sum_of_squares(dL, cache):
    return _regression(dL, cache, count=1)


@wild("nw-leave-one-out", "2 left out")
def square_without_its_two(dL, cache):
    return _regression(dL, cache, factor=1.0)


@wild("nw-leave-one-out", "has the wrong sign")
def target_minus_prediction(dL, cache):
    return _regression(dL, cache, factor=-2.0)


@wild("nw-leave-one-out", "left out after the softmax")
def diagonal_struck_out_afterwards(dL, cache):
    x, y, w, P, _ = cache
    full = softmax(-0.5 * ((x[:, None] - x) * w) ** 2)
    if P[0, 0] == 0:
        np.fill_diagonal(full, 0)
    return _regression(dL, cache, full)


@wild("nw-many-parameters", "one width for all")
def width_shared(df, cache):
    dS, u = _pooled(df, cache)
    return -cache.w * (dS * u**2).sum(), dS.sum(0), cache.P.T @ df


@wild("nw-many-parameters", "w left out")
def slope_without_w(df, cache):
    dS, u = _pooled(df, cache)
    return -(dS * u**2).sum(0), dS.sum(0), cache.P.T @ df


@wild("nw-many-parameters", "dw is all zeros")
def widths_held_fixed(df, cache):
    dS, _ = _pooled(df, cache)
    return np.zeros_like(cache.w), dS.sum(0), cache.P.T @ df


@wild("parzen-classification", "each class by itself")
def densities_of_the_classes(Q, X, y, sigma):
    E = np.exp(-((Q[:, None] - X) ** 2).sum(-1) / (2 * sigma**2))
    return E[:, y > 0].mean(1) - E[:, y < 0].mean(1), E @ y / E.sum(1)


@wild("parzen-classification", "distance not squared")
def norm_in_the_exponent(Q, X, y, sigma):
    E = np.exp(-np.linalg.norm(Q[:, None] - X, axis=-1) / (2 * sigma**2))
    return E @ y / len(y), E @ y / E.sum(1)


@wild("parzen-classification", "only the sign")
def classes_decided(Q, X, y, sigma):
    E = np.exp(-((Q[:, None] - X) ** 2).sum(-1) / (2 * sigma**2))
    return (E * y).mean(1), np.where((E * y).sum(1) > 0, 1.0, -1.0)


@wild("parzen-classification", "f divided by n")
def twice_the_same(Q, X, y, sigma):
    E = np.exp(-((Q[:, None] - X) ** 2).sum(-1) / (2 * sigma**2))
    return (E * y).mean(1), (E * y).mean(1)


@wild("unit-sphere-distance", "cosine distance")
def one_minus_cosine(Q, K, sigma):
    C = _cosine(Q, K)
    return 1 - C, softmax(C / sigma**2)


@wild("unit-sphere-distance", "2 not cancelled")
def product_over_two_sigma_squared(Q, K, sigma):
    C = _cosine(Q, K)
    return 2 - 2 * C, softmax(C / (2 * sigma**2))


@wild("unit-sphere-distance", "not normalised")
def not_on_the_sphere(Q, K, sigma):
    C = Q @ T(K)
    return 2 - 2 * C, softmax(C / sigma**2)


@wild("unit-sphere-distance", "distances before the sphere")
def distances_before_the_sphere(Q, K, sigma):
    D = ((Q[..., :, None, :] - K[..., None, :, :]) ** 2).sum(-1)
    return D, softmax(-D / (2 * sigma**2))


def _cosine(Q, K):
    lengths = np.linalg.norm(Q, axis=-1)[..., :, None] * np.linalg.norm(K, axis=-1)[..., None, :]
    return Q @ T(K) / lengths


# ---- the decoder ----


def _lstm(dY, cache, *, cell=True, forget=True, slope=None, order="IFOG", bend=None):
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dH, dC = dY
    t = np.tanh(N)
    dN = dH * O * (1 - t * t if slope is None else slope(N)) + (dC if cell else 0)
    s = (lambda g: g * (1 - g)) if bend is None else bend
    blocks = {"I": dN * G * s(I), "F": dN * C * s(F), "O": dH * t * s(O), "G": dN * I * (1 - G * G)}
    dA = np.hstack([blocks[gate] for gate in order])
    dC = dN * F if forget else dN
    return dA @ Wx.T, dA @ Wh.T, dC, X.T @ dA, H.T @ dA, dA.sum(0)


@wild("lstm-cell-backward", "only through the state")
def cell_gradient_ignored(dY, cache):
    return _lstm(dY, cache, cell=False)


@wild("lstm-cell-backward", "F left out")
def cell_passed_straight_on(dY, cache):
    return _lstm(dY, cache, forget=False)


@wild("lstm-cell-backward", "candidate third")
def order_of_another_library(dY, cache):
    return _lstm(dY, cache, order="IFGO")


@wild("lstm-cell-backward", "tanh not taken")
def square_of_the_cell_itself(dY, cache):
    return _lstm(dY, cache, slope=lambda N: 1 - N**2)


@wild("lstm-cell-backward", "gates not differentiated")
def sigmoids_forgotten(dY, cache):
    return _lstm(dY, cache, bend=lambda g: 1)


@wild("lstm-cell-backward", "slope at the old cell")
def slope_at_the_old_cell(dY, cache):
    return _lstm(dY, cache, slope=lambda N: 1 - np.tanh(cache.C) ** 2)


@wild("additive-to-dot", "scale left out")
def dot_not_scaled(state, memory, valid_lens):
    return _context(state, memory, valid_lens, 1.0)


@wild("additive-to-dot", "finite mask")
def minus_a_million(state, memory, valid_lens):
    return _context(state, memory, valid_lens, fill=-1e6)


@wild("additive-to-dot", "one too many")
def less_or_equal(state, memory, valid_lens):
    return _context(state, memory, valid_lens + 1)


@wild("additive-to-dot", "NaN")
def nothing_divided_by_nothing(state, memory, valid_lens):
    S = (memory @ state[..., None])[..., 0] / np.sqrt(memory.shape[-1])
    E = np.exp(S) * (np.arange(S.shape[1]) < valid_lens[:, None])
    P = E / E.sum(1, keepdims=True)
    return (P[:, None] @ memory)[:, 0], P


@wild("additive-to-dot", "mean")
def average_of_weighted_outputs(state, memory, valid_lens):
    _, P = _context(state, memory, valid_lens)
    return (P[..., None] * memory).mean(1), P


def _context(state, memory, lens, scale=None, fill=-np.inf):
    S = (memory @ state[..., None])[..., 0]
    S = S * (memory.shape[-1] ** -0.5 if scale is None else scale)
    allowed = np.arange(S.shape[1]) < lens[:, None]
    P = np.nan_to_num(softmax(np.where(allowed, S, fill)))
    return (P[:, None] @ memory)[:, 0], P


# ---- heads ----


def _heads(X, Wq, Wk, H, mask, *, split=None, width=None, fill=-np.inf):
    B, n, _ = X.shape
    split = split or (lambda Y: Y.reshape(B, n, H, -1).transpose(0, 2, 1, 3))
    Q, K = split(X @ Wq), split(X @ Wk)
    S = Q @ T(K) / np.sqrt(width or Q.shape[-1])
    return np.nan_to_num(softmax(S if mask is None else np.where(mask, S, fill)))


@wild("per-head-weights", "split without transpose")
def straight_to_heads(X, Wq, Wk, H, mask):
    B, n, _ = X.shape
    return _heads(X, Wq, Wk, H, mask, split=lambda Y: Y.reshape(B, H, n, -1))


@wild("per-head-weights", "scale of the whole width")
def scaled_by_the_whole_model(X, Wq, Wk, H, mask):
    return _heads(X, Wq, Wk, H, mask, width=Wq.shape[1])


@wild("per-head-weights", "polarity")
def true_means_hidden(X, Wq, Wk, H, mask):
    return _heads(X, Wq, Wk, H, None if mask is None else ~mask)


@wild("per-head-weights", "mean of the heads")
def heads_averaged(X, Wq, Wk, H, mask):
    return _heads(X, Wq, Wk, H, mask).mean(1)


@wild("per-head-weights", "transpose")
def keys_down_queries_across(X, Wq, Wk, H, mask):
    return T(_heads(X, Wq, Wk, H, mask))


@wild("per-head-weights", "heads in the batch")
def one_axis_for_batch_and_heads(X, Wq, Wk, H, mask):
    return _heads(X, Wq, Wk, H, mask).reshape(-1, X.shape[1], X.shape[1])


def _gated(dY, cache):
    B, H, n, D = cache.O.shape
    return (dY @ cache.Wo.T).reshape(B, n, H, D).transpose(0, 2, 1, 3)


@wild("head-gate-backward", "gate in dg")
def gate_times_gradient(dY, cache):
    dG, g = _gated(dY, cache), cache.g[:, None, None]
    return g * dG, (g * cache.O * dG).sum((0, 2, 3))


@wild("head-gate-backward", "absolute value")
def importance_without_sign(dY, cache):
    dG = _gated(dY, cache)
    return cache.g[:, None, None] * dG, abs((cache.O * dG).sum((0, 2, 3)))


@wild("head-gate-backward", "gate not in dO")
def gates_all_open(dY, cache):
    dG = _gated(dY, cache)
    return dG, (cache.O * dG).sum((0, 2, 3))


@wild("head-gate-backward", "for each sequence")
def importance_of_each_example(dY, cache):
    dG = _gated(dY, cache)
    return cache.g[:, None, None] * dG, (cache.O * dG).sum((2, 3))


@wild("head-gate-backward")
def size_of_the_head(dY, cache):
    dG = _gated(dY, cache)
    return cache.g[:, None, None] * dG, np.sqrt((cache.O**2).sum((0, 2, 3)))


# ---- weights as probabilities ----


@wild("query-gradient-covariance", "not centred")
def second_moment(q, K):
    return np.einsum("...t,ta,tb->...ab", softmax(q @ K.T), K, K)


@wild("query-gradient-covariance", "plain mean + uniform weights")
def covariance_of_a_sample(q, K):
    J = np.atleast_2d(np.cov(K, rowvar=False, bias=True))
    return np.broadcast_to(J, (*q.shape, q.shape[-1]))


@wild("query-gradient-covariance", "scaled scores + scaled")
def scaled_attention(q, K):
    P = softmax(q @ K.T / np.sqrt(q.shape[-1]))
    o = P @ K
    second = np.einsum("...t,ta,tb->...ab", P, K, K)
    return (second - o[..., :, None] * o[..., None, :]) / np.sqrt(q.shape[-1])


@wild("query-gradient-covariance", "has the wrong sign")
def mean_square_minus_square_mean(q, K):
    P = softmax(q @ K.T)
    o = P @ K
    return o[..., :, None] * o[..., None, :] - np.einsum("...t,ta,tb->...ab", P, K, K)


@wild("query-gradient-covariance")
def keys_as_one_softmax(q, K):
    P = softmax(q @ K.T, axis=0) if q.ndim > 1 else softmax(q @ K.T)
    o = P @ K
    return np.einsum("...t,ta,tb->...ab", P, K, K) - o[..., :, None] * o[..., None, :]


@wild("mean-pooling-backward", "cls as well + cls counted")
def mean_of_everything(dY, cache):
    Z, W, m = cache
    dm = dY @ W.T
    return np.repeat(dm[:, None] / Z.shape[1], Z.shape[1], 1), m.T @ dY, dY.sum(0)


@wild("mean-pooling-backward", "only cls")
def head_on_the_cls_token(dY, cache):
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 0] = dY @ W.T
    return dZ, m.T @ dY, dY.sum(0)


@wild("mean-pooling-backward", "not divided")
def sum_for_mean(dY, cache):
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = (dY @ W.T)[:, None]
    return dZ, m.T @ dY, dY.sum(0)


@wild("mean-pooling-backward", "patches left out")
def cls_token_dropped(dY, cache):
    Z, W, m = cache
    n = Z.shape[1] - 1
    return np.repeat((dY @ W.T)[:, None] / n, n, 1), m.T @ dY, dY.sum(0)


@wild("random-heatmap", "columns")
def softmax_down_the_columns(S):
    P = softmax(S, axis=-2)
    return P, np.exp(-(P * np.log(P)).sum(-1))


@wild("random-heatmap", "base 2")
def bits(S):
    P = softmax(S)
    return P, np.exp(-(P * np.log2(P)).sum(-1))


@wild("random-heatmap", "entropy")
def entropy_itself(S):
    P = softmax(S)
    return P, -(P * np.log(P)).sum(-1)


@wild("random-heatmap")
def keys_above_the_average(S):
    P = softmax(S)
    return P, (1.0 * (S.shape[-1] * P > 1.0)).sum(-1)


# ---- exercises of other sections ----


@wild("layer-norm-backward", "variance held fixed")
def variance_taken_for_a_constant(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    axes = tuple(range(dY.ndim - 1))
    return rstd * (g - g.mean(-1, keepdims=True)), (dY * Xhat).sum(axes), dY.sum(axes)


@wild("layer-norm-backward", "mean held fixed + variance held fixed")
def elementwise(dY, cache):
    Xhat, rstd, gain = cache
    axes = tuple(range(dY.ndim - 1))
    return dY * gain * rstd, (dY * Xhat).sum(axes), dY.sum(axes)


@wild("layer-norm-backward", "gain after the means")
def gain_after_the_means(dY, cache):
    Xhat, rstd, gain = cache
    axes = tuple(range(dY.ndim - 1))
    mean, share = dY.mean(-1, keepdims=True), (dY * Xhat).mean(-1, keepdims=True)
    return gain * rstd * (dY - mean - Xhat * share), (dY * Xhat).sum(axes), dY.sum(axes)


@wild("layer-norm-backward", "not summed")
def parameters_not_summed(dY, cache):
    Xhat, rstd, gain = cache
    g = dY * gain
    share = (g * Xhat).mean(-1, keepdims=True)
    return rstd * (g - g.mean(-1, keepdims=True) - Xhat * share), dY * Xhat, dY


@wild("layer-norm-backward", "unbiased variance")
def divided_by_n_minus_one(dY, cache):
    Xhat, rstd, gain = cache
    g, n = dY * gain, dY.shape[-1]
    axes = tuple(range(dY.ndim - 1))
    share = (g * Xhat).sum(-1, keepdims=True) / (n - 1)
    dX = rstd * (g - g.mean(-1, keepdims=True) - Xhat * share)
    return dX, (dY * Xhat).sum(axes), dY.sum(axes)


@wild("cross-entropy-backward", "padding counted")
def mean_over_padding_too(dloss, cache):
    P, targets, pad = cache
    right = np.arange(P.shape[-1]) == targets[..., None]
    return dloss * (P - right) * (targets != pad)[..., None] / targets.size


@wild("cross-entropy-backward", "padding kept")
def padding_learns_too(dloss, cache):
    P, targets, pad = cache
    right = np.arange(P.shape[-1]) == targets[..., None]
    return dloss * (P - right) / max((targets != pad).sum(), 1)


@wild("cross-entropy-backward", "sum")
def sum_over_tokens(dloss, cache):
    P, targets, pad = cache
    right = np.arange(P.shape[-1]) == targets[..., None]
    return dloss * (P - right) * (targets != pad)[..., None]


@wild("cross-entropy-backward")
def gradient_of_the_log_alone(dloss, cache):
    P, targets, pad = cache
    right = np.arange(P.shape[-1]) == targets[..., None]
    return -dloss * right / P * (targets != pad)[..., None] / max((targets != pad).sum(), 1)


@wild("cross-entropy-backward", "upstream")
def loss_is_always_the_end(dloss, cache):
    P, targets, pad = cache
    right = np.arange(P.shape[-1]) == targets[..., None]
    return (P - right) * (targets != pad)[..., None] / max((targets != pad).sum(), 1)


def _block(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    share = (g * Xhat).mean(-1, keepdims=True)
    return rstd * (g - g.mean(-1, keepdims=True) - Xhat * share)


@wild("residual-norm-block-backward", "skip left out")
def no_way_around(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dH = _block(dY, cache) * (H > 0)
    return dH @ W.T, np.tensordot(X, dH, (tuple(range(X.ndim - 1)),) * 2)


@wild("residual-norm-block-backward", "relu left out")
def relu_forgotten(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = _block(dY, cache)
    return dR + dR @ W.T, np.tensordot(X, dR, (tuple(range(X.ndim - 1)),) * 2)


@wild("residual-norm-block-backward", "skip around the norm")
def residual_around_the_norm_as_well(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = _block(dY, cache)
    dH = dR * (H > 0)
    return dY + dH @ W.T, np.tensordot(X, dH, (tuple(range(X.ndim - 1)),) * 2)


@wild("residual-norm-block-backward", "output for input")
def sublayer_input_from_its_output(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = _block(dY, cache)
    dH = dR * (H > 0)
    return dR + dH @ W.T, np.tensordot(H, dH, (tuple(range(X.ndim - 1)),) * 2)


def _relative(dS, cache, distance):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    rows = distance(i, j, c)
    dQ = np.einsum("...ij,ijd->...id", dS, A[rows])
    dA = np.zeros_like(A)
    for place in np.ndindex(dS.shape):
        dA[rows[place[-2:]]] += dS[place] * Q[place[:-1]]
    return dQ, dA


@wild("relative-positions", "query minus key")
def query_minus_key(dS, cache):
    return _relative(dS, cache, lambda i, j, c: np.clip(i - j, -c, c) + c)


@wild("relative-positions", "wrapped")
def wrapped_around(dS, cache):
    return _relative(dS, cache, lambda i, j, c: (j - i + c) % (2 * c + 1))


@wild("relative-positions", "last pair")
def last_one_assigned(dS, cache):
    Q, A = cache
    c = len(A) // 2
    i, j = np.indices(dS.shape[-2:])
    rows = np.clip(j - i, -c, c) + c
    dA = np.zeros_like(A)
    for b in np.ndindex(dS.shape[:-2]):
        dA[rows] += dS[b][..., None] * Q[b][:, None]
    return np.einsum("...ij,ijd->...id", dS, A[rows]), dA


@wild("learned-positions-backward", "offset ignored")
def offset_forgotten(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    dE[: dY.shape[-2]] = dY.reshape(-1, *dY.shape[-2:]).sum(0)
    return dE


@wild("learned-positions-backward", "mean")
def batch_averaged(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    dE[offset : offset + dY.shape[-2]] = dY.reshape(-1, *dY.shape[-2:]).mean(0)
    return dE


@wild("learned-positions-backward", "used rows only")
def only_the_rows_that_occur(dY, cache):
    return dY.reshape(-1, *dY.shape[-2:]).sum(0)


def _decode(x, K, V, q, k, v, width=None):
    K, V = np.concatenate([K, k], axis=-2), np.concatenate([V, v], axis=-2)
    return softmax(q @ T(K) / np.sqrt(width or K.shape[-1])) @ V, K, V


@wild("kv-cache", "in front")
def newest_first(x, K, V, Wq, Wk, Wv):
    K, V = np.concatenate([x @ Wk, K], axis=-2), np.concatenate([x @ Wv, V], axis=-2)
    return softmax(x @ Wq @ T(K) / np.sqrt(K.shape[-1])) @ V, K, V


@wild("kv-cache", "no scale")
def scores_not_scaled(x, K, V, Wq, Wk, Wv):
    return _decode(x, K, V, x @ Wq, x @ Wk, x @ Wv, width=1)


@wild("kv-cache", "width of V")
def values_scale(x, K, V, Wq, Wk, Wv):
    return _decode(x, K, V, x @ Wq, x @ Wk, x @ Wv, width=V.shape[-1])


@wild("merge-partials", "weights exchanged")
def weights_by_logs_swapped(O1, L1, O2, L2):
    L = np.logaddexp(L1, L2)
    safe = np.where(np.isneginf(L), 0, L)
    return (np.exp(L2 - safe)[..., None] * O1 + np.exp(L1 - safe)[..., None] * O2), L


@wild("merge-partials", "larger L")
def larger_of_the_two(O1, L1, O2, L2):
    L = np.maximum(L1, L2)
    safe = np.where(np.isneginf(L), 0, L)
    a, b = np.exp(L1 - safe), np.exp(L2 - safe)
    z = np.where(a + b == 0, 1, a + b)
    return (a[..., None] * O1 + b[..., None] * O2) / z[..., None], L


@wild("merge-partials", "not divided")
def not_divided(O1, L1, O2, L2):
    L = np.logaddexp(L1, L2)
    top = np.maximum(L1, L2)
    safe = np.where(np.isneginf(top), 0, top)
    return np.exp(L1 - safe)[..., None] * O1 + np.exp(L2 - safe)[..., None] * O2, L


def _waves(X, t, exponent):
    D = X.shape[-1]
    P = np.zeros((len(t), D))
    for c in range(D):
        angle = t / 10000 ** exponent(c, D)
        P[:, c] = np.sin(angle) if c % 2 == 0 else np.cos(angle)
    return X + P.astype(X.dtype)


@wild("sinusoidal-positions", "offset ignored")
def from_zero_each_time(X, offset):
    return _waves(X, np.arange(X.shape[-2]), lambda c, D: (c - c % 2) / D)


@wild("sinusoidal-positions", "not paired")
def every_column_its_frequency(X, offset):
    return _waves(X, offset + np.arange(X.shape[-2]), lambda c, D: c / D)


@wild("sinusoidal-positions", "not doubled")
def exponent_halved(X, offset):
    return _waves(X, offset + np.arange(X.shape[-2]), lambda c, D: (c // 2) / D)


@wild("sinusoidal-positions", "from 1")
def counted_from_one(X, offset):
    return _waves(X, offset + 1 + np.arange(X.shape[-2]), lambda c, D: (c - c % 2) / D)


def _adam(p, g, m, v, t, lr, beta1, beta2, eps, step=lambda m, v, eps: m / (v**0.5 + eps)):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return p - lr * step(m / (1 - beta1**t), v / (1 - beta2**t), eps), m, v


@wild("adam-step", "at least 1")
def steps_not_counted_up(p, g, m, v, steps, lr, beta1, beta2, eps):
    return _adam(p, g, m, v, max(steps, 1), lr, beta1, beta2, eps)


@wild("adam-step", "eps inside")
def eps_in_the_root(p, g, m, v, steps, lr, beta1, beta2, eps):
    return _adam(p, g, m, v, steps + 1, lr, beta1, beta2, eps,
                 lambda m, v, eps: m / np.sqrt(v + eps))


@wild("adam-step", "uphill")
def ascent(p, g, m, v, steps, lr, beta1, beta2, eps):
    return _adam(p, g, m, v, steps + 1, -lr, beta1, beta2, eps)


@wild("adam-step", "corrected means kept")
def means_returned_corrected(p, g, m, v, steps, lr, beta1, beta2, eps):
    p, m, v = _adam(p, g, m, v, steps + 1, lr, beta1, beta2, eps)
    return p, m / (1 - beta1 ** (steps + 1)), v / (1 - beta2 ** (steps + 1))


@wild("linear-backward", "db over the first axis")
def bias_summed_over_the_batch_alone(dY, cache):
    X, W = cache
    return dY @ W.T, X.reshape(-1, W.shape[0]).T @ dY.reshape(-1, W.shape[1]), dY.sum(0)


@wild("linear-backward", "mean")
def parameters_averaged(dY, cache):
    X, W = cache
    dW = X.reshape(-1, W.shape[0]).T @ dY.reshape(-1, W.shape[1])
    return dY @ W.T, dW / X.reshape(-1, W.shape[0]).shape[0], dY.reshape(-1, W.shape[1]).mean(0)


@wild("attention-backward", "dK not scaled")
def only_dq_scaled(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P)
    return dS @ K / np.sqrt(Q.shape[-1]), T(dS) @ Q, T(P) @ dO


@wild("attention-backward", "number of keys")
def scaled_by_the_keys_count(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(K.shape[-2])
    return dS @ K, T(dS) @ Q, T(P) @ dO


@wild("attention-backward")
def weights_for_upstream(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(Q.shape[-1])
    return dS @ K, T(dS) @ Q, P @ dO if P.shape[-1] == P.shape[-2] else T(P) @ dO


@wild("softmax-jacobian", "squares only")
def sigmoid_like(S):
    P = softmax(S)
    return np.eye(S.shape[-1]) * (P * (1 - P))[..., None, :]


@wild("softmax-jacobian", "plus")
def sign_of_the_outer_product(S):
    P = softmax(S)
    return np.eye(S.shape[-1]) * P[..., None] + P[..., None] * P[..., None, :]


@wild("masked-softmax", "large number")
def minus_a_billion(S, mask):
    return softmax(np.where(mask, S, -1e9))


@wild("masked-softmax", "mask after")
def multiplied_afterwards(S, mask):
    return softmax(S) * mask


@wild("masked-softmax", "large number + bias added")
def added_a_billion(S, mask):
    return softmax(S - 1e9 * ~mask)


@wild("attention-backward")
def added_for_self_attention(dO, cache):
    Q, K, V, P = cache
    dS = scores_gradient(dO, V, P) / np.sqrt(Q.shape[-1])
    return dS @ K + T(dS) @ Q, T(dS) @ Q, T(P) @ dO


@wild("masked-softmax", "made up afterwards + dead row", "times mask after exp + dead row")
def renormalized_afterwards(S, mask):
    P = softmax(S) * mask
    return P / P.sum(-1, keepdims=True)
