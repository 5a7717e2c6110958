"""Plain NumPy, as it is written in lecture notes and small repositories."""

import numpy as np

from battery.entry import (
    Shelf, entry_off, factor, normal, positive, sign, small_entry, swapped, zero,
)

shelf = Shelf("plain NumPy")
add = shelf.add

add("square", lambda x: (x * x, x), lambda d, x: 2 * x * d, normal(1, 5),
    wrong={"factor": lambda d, x: x * d})

add("tanh from its output", np.tanh, lambda d, y: d * (1 - y**2), normal(3, 4, 2),
    wrong={"square forgotten": lambda d, y: d * (1 - y)})


def sigmoid(x):
    s = 1 / (1 + np.exp(-x))
    return s, s


add("sigmoid", sigmoid, lambda d, s: d * s * (1 - s), normal(4, 6),
    wrong={"upstream forgotten": lambda d, s: s * (1 - s)})
add("softplus", lambda x: (np.log1p(np.exp(x)), x), lambda d, x: d / (1 + np.exp(-x)),
    normal(5, 2, 3), wrong={"sign inside": lambda d, x: d / (1 + np.exp(x))})


def swish(x, beta):
    s = 1 / (1 + np.exp(-beta * x))
    return x * s, (x, beta, s)


def swish_grad(d, saved):
    x, beta, s = saved
    ds = s * (1 - s)
    return d * (s + beta * x * ds), np.sum(d * x * x * ds)


add("swish with a learned slope", swish, swish_grad, normal(6, 7), np.array(1.3),
    wrong={"second term without the slope":
           lambda d, c: (d * (c[2] + c[0] * c[2] * (1 - c[2])), swish_grad(d, c)[1])})


def gelu_tanh(x):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_tanh_bwd(d, cache, three=3.0):
    x, t = cache
    c = np.sqrt(2 / np.pi)
    return d * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + three * 0.044715 * x * x))


add("GELU by tanh", gelu_tanh, gelu_tanh_bwd, normal(7, 3, 3),
    wrong={"3 forgotten": lambda d, c: gelu_tanh_bwd(d, c, 1.0)})


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    return dx, dw, dout.sum(axis=0)


add("affine", affine_forward, affine_backward, normal(8, 4, 2, 3), normal(9, 6, 5), normal(10, 5),
    wrong={"bias by the mean": lambda d, c: (*affine_backward(d, c)[:2], d.mean(axis=0)),
           "one weight off by 1e-6": entry_off(1e-6, 1)})


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


add("softmax from its output", softmax,
    lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), normal(11, 3, 4),
    wrong={"only the diagonal": lambda d, p: d * p * (1 - p),
           "sum over everything": lambda d, p: p * (d - (d * p).sum())})


def cross_entropy(z):
    p = softmax(z)
    labels = np.arange(len(z)) % z.shape[1]
    return -np.log(p[np.arange(len(z)), labels]).mean(), (p, labels)


def cross_entropy_backward(d, cache):
    p, labels = cache
    g = p.copy()
    g[np.arange(len(p)), labels] -= 1
    return d * g / len(p)


add("cross entropy", cross_entropy, cross_entropy_backward, normal(12, 5, 4),
    wrong={"division by the number of rows forgotten":
           lambda d, c: cross_entropy_backward(d, c) * len(c[0]),
           "one entry off by 1e-3": entry_off(1e-3)})


def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdims=True)
    var = ((x - mu) ** 2).mean(-1, keepdims=True)
    inv = 1.0 / np.sqrt(var + eps)
    xhat = (x - mu) * inv
    return gamma * xhat + beta, dict(xhat=xhat, inv=inv, gamma=gamma)


def layernorm_bwd(dy, c):
    xhat, inv, gamma = c["xhat"], c["inv"], c["gamma"]
    g = dy * gamma
    dx = inv * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(0), dy.sum(0)


