"""Wrong answers to the exercises on layers, masks, positions and attention in portions.

They were thought up before the catalogues of these exercises were read.
"""

import numpy as np
from wrong_answers import WrongAnswers

wild = WrongAnswers()


# ---- activations and dropout ----


@wild("gelu-backward", "gate only")
def only_the_gate(dY, cache):
    return dY * cache.Phi


@wild("gelu-backward", "not normalized")
def density_without_its_constant(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * np.exp(-0.5 * X**2))


@wild("gelu-backward", "tanh formula")
def slope_of_the_tanh_formula(dY, cache):
    x, c = cache.X, np.sqrt(2.0 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return dY * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2))


@wild("gelu-backward", "no x")
def density_not_times_x(dY, cache):
    X, Phi = cache
    return dY * (Phi + np.exp(-(X**2) / 2) / np.sqrt(2 * np.pi))


@wild("gelu-backward", "exponent")
def bell_upside_down(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * np.exp(X**2 / 2) / np.sqrt(2 * np.pi))


@wild("gelu-backward")
def like_a_sigmoid(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * Phi * (1 - Phi))


@wild("gelu-backward", "half left out")
def bell_of_another_width(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * np.exp(-(X**2)) / np.sqrt(np.pi))


@wild("dropout-backward", "scale left out of dP")
def no_scale_in_dP(dO, cache):
    P, V, keep, rate = cache
    dropped = P * keep / (1 - rate)
    return (dO @ np.swapaxes(V, -1, -2)) * keep, np.swapaxes(dropped, -1, -2) @ dO


@wild("dropout-backward", "dV not dropped")
def all_weights_for_dV(dO, cache):
    P, V, keep, rate = cache
    dP = dO @ V.swapaxes(-1, -2) * keep / (1 - rate)
    return dP, P.swapaxes(-1, -2) @ dO


@wild("dropout-backward", "scaled down")
def scaled_the_other_way(dO, cache):
    P, V, keep, rate = cache
    m = keep * (1 - rate)
    return (dO @ V.swapaxes(-1, -2)) * m, (P * m).swapaxes(-1, -2) @ dO


@wild("dropout-backward", "dP not dropped + dV not dropped")
def dropout_only_in_forward(dO, cache):
    P, V, keep, rate = cache
    return dO @ V.swapaxes(-1, -2), P.swapaxes(-1, -2) @ dO


@wild("dropout-backward", "by the rate")
def divided_by_the_rate(dO, cache):
    P, V, keep, rate = cache
    m = keep / rate
    return (dO @ V.swapaxes(-1, -2)) * m, (P * m).swapaxes(-1, -2) @ dO


# ---- normalization, residuals, losses, optimizers ----


@wild("layer-norm", "n minus 1")
def unbiased(X, gain, bias, eps):
    return gain * (X - X.mean(-1, keepdims=True)) / np.sqrt(
        X.var(-1, ddof=1, keepdims=True) + eps
    ) + bias


@wild("layer-norm", "eps outside")
def eps_after_the_root(X, gain, bias, eps):
    return gain * (X - X.mean(-1, keepdims=True)) / (X.std(-1, keepdims=True) + eps) + bias


@wild("layer-norm", "first axis")
def batch_norm(X, gain, bias, eps):
    return gain * (X - X.mean(0)) / np.sqrt(X.var(0) + eps) + bias


@wild("layer-norm", "sequence too")
def over_the_sequence_too(X, gain, bias, eps):
    axes = (-2, -1) if X.ndim > 1 else -1
    mu = X.mean(axes, keepdims=True)
    return gain * (X - mu) / np.sqrt(X.var(axes, keepdims=True) + eps) + bias


@wild("layer-norm", "mean kept")
def rms_norm(X, gain, bias, eps):
    return gain * X / np.sqrt((X**2).mean(-1, keepdims=True) + eps) + bias


@wild("layer-norm", "no root")
def divided_by_the_variance(X, gain, bias, eps):
    return gain * (X - X.mean(-1, keepdims=True)) / (X.var(-1, keepdims=True) + eps) + bias


