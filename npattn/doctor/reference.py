"""What attention is, in one plain file that is made to be edited: the doctor's reference.

Every array is in one layout: heads (B, H, T, d), tokens (B, T, D), masks (B, 1 or H, 1 or T, T)
with True = may attend. What people do in different ways, and right in each, is a field of `c`
(conventions.py); what they do wrong is an edit of this source (catalogue/). A query that may
attend to nothing has NaN here: what is done with it is a convention, and is asked for separately.
"""

import numpy as np


def varied(c, **changed):
    """The conventions c with some of them changed; c stays as it is."""
    return type(c)(**{**vars(c), **changed})


def allowed(keep, causal, Tq, Tk, c):
    """Which query may attend to which key."""
    M = np.ones((1, 1, Tq, Tk), bool)
    if causal:
        start = Tk - Tq if c.corner == "lower" else 0
        M = np.arange(Tk) <= start + np.arange(Tq)[:, None]
        M = M[None, None]
    if c.window:
        M = M & near(Tq, Tk, c)
    if keep is not None:
        M = M & keep
    return M


def gaps(Tq, Tk, c):
    """How far each key lies behind each query: i − j (Tq, Tk)."""
    start = Tk - Tq if c.corner == "lower" else 0
    return start + np.arange(Tq)[:, None] - np.arange(Tk)


def near(Tq, Tk, c):
    """Which keys lie in the window: `c.window` up to the query itself, `c.ahead` behind it."""
    gap = gaps(Tq, Tk, c)
    return (gap < c.window) & (gap >= -c.ahead)


def scale(Q, K, V, c):
    """The factor on Q Kᵀ: 1/√d, times what c adds to it."""
    return c.scale / np.sqrt(Q.shape[-1])


def scores(Q, K, V, c):
    """S (B, H, Tq, Tk): Q Kᵀ · scale, with what the conventions do to scores."""
    if c.unit and c.heads == 1:
        Q, K = unit(Q, 1.0, 0.0, c), unit(K, 1.0, 0.0, c)
    S = Q @ K.swapaxes(-1, -2) * scale(Q, K, V, c) + c.bias
    return capped(S, c) + distances(S.shape[-2], S.shape[-1], c)


def bucket(gap, R, c):
    """T5's: small distances one by one, larger ones by their logarithm up to `c.reach`."""
    half = R if c.signed else R // 2
    far = np.abs(gap) if not c.signed else np.maximum(gap, 0)
    side = 0 if c.signed else np.where(gap < 0, half, 0)
    exact = half // 2
    rise = np.log(np.maximum(far, 1) / exact) / np.log(c.reach / exact) * (half - exact)
    large = np.minimum(exact + rise.astype(int), half - 1)
    return side + np.where(far < exact, far, large)


def capped(S, c):
    """Scores pressed into (−cap, cap)."""
    return c.cap * np.tanh(S / c.cap) if c.cap else S