def layernorm_bwd_mean_only(dy, c):
    g = dy * c["gamma"]
    return (c["inv"] * (g - g.mean(-1, keepdims=True)), *layernorm_bwd(dy, c)[1:])


add("layer norm", layernorm, layernorm_bwd, normal(13, 3, 6), positive(14, 6), normal(15, 6),
    wrong={"variance held fixed": layernorm_bwd_mean_only,
           "gain and bias exchanged": swapped(1, 2)})


def rms(x, g):
    r = np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return x / r * g, (x, g, r)


def rms_back(dy, s):
    x, g, r = s
    u = dy * g
    return u / r - x * (u * x).mean(-1, keepdims=True) / r**3, (dy * x / r).sum((0, 1))


add("RMS norm", rms, rms_back, normal(16, 2, 3, 4), positive(17, 4),
    wrong={"no gradient for the gain": zero(1)})


def batchnorm(x):
    mu = x.mean(0)
    v = x.var(0) + 1e-5
    return (x - mu) / np.sqrt(v), (x - mu, v)


def batchnorm_back(d, cache):
    xc, v = cache
    n = len(d)
    dv = (d * xc).sum(0) * -0.5 * v**-1.5
    dm = -d.sum(0) / np.sqrt(v)
    return d / np.sqrt(v) + dv * 2 * xc / n + dm / n


add("batch norm", batchnorm, batchnorm_back, normal(18, 4, 2),
    wrong={"statistics held fixed": lambda d, c: d / np.sqrt(c[1]),
           "mean's part forgotten": lambda d, c: batchnorm_back(d, c) + (
               d.sum(0) / np.sqrt(c[1])) / len(d)})


def conv1d(x, k):
    n = len(x) - len(k) + 1
    return np.array([x[i:i + len(k)] @ k for i in range(n)]), (x, k)


def conv1d_back(d, cache):
    x, k = cache
    dx, dk = np.zeros_like(x), np.zeros_like(k)
    for i, di in enumerate(d):
        dx[i:i + len(k)] += di * k
        dk += di * x[i:i + len(k)]
    return dx, dk


add("convolution of a row", conv1d, conv1d_back, normal(19, 9), normal(20, 3),
    wrong={"kernel flipped": lambda d, c: (conv1d_back(d, (c[0], c[1][::-1]))[0],
                                           conv1d_back(d, c)[1])})


def conv2d(image, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel), (image, kernel, windows)


def conv2d_back(d, cache):
    image, kernel, windows = cache
    dimage = np.zeros(image.shape, dtype=d.dtype)
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            dimage[i:i + kernel.shape[0], j:j + kernel.shape[1]] += d[i, j] * kernel
    return dimage, np.einsum("ijkl,ij->kl", windows, d)


add("convolution of an image", conv2d, conv2d_back, normal(21, 5, 6), normal(22, 2, 3),
    wrong={"kernel's gradient flipped": lambda d, c: (conv2d_back(d, c)[0],
                                                      conv2d_back(d, c)[1][::-1, ::-1])})

add("cumulative sum", lambda x: (np.cumsum(x, axis=1), None),
    lambda d, _: np.cumsum(d[:, ::-1], axis=1)[:, ::-1], normal(23, 3, 5),
    wrong={"from the wrong end": lambda d, _: np.cumsum(d, axis=1)})
add("outer product", lambda a, b: (np.outer(a, b), (a, b)),
    lambda d, c: (d @ c[1], d.T @ c[0]), normal(24, 4), normal(25, 4),
    wrong={"transposed": lambda d, c: (d.T @ c[1], d @ c[0])})
add("bilinear form", lambda x, W, y: (np.einsum("bi,ij,bj->b", x, W, y), (x, W, y)),
    lambda d, c: (d[:, None] * (c[2] @ c[1].T), np.einsum("b,bi,bj->ij", d, c[0], c[2]),
                  d[:, None] * (c[0] @ c[1])),
    normal(26, 3, 4), normal(27, 4, 4), normal(28, 3, 4),
    wrong={"not transposed": lambda d, c: (d[:, None] * (c[2] @ c[1]),
                                           np.einsum("b,bi,bj->ij", d, c[0], c[2]),
                                           d[:, None] * (c[0] @ c[1])),
           "arguments exchanged": swapped(0, 2)})