@wild("layer-norm", "n minus 1 + eps outside")
def unbiased_and_eps_after_the_root(X, gain, bias, eps):
    s = X.std(-1, ddof=1, keepdims=True)
    return gain * (X - X.mean(-1, keepdims=True)) / (s + eps) + bias


@wild("cross-entropy-backward", "padding counted")
def mean_over_everything(dloss, cache):
    P, targets, pad = cache
    g = P - np.eye(P.shape[-1])[targets]
    g[targets == pad] = 0
    return dloss * g / targets.size


@wild("cross-entropy-backward", "sum")
def sum_for_mean(dloss, cache):
    P, targets, pad = cache
    g = P - np.eye(P.shape[-1])[targets]
    g[targets == pad] = 0
    return dloss * g


@wild("cross-entropy-backward", "last class")
def padding_pulls_too(dloss, cache):
    P, targets, pad = cache
    count = max((targets != pad).sum(), 1)
    return dloss * (P - np.eye(P.shape[-1])[targets]) / count


@wild("cross-entropy-backward", "padding without a target")
def padding_only_out_of_the_target(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    onehot = np.eye(P.shape[-1])[targets] * counted[..., None]
    return dloss * (P - onehot) / max(counted.sum(), 1)


@wild("cross-entropy-backward", "upstream")
def upstream_forgotten(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    g = (P - np.eye(P.shape[-1])[targets]) * counted[..., None]
    return g / max(counted.sum(), 1)


@wild("cross-entropy-backward", "nothing counted")
def over_zero_tokens(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    g = (P - np.eye(P.shape[-1])[targets]) * counted[..., None]
    return dloss * g / counted.sum()


@wild("cross-entropy-backward", "mean of means")
def mean_of_sequence_means(dloss, cache):
    P, targets, pad = cache
    counted = (targets != pad)[..., None]
    g = (P - np.eye(P.shape[-1])[targets]) * counted
    return dloss * g / np.maximum(counted.sum(axis=-2, keepdims=True), 1) / len(targets)


@wild("cross-entropy-backward", "wrong sign")
def target_minus_softmax(dloss, cache):
    P, targets, pad = cache
    counted = targets != pad
    g = (np.eye(P.shape[-1])[targets] - P) * counted[..., None]
    return dloss * g / max(counted.sum(), 1)


@wild("cross-entropy-backward", "padding counted + last class")
def padding_in_both(dloss, cache):
    P, targets, pad = cache
    return dloss * (P - np.eye(P.shape[-1])[targets]) / targets.size


@wild("residual-norm-block-backward", "skip left out")
def skip_forgotten(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA = dR * (H > 0)
    D = X.shape[-1]
    return dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


@wild("residual-norm-block-backward", "skip around the norm")
def skip_around_the_norm(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA = dR * (H > 0)
    D = X.shape[-1]
    return dY + dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


@wild("residual-norm-block-backward", "relu left out")
def relu_forgotten(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    return dR + dR @ W.T, np.tensordot(X, dR, (range(X.ndim - 1),) * 2)


@wild("residual-norm-block-backward", "mean held fixed + variance held fixed")
def statistics_as_constants(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dR = dY * gain * rstd
    dA = np.where(H > 0, dR, 0)
    return dR + dA @ W.T, np.tensordot(X, dA, (range(X.ndim - 1),) * 2)


@wild("residual-norm-block-backward", "W not transposed")
def weights_not_transposed(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    dA = np.where(H > 0, dR, 0)
    return dR + dA @ W, np.tensordot(X, dA, (range(X.ndim - 1),) * 2)


@wild("residual-norm-block-backward", "branch left out")
def only_the_skip(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    g = dY * gain
    dR = rstd * (g - g.mean(-1, keepdims=True) - Xhat * (g * Xhat).mean(-1, keepdims=True))
    return dR, np.tensordot(X, np.where(H > 0, dR, 0), (range(X.ndim - 1),) * 2)


@wild("adam-step", "no correction")
def no_correction(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * m / (np.sqrt(v) + eps), m, v


@wild("adam-step", "steps for t")
def one_step_behind(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    mhat, vhat = m / (1 - beta1 ** np.float64(t)), v / (1 - beta2 ** np.float64(t))
    return p - lr * mhat / (np.sqrt(vhat) + eps), m, v


@wild("adam-step", "eps inside")
def eps_in_the_root(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    mhat, vhat = m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))
    return p - lr * mhat / np.sqrt(vhat + eps), m, v


@wild("adam-step", "corrected means kept")
def corrected_means_kept(p, g, m, v, t, lr, beta1, beta2, eps):
    m = (beta1 * m + (1 - beta1) * g) / (1 - beta1 ** (t + 1))
    v = (beta2 * v + (1 - beta2) * g**2) / (1 - beta2 ** (t + 1))
    return p - lr * m / (np.sqrt(v) + eps), m, v


@wild("adam-step", "no correction + eps inside")
def eps_inside_and_no_correction(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * m / np.sqrt(v + eps), m, v


@wild("adam-step", "uphill")
def uphill(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    mhat, vhat = m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))
    return p + lr * mhat / (np.sqrt(vhat) + eps), m, v


@wild("adam-step")
def largest_slope_so_far(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = np.maximum(v, beta2 * v + (1 - beta2) * g**2)
    mhat, vhat = m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))
    return p - lr * mhat / (np.sqrt(vhat) + eps), m, v


# ---- masks ----


@wild("causal-mask", "upper left")
def triangle_in_the_upper_left(Tq, Tk):
    return np.tril(np.ones((Tq, Tk), bool))


@wild("causal-mask", "not itself")
def not_even_itself(Tq, Tk):
    return np.tril(np.ones((Tq, Tk), bool), k=Tk - Tq - 1)


@wild("causal-mask", "one ahead")
def one_ahead(Tq, Tk):
    return np.tril(np.ones((Tq, Tk), bool), k=Tk - Tq + 1)


@wild("causal-mask", "polarity")
def true_means_drop(Tq, Tk):
    return np.triu(np.ones((Tq, Tk), bool), k=Tk - Tq + 1)


@wild("causal-mask", "upper left + polarity")
def true_means_drop_in_the_upper_left(Tq, Tk):
    return np.triu(np.ones((Tq, Tk), bool), k=1)


@wild("causal-mask", "cache forgotten")
def only_new_tokens(Tq, Tk):
    mask = np.zeros((Tq, Tk), bool)
    mask[:, Tk - Tq:] = np.tril(np.ones((Tq, Tq), bool))
    return mask


@wild("valid-lens-mask", "one too many")
def one_key_too_many(valid_lens, Tq, Tk):
    lens = valid_lens[:, None] if valid_lens.ndim == 1 else valid_lens
    lens = np.broadcast_to(lens, (len(lens), Tq))
    return np.arange(Tk) <= lens[..., None]


@wild("valid-lens-mask", "polarity")
def true_on_padding(valid_lens, Tq, Tk):
    lens = np.repeat(valid_lens[:, None], Tq, 1) if valid_lens.ndim == 1 else valid_lens
    return np.arange(Tk) >= lens[..., None]


@wild("valid-lens-mask", "tiled")
def tiled(valid_lens, Tq, Tk):
    B = len(valid_lens)
    lens = np.tile(valid_lens, Tq) if valid_lens.ndim == 1 else valid_lens.reshape(-1)
    return (np.arange(Tk) < lens[:, None]).reshape(B, Tq, Tk)


@wild("valid-lens-mask", "one too many + polarity")
def true_on_padding_and_one_off(valid_lens, Tq, Tk):
    lens = np.repeat(valid_lens[:, None], Tq, 1) if valid_lens.ndim == 1 else valid_lens
    return np.arange(Tk) > lens[..., None]


@wild("valid-lens-mask", "queries as well")
def queries_cut_as_well(valid_lens, Tq, Tk):
    lens = np.repeat(valid_lens[:, None], Tq, 1) if valid_lens.ndim == 1 else valid_lens
    mask = np.arange(Tk) < lens[..., None]
    return mask & (np.arange(Tq)[:, None] < lens[..., None])


# ---- the causal Jacobian ----


def _causal(X):
    T, D = X.shape
    S = X @ X.T / np.sqrt(D)
    S = np.where(np.tril(np.ones((T, T), bool)), S, -np.inf)
    E = np.exp(S - S.max(1, keepdims=True))
    P = E / E.sum(1, keepdims=True)
    return P, P @ X


@wild("causal-jacobian", "as a key + as the query")
def values_only(X):
    P, _ = _causal(X)
    return np.einsum("ij,ab->ijab", P, np.eye(X.shape[1]))


@wild("causal-jacobian", "as the query")
def as_a_query_forgotten(X):
    P, O = _causal(X)
    T, D = X.shape
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / np.sqrt(D))
    return J


@wild("causal-jacobian", "not centred")
def softmax_term_forgotten(X):
    P, O = _causal(X)
    T, D = X.shape
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m], X[i]) / np.sqrt(D))
        J[i, i] += sum(P[i, k] * np.outer(X[k], X[k]) for k in range(T)) / np.sqrt(D)
    return J


@wild("causal-jacobian", "no mask + no shift")
def sees_the_future(X):
    T, D = X.shape
    E = np.exp(X @ X.T / np.sqrt(D))
    P = E / E.sum(1, keepdims=True)
    O = P @ X
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(T):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[m] - O[i], X[i]) / np.sqrt(D))
        C = (X.T * P[i]) @ X - np.outer(O[i], O[i])
        J[i, i] += C / np.sqrt(D)
    return J


@wild("causal-jacobian", "row times column")
def inputs_before_outputs(X):
    P, O = _causal(X)
    T, D = X.shape
    J = np.zeros((T, T, D, D))
    for i in range(T):
        for m in range(i + 1):
            J[i, m] = P[i, m] * (np.eye(D) + np.outer(X[i], X[m] - O[i]) / np.sqrt(D))
        J[i, i] += ((X.T * P[i]) @ X - np.outer(O[i], O[i])) / np.sqrt(D)
    return J


# ---- positions and embeddings ----


@wild("sinusoidal-positions", "not paired")
def a_frequency_for_each_column(X, offset):
    T, D = X.shape[-2:]
    P = np.zeros((T, D))
    for t in range(T):
        for c in range(D):
            a = (t + offset) / 10000 ** (c / D)
            P[t, c] = np.sin(a) if c % 2 == 0 else np.cos(a)
    return X + P


@wild("sinusoidal-positions", "halves")
def sines_first_then_cosines(X, offset):
    T, D = X.shape[-2:]
    angle = np.arange(offset, offset + T)[:, None] / 10000 ** (np.arange(0, D, 2) / D)
    return X + np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[:, :D]


@wild("sinusoidal-positions", "offset ignored")
def always_from_zero(X, offset):
    T, D = X.shape[-2:]
    P = np.zeros((T, D))
    angle = np.arange(T)[:, None] / np.power(10000, np.arange(0, D, 2) / D)
    P[:, 0::2] = np.sin(angle)
    P[:, 1::2] = np.cos(angle)[:, : D // 2]
    return X + P


@wild("sinusoidal-positions", "even only")
def even_widths_only(X, offset):
    T, D = X.shape[-2:]
    P = np.zeros((T, D))
    angle = np.arange(offset, offset + T)[:, None] / np.power(10000, np.arange(0, D, 2) / D)
    P[:, 0::2] = np.sin(angle)
    P[:, 1::2] = np.cos(angle)
    return X + P


@wild("sinusoidal-positions", "cosine first")
def cosine_first(X, offset):
    T, D = X.shape[-2:]
    P = np.zeros((T, D))
    angle = np.arange(offset, offset + T)[:, None] / np.power(10000, np.arange(0, D, 2) / D)
    P[:, 0::2] = np.cos(angle)
    P[:, 1::2] = np.sin(angle)[:, : D // 2]
    return X + P


@wild("sinusoidal-positions")
def frequencies_as_in_speech_code(X, offset):
    T, D = X.shape[-2:]
    half = (D + 1) // 2
    speed = np.exp(-np.log(10000.0) * np.arange(half) / max(half - 1, 1))
    angle = np.arange(offset, offset + T)[:, None] * speed
    P = np.zeros((T, D))
    P[:, 0::2] = np.sin(angle)
    P[:, 1::2] = np.cos(angle)[:, : D // 2]
    return X + P


@wild("learned-positions-backward", "mean")
def mean_over_the_batch(dY, cache):
    E, offset = cache
    g = dY.reshape(-1, *dY.shape[-2:]).mean(0)
    dE = np.zeros_like(E)
    dE[offset : offset + g.shape[0]] = g
    return dE


@wild("learned-positions-backward", "offset ignored")
def first_rows_always(dY, cache):
    E, offset = cache
    g = dY.reshape(-1, *dY.shape[-2:]).sum(0)
    dE = np.zeros_like(E)
    dE[: g.shape[0]] = g
    return dE


@wild("learned-positions-backward", "used rows only")
def used_rows_only(dY, cache):
    return dY.reshape(-1, *dY.shape[-2:]).sum(0)


@wild("learned-positions-backward", "first axis only")
def one_batch_axis(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    dE[offset : offset + dY.shape[-2]] = dY.sum(axis=0)
    return dE


@wild("learned-positions-backward", "last sequence")
def last_sequence_wins(dY, cache):
    E, offset = cache
    dE = np.zeros_like(E)
    for g in dY.reshape(-1, *dY.shape[-2:]):
        dE[offset : offset + len(g)] = g
    return dE


def _offsets(Q, A, Tk):
    c = len(A) // 2
    return np.clip(np.arange(Tk)[None, :] - np.arange(Q.shape[-2])[:, None], -c, c) + c


@wild("relative-positions", "last pair")
def buffered_addition(dS, cache):
    Q, A = cache
    rows = _offsets(Q, A, dS.shape[-1])
    dQ = np.einsum("...ij,ijd->...id", dS, A[rows])
    dA = np.zeros_like(A)
    dA[rows] += np.einsum("...ij,...id->...ijd", dS, Q).reshape(-1, *rows.shape, A.shape[1]).sum(0)
    return dQ, dA


@wild("relative-positions", "query minus key")
def query_minus_key(dS, cache):
    Q, A = cache
    rows = len(A) - 1 - _offsets(Q, A, dS.shape[-1])
    dQ = np.einsum("...ij,ijd->...id", dS, A[rows])
    dA = np.zeros_like(A)
    g = np.einsum("...ij,...id->...ijd", dS, Q).reshape(-1, *rows.shape, A.shape[1])
    for page in g:
        np.add.at(dA, rows, page)
    return dQ, dA


@wild("relative-positions", "mean of the diagonal")
def mean_over_the_diagonal(dS, cache):
    Q, A = cache
    rows = _offsets(Q, A, dS.shape[-1])
    dQ = np.einsum("...ij,ijd->...id", dS, A[rows])
    g = np.einsum("...ij,...id->...ijd", dS, Q).reshape(-1, *rows.shape, A.shape[1]).sum(0)
    dA = np.zeros_like(A)
    for r in range(len(A)):
        if (rows == r).any():
            dA[r] = g[rows == r].mean(0)
    return dQ, dA


@wild("relative-positions", "far pairs dropped")
def far_pairs_forgotten(dS, cache):
    Q, A = cache
    c, (Tq, Tk) = len(A) // 2, dS.shape[-2:]
    dQ, dA = np.zeros_like(Q), np.zeros_like(A)
    for i in range(Tq):
        for j in range(max(0, i - c), min(Tk, i + c + 1)):
            dQ[..., i, :] += dS[..., i, j, None] * A[j - i + c]
            dA[j - i + c] += (dS[..., i, j, None] * Q[..., i, :]).reshape(-1, A.shape[1]).sum(0)
    return dQ, dA


@wild("rotary-backward", "turned on")
def turned_again(dY, cache):
    cos, sin = cache
    dX = np.empty_like(dY)
    dX[..., ::2] = dY[..., ::2] * cos - dY[..., 1::2] * sin
    dX[..., 1::2] = dY[..., ::2] * sin + dY[..., 1::2] * cos
    return dX


@wild("rotary-backward", "halves")
def halves_for_pairs(dY, cache):
    cos, sin = cache
    a, b = np.split(dY, 2, axis=-1)
    return np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=-1)


@wild("rotary-backward", "both plus")
def both_plus(dY, cache):
    cos, sin = cache
    dX = np.empty_like(dY)
    dX[..., ::2] = dY[..., ::2] * cos + dY[..., 1::2] * sin
    dX[..., 1::2] = dY[..., ::2] * sin + dY[..., 1::2] * cos
    return dX


@wild("rotary-backward", "stacked")
def pairs_stacked_not_woven(dY, cache):
    cos, sin = cache
    a, b = dY[..., ::2], dY[..., 1::2]
    return np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=-1)


@wild("embedding-backward", "last place")
def last_one_wins(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    dE[ids] += dY * np.sqrt(E.shape[1])
    return dE


@wild("embedding-backward", "no root")
def root_forgotten(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY)
    return dE


@wild("embedding-backward", "mean of places")
def mean_over_occurrences(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY * np.sqrt(E.shape[1]))
    return dE / np.maximum(np.bincount(ids.ravel(), minlength=len(E)), 1)[:, None]


@wild("embedding-backward", "last place + no root")
def last_one_wins_without_the_root(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    dE[ids] = dY
    return dE


@wild("embedding-backward", "root of the vocabulary")
def root_of_the_vocabulary(dY, cache):
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY * np.sqrt(len(E)))
    return dE


# ---- attention in portions ----


@wild("online-softmax", "not rescaled")
def old_sum_not_rescaled(m, z, S):
    top = np.maximum(m, S.max(-1))
    shift = np.where(np.isinf(top), 0, top)
    return top, z + np.exp(S - shift[..., None]).sum(-1)


@wild("online-softmax", "own maximum")
def block_with_its_own_maximum(m, z, S):
    top = np.maximum(m, S.max(-1))
    safe = np.where(np.isinf(top), 0, top)
    own = S.max(-1, keepdims=True)
    own = np.where(np.isinf(own), 0, own)
    return top, z * np.exp(m - safe) + np.exp(S - own).sum(-1)


@wild("online-softmax", "nothing yet")
def nothing_minus_nothing(m, z, S):
    top = np.maximum(m, S.max(axis=-1))
    return top, z * np.exp(m - top) + np.exp(S - top[..., None]).sum(axis=-1)


@wild("online-softmax", "upside down")
def rescaled_upside_down(m, z, S):
    top = np.maximum(m, S.max(-1))
    safe = np.where(np.isinf(top), 0, top)
    return top, z * np.exp(safe - m) + np.exp(S - safe[..., None]).sum(-1)


@wild("merge-partials", "plain mean")
def plain_average(O1, L1, O2, L2):
    return (O1 + O2) / 2, np.logaddexp(L1, L2)


@wild("merge-partials", "overflow")
def straight_exponentials(O1, L1, O2, L2):
    w1, w2 = np.exp(L1), np.exp(L2)
    Z = w1 + w2
    safe = np.where(Z == 0, 1, Z)[..., None]
    return (w1[..., None] * O1 + w2[..., None] * O2) / safe, np.log(Z)


@wild("merge-partials", "L added")
def logs_added(O1, L1, O2, L2):
    L = L1 + L2
    w1, w2 = np.exp(L1 - L)[..., None], np.exp(L2 - L)[..., None]
    return w1 * O1 + w2 * O2, L


@wild("merge-partials", "0/0")
def no_key_in_either(O1, L1, O2, L2):
    L = np.logaddexp(L1, L2)
    return np.exp(L1 - L)[..., None] * O1 + np.exp(L2 - L)[..., None] * O2, L


@wild("merge-partials", "L as weights")
def logs_as_weights(O1, L1, O2, L2):
    Z = (L1 + L2)[..., None]
    return (L1[..., None] * O1 + L2[..., None] * O2) / Z, np.logaddexp(L1, L2)


def _tile(cache, L):
    Q, K, V, mask, O, _ = cache
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    P = np.exp(S - L[..., None])
    return P if mask is None else np.where(mask, P, 0)


@wild("tiled-backward", "delta of the tile")
def delta_of_the_tile(dO, cache):
    Q, K, V, mask, O, L = cache
    P = _tile(cache, L)
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / np.sqrt(Q.shape[-1])
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@wild("tiled-backward", "softmax of the tile")
def softmax_of_the_tile(dO, cache):
    Q, K, V, mask, O, L = cache
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    top = S.max(-1, keepdims=True)
    E = np.exp(S - np.where(np.isinf(top), 0, top))
    Z = E.sum(-1, keepdims=True)
    P = E / np.where(Z == 0, 1, Z)
    delta = (dO * O).sum(-1, keepdims=True)
    dS = P * (dO @ V.swapaxes(-1, -2) - delta) / np.sqrt(Q.shape[-1])
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@wild("tiled-backward", "no scale in dK")
def scale_missing_in_dK(dO, cache):
    Q, K, V, mask, O, L = cache
    P = _tile(cache, L)
    dS = P * (dO @ V.swapaxes(-1, -2) - (dO * O).sum(-1, keepdims=True))
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@wild("tiled-backward", "no delta")
def delta_missing(dO, cache):
    Q, K, V, mask, O, L = cache
    P = _tile(cache, L)
    dS = P * (dO @ V.swapaxes(-1, -2)) / np.sqrt(Q.shape[-1])
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@wild("tiled-backward", "mask ignored")
def mask_missing(dO, cache):
    Q, K, V, mask, O, L = cache
    P = np.exp(Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1]) - L[..., None])
    dS = P * (dO @ V.swapaxes(-1, -2) - (dO * O).sum(-1, keepdims=True)) / np.sqrt(Q.shape[-1])
    return dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


def _softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


@wild("kv-cache", "not itself")
def attends_before_it_appends(x, K, V, Wq, Wk, Wv):
    q = x @ Wq
    P = _softmax(q @ K.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
    return (P @ V, np.concatenate([K, x @ Wk], axis=-2), np.concatenate([V, x @ Wv], axis=-2))


@wild("kv-cache", "width of x")
def scaled_by_the_model_width(x, K, V, Wq, Wk, Wv):
    K = np.concatenate([K, x @ Wk], axis=-2)
    V = np.concatenate([V, x @ Wv], axis=-2)
    return _softmax(x @ Wq @ K.swapaxes(-1, -2) / np.sqrt(x.shape[-1])) @ V, K, V


@wild("kv-cache", "query kept")
def query_kept_as_key(x, K, V, Wq, Wk, Wv):
    q = x @ Wq
    K = np.concatenate([K, q], axis=-2)
    V = np.concatenate([V, x @ Wv], axis=-2)
    return _softmax(q @ K.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ V, K, V


@wild("kv-cache", "upper left")
def causal_from_the_upper_left(x, K, V, Wq, Wk, Wv):
    q = x @ Wq
    K = np.concatenate([K, x @ Wk], axis=-2)
    V = np.concatenate([V, x @ Wv], axis=-2)
    S = q @ K.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    S = np.where(np.tril(np.ones(S.shape[-2:], bool)), S, -np.inf)
    return _softmax(S) @ V, K, V


@wild("kv-cache", "old cache")
def cache_not_returned(x, K, V, Wq, Wk, Wv):
    q = x @ Wq
    K2 = np.concatenate([K, x @ Wk], axis=-2)
    V2 = np.concatenate([V, x @ Wv], axis=-2)
    return _softmax(q @ K2.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ V2, K, V