def distances(Tq, Tk, c):
    """What the distance adds: a slope of each head (ALiBi), or a learned table (H, R)."""
    if c.slopes is None and c.table is None:
        return 0.0
    gap = gaps(Tq, Tk, c)
    if c.table is not None:
        R = c.table.shape[1]
        if c.reach:
            return c.table[:, bucket(gap, R, c)]
        return c.table[:, np.clip((gap if c.signed else -gap) + R // 2, 0, R - 1)]
    return -c.slopes[:, None, None] * (gap if c.signed else np.abs(gap))


def softmax(S, M, c):
    """Weights (B, H, Tq, Tk): they are 0 where M is False, and each row sums to 1."""
    S = np.where(M, S, -np.inf)
    A = np.exp(S - S.max(-1, keepdims=True))
    return A / A.sum(-1, keepdims=True)


def repeated(K, H):
    """Each key head serves H / Hk query heads that stand side by side."""
    return np.repeat(K, H // K.shape[1], axis=1)


def core(Q, K, V, M, c):
    """O (B, H, Tq, dv) and the weights, of Q (B, H, Tq, d), K (B, Hk, Tk, d), V (B, Hk, Tk, dv)."""
    K, V = repeated(K, Q.shape[1]), repeated(V, Q.shape[1])
    S = scores(Q, K, V, c)
    P = softmax(S, M, c)
    O = P @ V
    if c.sink is None:
        return O, P
    return O * kept(S, M, c), P * kept(S, M, c)


def alone(Q, K, V, M, c):
    """`core` of heads that come as they are, and are turned by position where c says so."""
    if c.rotary:
        Q, K = rotary(Q, 0, c), rotary(K, 0, c)
    return core(Q, K, V, M, c)


def kept(S, M, c):
    """The part of the weight that a sink, one more score of a head without a value, leaves."""
    S = np.where(M, S, -np.inf)
    top = np.maximum(S.max(-1, keepdims=True), c.sink)
    A = np.exp(S - top).sum(-1, keepdims=True)
    return A / (A + np.exp(c.sink - top))


def unit(X, g, h, c):
    """Queries or keys (B, H, T, d), normalised before they meet."""
    if c.unit == "length":
        return X / np.sqrt((X**2).sum(-1, keepdims=True)) * g
    return norm(X, g, h, varied(c, rms=c.unit == "rms"))


def dense(X, W, b):
    """X W + b: (..., Din) to (..., Dout)."""
    Y = X @ W
    return Y + b


def split(X, H, c):
    """(B, T, H d) to (B, H, T, d)."""
    B, T, D = X.shape
    if c.heads_last:
        return X.reshape(B, T, D // H, H).transpose(0, 3, 1, 2)
    return X.reshape(B, T, H, D // H).swapaxes(1, 2)


def merge(O, c):
    """(B, H, T, d) to (B, T, H d)."""
    B, H, T, d = O.shape
    if c.heads_last:
        return O.transpose(0, 2, 3, 1).reshape(B, T, H * d)
    return O.swapaxes(1, 2).reshape(B, T, H * d)


def angles(positions, d, c):
    """By how much each pair of features turns at each position: (T, d / 2), in radians."""
    return positions[:, None] * c.base ** (-np.arange(0, d, 2) / d)


def rotary(X, start, c, sign=1):
    """X (B, H, T, d) with pairs of features turned by position."""
    d = X.shape[-1]
    a = sign * angles(start + np.arange(X.shape[-2]), d, c)
    cos, sin = np.cos(a), np.sin(a)
    if c.rotary == "pairs":
        E, F = X[..., 0::2], X[..., 1::2]
        return np.stack([E * cos - F * sin, E * sin + F * cos], -1).reshape(X.shape)
    E, F = X[..., : d // 2], X[..., d // 2 :]
    return np.concatenate([E * cos - F * sin, E * sin + F * cos], -1)


def multihead(Xq, Xk, Xv, keep, causal, W, c):
    """(Y (B, Tq, D), weights) of one layer with its own projections."""
    Q = split(dense(Xq, W["Wq"], W["bq"]), c.heads, c)
    K = split(dense(Xk, W["Wk"], W["bk"]), c.groups, c)
    V = split(dense(Xv, W["Wv"], W["bv"]), c.groups, c)
    if c.unit:
        Q, K = unit(Q, W["gq"], W["hq"], c), unit(K, W["gk"], W["hk"], c)
    if c.rotary:
        Q, K = rotary(Q, 0, c), rotary(K, 0, c)
    M = allowed(keep, causal, Q.shape[-2], K.shape[-2], c)
    O, P = core(Q, K, V, M, c)
    O = merge(O, c)
    return (dense(O, W["Wo"], W["bo"]) if "Wo" in W else O), P


def step(X, past, W, c):
    """(Y, past) of the tokens that follow those of `past`, which is (keys, values) or None."""
    Q = split(dense(X, W["Wq"], W["bq"]), c.heads, c)
    K = split(dense(X, W["Wk"], W["bk"]), c.groups, c)
    V = split(dense(X, W["Wv"], W["bv"]), c.groups, c)
    at = start = 0 if past is None else past[0].shape[-2]
    if c.unit:
        Q, K = unit(Q, W["gq"], W["hq"], c), unit(K, W["gk"], W["hk"], c)
    if c.rotary:
        Q, K = rotary(Q, at, c), rotary(K, at, c)
    if past is not None:
        K, V = np.concatenate([past[0], K], -2), np.concatenate([past[1], V], -2)
    T, Tk = Q.shape[-2], K.shape[-2]
    M = np.arange(Tk) <= start + np.arange(T)[:, None]
    if c.window:
        M = M & (np.arange(Tk) > start + np.arange(T)[:, None] - c.window)
    O, P = core(Q, K, V, M[None, None], varied(c, corner="lower"))
    O = merge(O, c)
    return (dense(O, W["Wo"], W["bo"]) if "Wo" in W else O), (K, V)


def norm(X, g, b, c):
    """Layer norm over the last axis, with gain g and bias b; RMS norm if c says so, without b."""
    if c.rms:
        return X / np.sqrt((X**2).mean(-1, keepdims=True) + c.eps) * g
    Z = X - X.mean(-1, keepdims=True)
    return Z / np.sqrt((Z**2).mean(-1, keepdims=True) + c.eps) * g + b


def sublayer(X, C, keep, causal, W, c):
    """Attention of X to C with the residual around it, and norms before it or behind it."""
    N = norm(X, W["g1"], W["h1"], c) if c.order == "pre" else X
    C = norm(C, W[c.context[0]], W[c.context[1]], c) if c.context else N if C is X else C
    A, P = multihead(N, C, C, keep, causal, W, c)
    Y = X + A if c.residual else A
    return (norm(Y, W["g1"], W["h1"], c) if c.order == "post" else Y), P


def feed_forward(X, W, c):
    """Y (B, T, D): each token by itself through one hidden layer, gated if c says so."""
    if c.gated:  # the number of the weights that make the gate
        gate, up = (c.gated, "1") if c.gated == "3" else (c.gated, "3")
        G = c.activation(dense(X, W[f"W{gate}"], W[f"b{gate}"]))
        return dense(G * dense(X, W[f"W{up}"], W[f"b{up}"]), W["W2"], W["b2"])
    return dense(c.activation(dense(X, W["W1"], W["b1"])), W["W2"], W["b2"])


def block(X, keep, causal, W, c):
    """(Y, weights) of an encoder layer: attention, feed forward, each with residual and norm."""
    if c.pre:
        N = norm(X, W["g1"], W["h1"], c)
        A, P = multihead(N, N, N, keep, causal, W, c)
        X = X + A
        N = norm(X, W["g2"], W["h2"], c)
        return X + feed_forward(N, W, c), P
    A, P = multihead(X, X, X, keep, causal, W, c)
    X = norm(X + A, W["g1"], W["h1"], c)
    F = feed_forward(X, W, c)
    return norm(X + F, W["g2"], W["h2"], c), P


def backward(dO, Q, K, V, M, c):
    """dQ, dK, dV of `core`."""
    H, Hk = Q.shape[1], K.shape[1]
    s = scale(Q, K, V, c)
    K, V = repeated(K, H), repeated(V, H)
    P = np.nan_to_num(softmax(scores(Q, K, V, c), M, c))
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True))
    if c.cap:
        dS = dS * (1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)
    dQ = dS @ K * s
    dK = dS.swapaxes(-1, -2) @ Q * s
    return dQ, shared(dK, Hk), shared(dV, Hk)


def shared(dK, Hk):
    """What a key head receives from all the query heads that it serves."""
    B, H, T, d = dK.shape
    return dK.reshape(B, Hk, H // Hk, T, d).sum(2)