def attend(q, k, v):
    a = softmax(q @ k.T / np.sqrt(q.shape[-1]))
    return a @ v, (q, k, v, a)


def attend_back(do, saved, root=True):
    q, k, v, a = saved
    dv = a.T @ do
    da = do @ v.T
    ds = a * (da - (da * a).sum(-1, keepdims=True))
    ds = ds / np.sqrt(q.shape[-1]) if root else ds / q.shape[-1]
    return ds @ k, ds.T @ q, dv


add("one head", attend, attend_back, normal(29, 3, 4), normal(30, 5, 4), normal(31, 5, 2),
    wrong={"scale without the root": lambda d, c: attend_back(d, c, root=False),
           "one small entry of K doubled": small_entry(2.0, 1)})


def causal(q, k, v):
    s = q @ k.T
    s = np.where(np.tril(np.ones(s.shape, bool)), s, -np.inf)
    a = np.exp(s - s.max(-1, keepdims=True).real)
    a = a / a.sum(-1, keepdims=True)
    return a @ v, (q, k, v, a)


def causal_back(do, saved):
    q, k, v, a = saved
    da = do @ v.T
    ds = a * (da - (da * a).sum(-1, keepdims=True))
    return ds @ k, ds.T @ q, a.T @ do


def causal_back_without_mask(do, saved):
    q, k, v, a = saved
    a = softmax(q @ k.T)
    return causal_back(do, (q, k, v, a))


add("causal head", causal, causal_back, normal(32, 4, 3), normal(33, 4, 3), normal(34, 4, 3),
    wrong={"backward without the mask": causal_back_without_mask})


def logsumexp(x):
    m = x.max(axis=0)
    return m + np.log(np.exp(x - m).sum(axis=0)), x


add("log of a sum of exponentials", logsumexp, lambda d, x: d * softmax(x.T).T, normal(35, 4, 3),
    wrong={"along the other axis": lambda d, x: d * softmax(x)})


def cosine(a, b):
    na, nb = np.sqrt(a @ a), np.sqrt(b @ b)
    return a @ b / (na * nb), (a, b, na, nb)


def cosine_back(d, c):
    a, b, na, nb = c
    cos = a @ b / (na * nb)
    return d * (b / (na * nb) - cos * a / na**2), d * (a / (na * nb) - cos * b / nb**2)


add("cosine similarity", cosine, cosine_back, normal(36, 6), normal(37, 6),
    wrong={"norms held fixed": lambda d, c: (d * c[1] / (c[2] * c[3]), d * c[0] / (c[2] * c[3]))})


def distances(X, Y):
    D = X[:, None] - Y[None]
    return (D**2).sum(-1), D


add("squared distances", distances,
    lambda d, D: (2 * (d[..., None] * D).sum(1), -2 * (d[..., None] * D).sum(0)),
    normal(38, 3, 2), normal(39, 4, 2),
    wrong={"sign of the second": lambda d, D: (2 * (d[..., None] * D).sum(1),
                                               2 * (d[..., None] * D).sum(0))})


def rbf(X, gamma):
    D2 = ((X[:, None] - X[None]) ** 2).sum(-1)
    K = np.exp(-gamma * D2)
    return K, (X, gamma, D2, K)


def rbf_back(d, c):
    X, gamma, D2, K = c
    G = -gamma * d * K
    G = G + G.T
    return 2 * (G.sum(1)[:, None] * X - G @ X), np.array(-(d * K * D2).sum())


def rbf_back_one_side(d, c):
    X, gamma, D2, K = c
    G = -gamma * d * K
    return 2 * (G.sum(1)[:, None] * X - G @ X), rbf_back(d, c)[1]


add("kernel matrix", rbf, rbf_back, normal(40, 4, 2), np.array(0.7),
    wrong={"as if symmetric upstream": rbf_back_one_side})


IDS = np.array([[0, 2, 2], [4, 0, 2]])


def embed(table):
    return table[IDS], table.shape


def embed_back(d, shape):
    g = np.zeros(shape)
    np.add.at(g, IDS, d)
    return g


def embed_back_overwrites(d, shape):
    g = np.zeros(shape)
    g[IDS] += d
    return g


add("look-up with repeated rows", embed, embed_back, normal(41, 5, 3),
    wrong={"repeated rows overwritten": embed_back_overwrites})
add("concatenation", lambda a, b: (np.concatenate([a, b], 1), a.shape[1]),
    lambda d, n: (d[:, :n], d[:, n:]), normal(42, 2, 3), normal(43, 2, 3),
    wrong={"halves exchanged": lambda d, n: (d[:, n:], d[:, :n])})
add("circular shift", lambda x: (np.roll(x, 2, 0), 0), lambda d, _: np.roll(d, -2, 0),
    normal(44, 5, 2), wrong={"shifted further": lambda d, _: np.roll(d, 2, 0)})
add("product of all", lambda x: (np.prod(x), x), lambda d, x: d * np.prod(x) / x, positive(45, 5),
    wrong={"one entry off by 1e-9": entry_off(1e-9)})
add("row plus column", lambda r, c: (np.sin(r + c), r + c),
    lambda d, s: ((d * np.cos(s)).sum(0, keepdims=True), (d * np.cos(s)).sum(1, keepdims=True)),
    normal(46, 1, 4), normal(47, 3, 1),
    wrong={"mean over the shared axis": lambda d, s: (
        (d * np.cos(s)).mean(0, keepdims=True), (d * np.cos(s)).sum(1, keepdims=True))})


def bias_back_without_sum(d, _):
    return d, d[0]


add("bias that is shared", lambda x, b: (x + b, None), lambda d, _: (d, d.sum(0)),
    normal(48, 4, 3), normal(49, 3), wrong={"sum over the rows forgotten": bias_back_without_sum})


def quaternion_rotate(q, v):
    w, x, y, z = q
    R = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                  [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                  [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])
    return R @ v, (q, v, R)


def quaternion_back(d, c):
    (w, x, y, z), v, R = c
    G = np.outer(d, v)
    A = G - G.T
    S = G + G.T
    dw = 2 * (x * A[2, 1] - y * A[2, 0] + z * A[1, 0])
    dx = 2 * (y * S[0, 1] + z * S[0, 2] + w * A[2, 1] - 2 * x * (G[1, 1] + G[2, 2]))
    dy = 2 * (x * S[0, 1] + z * S[1, 2] - w * A[2, 0] - 2 * y * (G[0, 0] + G[2, 2]))
    dz = 2 * (x * S[0, 2] + y * S[1, 2] + w * A[1, 0] - 2 * z * (G[0, 0] + G[1, 1]))
    return np.array([dw, dx, dy, dz]), R.T @ d


add("rotation by a quaternion", quaternion_rotate, quaternion_back, normal(50, 4), normal(51, 3),
    wrong={"rotated the other way": lambda d, c: (quaternion_back(d, c)[0], c[2] @ d)})


def spectrum(x):
    n = len(x)
    F = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    C, S = F.real, F.imag
    return (C @ x) ** 2 + (S @ x) ** 2, (C, S, x)


add("power spectrum", spectrum,
    lambda d, c: 2 * (c[0].T @ (d * (c[0] @ c[2])) + c[1].T @ (d * (c[1] @ c[2]))), normal(52, 6),
    wrong={"imaginary part forgotten": lambda d, c: 2 * (c[0].T @ (d * (c[0] @ c[2])))})
add("power spectrum by FFT", lambda x: (np.abs(np.fft.rfft(x)) ** 2, x),
    lambda d, x: len(x) * 2 * np.fft.irfft(np.r_[d[:1] * 2, d[1:-1], d[-1:] * 2]
                                           * np.fft.rfft(x), len(x)) / 2,
    normal(53, 8), wrong={"ends counted once": lambda d, x: len(x) * np.fft.irfft(
        d * np.fft.rfft(x), len(x))})
add("normalised weights", lambda w: (w / w.sum(), w),
    lambda d, w: d / w.sum() - (d * w).sum() / w.sum() ** 2, positive(54, 5),
    wrong={"sum held fixed": lambda d, w: d / w.sum()})
add("mean and deviation",
    lambda x: (np.stack([x.mean(), np.sqrt(((x - x.mean()) ** 2).mean())]), x),
    lambda d, x: d[0] / x.size + d[1] * (x - x.mean()) / (x.size * np.sqrt(
        ((x - x.mean()) ** 2).mean())), normal(55, 6),
    wrong={"n - 1 below": lambda d, x: d[0] / x.size + d[1] * (x - x.mean()) / (
        (x.size - 1) * np.sqrt(((x - x.mean()) ** 2).mean()))})
add("weighted average of images", lambda a, b, t: ((1 - t) * a + t * b, (a, b, t)),
    lambda d, c: ((1 - c[2]) * d, c[2] * d, np.array((d * (c[1] - c[0])).sum())),
    normal(56, 3, 3), normal(57, 3, 3), np.array(0.3), wrong={"exchanged": swapped(0, 1)})


def trapezoid(y, x):
    h = np.diff(x)
    return 0.5 * ((y[1:] + y[:-1]) * h).sum(), (y, x, h)


def trapezoid_back(d, c):
    y, x, h = c
    dy = np.zeros_like(y)
    dy[1:] += 0.5 * h
    dy[:-1] += 0.5 * h
    m = 0.5 * (y[1:] + y[:-1])
    dx = np.zeros_like(x)
    dx[1:] += m
    dx[:-1] -= m
    return [d * dy, d * dx]


add("integral by trapezoids", trapezoid, trapezoid_back, normal(58, 6), np.cumsum(positive(59, 6)),
    wrong={"ends weighed fully": lambda d, c: [
        d * np.r_[c[2][0], 0.5 * (c[2][1:] + c[2][:-1]), c[2][-1]], trapezoid_back(d, c)[1]]})


def in_place(d, c):
    d *= c[1]
    return d


add("scaled by a constant", lambda x: (x * np.linspace(1, 2, 4), (x, np.linspace(1, 2, 4))),
    lambda d, c: d * c[1], normal(60, 3, 4),
    wrong={"upstream written to, which is right once": in_place})


def shared_cache(d, c):
    c["x"] *= 2
    return d * c["x"]


add("square with a cache", lambda x: (x * x, {"x": x.copy()}), lambda d, c: 2 * d * c["x"],
    normal(61, 5), wrong={"cache written to, which is right once": shared_cache})
add("dropout with a mask", lambda x: (x * (np.arange(12).reshape(3, 4) % 3 > 0) / 0.7, None),
    lambda d, _: d * (np.arange(12).reshape(3, 4) % 3 > 0) / 0.7, normal(62, 3, 4),
    wrong={"scale forgotten": lambda d, _: d * (np.arange(12).reshape(3, 4) % 3 > 0),
           "mask forgotten": lambda d, _: d / 0.7})
add("reciprocal", lambda x: 1 / x, lambda d, y: -d * y * y, positive(63, 2, 2),
    wrong={"sign": sign(), "1 % off": factor(1.01), "zero": zero()})
add("transposed product", lambda A: (A.T @ A, A), lambda d, A: A @ (d + d.T), normal(64, 4, 3),
    wrong={"as if symmetric upstream": lambda d, A: 2 * A @ d})
