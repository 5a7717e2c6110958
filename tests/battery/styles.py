"""Layers that keep state, losses that return their gradient, and other styles of writing."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from battery.entry import Shelf, entry_off, factor, normal, positive, sign, zero

layers = Shelf("layers with state")
losses = Shelf("(loss, grad) functions")
trees = Shelf("parameters in containers")

layer = layers.layer


class Dense:
    """As in CS231n: what forward saw is kept on the object."""

    def __init__(self):
        self.W, self.b = normal(400, 4, 3), normal(401, 3)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class DenseMean(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = self.dW / len(dout)
        return dx


class DenseStale(Dense):
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = np.zeros_like(x)
        self.old, self.x = self.x, x
        return x @ self.W + self.b

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = 0.5 * (self.x + np.roll(self.x, 1, 0)).T @ dout
        return dx


PLACES = {"W": "dW", "b": "db"}
layer("dense", Dense, normal(402, 5, 4), params=PLACES,
      wrong={"mean over rows": DenseMean, "rows of a stale input": DenseStale})


class Accumulating(Dense):
    """As in books from scratch: grads is a dict, and each backward adds."""

    def __init__(self):
        self.params = {"W": normal(403, 3, 2), "b": normal(404, 2)}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, x):
        self.inputs = x
        return np.tanh(x @ self.params["W"] + self.params["b"])

    def backward(self, dout):
        y = self.forward(self.inputs)
        da = dout * (1 - y**2)
        self.grads["W"] += self.inputs.T @ da
        self.grads["b"] += da.sum(0)
        return da @ self.params["W"].T


class AccumulatingWrong(Accumulating):
    def backward(self, dout):
        da = dout * (1 - self.forward(self.inputs) ** 2)
        self.grads["W"] += self.inputs.T @ da
        self.grads["b"] += dout.sum(0)
        return da @ self.params["W"].T


layer("tanh layer that adds", Accumulating, normal(405, 4, 3),
      params={"params['W']": "grads['W']", "params['b']": "grads['b']"},
      wrong={"bias before the slope": AccumulatingWrong})


class Relu:
    def __call__(self, x):
        self.mask = x > 0
        return x * self.mask

    def grad(self, dy):
        return dy * self.mask


class ReluWithoutMask(Relu):
    def grad(self, dy):
        return dy


layer("relu with __call__ and grad", Relu, normal(406, 3, 4), forward="__call__", backward="grad",
      wrong={"mask forgotten": ReluWithoutMask})


class Sequential:
    def __init__(self, *parts):
        self.parts = parts or (Dense(), Accumulating(), Relu())

    def forward(self, x):
        for part in self.parts:
            x = part(x) if callable(part) else part.forward(x)
        return x

    def backward(self, d):
        for part in reversed(self.parts):
            d = part.grad(d) if hasattr(part, "grad") else part.backward(d)
        return d


class SequentialForwards(Sequential):
    def backward(self, d):
        for part in reversed(self.parts[:-1]):
            d = part.backward(d)
        return d


layer("three layers in a row", Sequential, normal(407, 3, 4),
      params={"parts[0].W": "parts[0].dW"}, wrong={"last layer skipped": SequentialForwards})


class BatchNorm:
    """Moves running statistics along, as all of them do."""

    def __init__(self):
        self.gamma, self.beta = positive(408, 3), normal(409, 3)
        self.running_mean = np.zeros(3)

    def forward(self, x):
        mu = x.mean(0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mu
        self.std = np.sqrt(((x - mu) ** 2).mean(0) + 1e-5)
        self.xhat = (x - mu) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, d):
        self.dgamma = (d * self.xhat).sum(0)
        self.dbeta = d.sum(0)
        g = d * self.gamma
        return (g - g.mean(0) - self.xhat * (g * self.xhat).mean(0)) / self.std


class BatchNormFixed(BatchNorm):
    def backward(self, d):
        super().backward(d)
        return d * self.gamma / self.std


layer("batch norm with running mean", BatchNorm, normal(410, 6, 3),
      params={"gamma": "dgamma", "beta": "dbeta"}, wrong={"statistics fixed": BatchNormFixed})


class LSTMCell:
    def __init__(self):
        self.W = 0.5 * normal(411, 5, 8)

    def forward(self, x, h, c):
        self.x = np.concatenate([x, h], axis=1)
        z = self.x @ self.W
        n = h.shape[1]
        self.i, self.f, self.o = (1 / (1 + np.exp(-z[:, k * n:(k + 1) * n])) for k in range(3))
        self.g = np.tanh(z[:, 3 * n:])
        self.c = c
        self.c_new = self.f * c + self.i * self.g
        return self.o * np.tanh(self.c_new)

    def backward(self, dh):
        t = np.tanh(self.c_new)
        dc = dh * self.o * (1 - t**2)
        dz = np.concatenate([dc * self.g * self.i * (1 - self.i),
                             dc * self.c * self.f * (1 - self.f),
                             dh * t * self.o * (1 - self.o), dc * self.i * (1 - self.g**2)], axis=1)
        self.grad_W = self.x.T @ dz
        dx = dz @ self.W.T
        return dx[:, :3], dx[:, 3:], dc * self.f


class LSTMCellWrong(LSTMCell):
    def backward(self, dh):
        dx, dh_old, dc = super().backward(dh)
        return dx, dh_old, dc / self.f


layer("LSTM cell", LSTMCell, normal(412, 2, 3), normal(413, 2, 2), normal(414, 2, 2),
      params={"W": "grad_W"}, wrong={"forget gate forgotten": LSTMCellWrong})


class Embedding:
    def __init__(self):
        self.table = normal(415, 6, 2)

    def forward(self, ids):
        self.ids = ids
        return self.table[ids]

    def backward(self, d):
        self.dtable = np.zeros_like(self.table)
        np.add.at(self.dtable, self.ids, d)


class EmbeddingOverwrites(Embedding):
    def backward(self, d):
        self.dtable = np.zeros_like(self.table)
        self.dtable[self.ids] = d


layer("embedding, integers in", Embedding, np.array([1, 4, 4, 0]), params={"table": "dtable"},
      wrong={"repeats overwritten": EmbeddingOverwrites})


class Conv:
    """im2col, with the columns kept."""

    def __init__(self):
        self.k = normal(416, 2, 3, 3)

    def forward(self, x):
        self.shape = x.shape
        self.cols = np.lib.stride_tricks.sliding_window_view(x, (3, 3)).reshape(-1, 9)
        return self.cols @ self.k.reshape(2, 9).T

    def backward(self, d):
        self.dk = (d.T @ self.cols).reshape(2, 3, 3)
        dcols = (d @ self.k.reshape(2, 9)).reshape(self.shape[0] - 2, self.shape[1] - 2, 3, 3)
        dx = np.zeros(self.shape)
        for i in range(3):
            for j in range(3):
                dx[i:i + dcols.shape[0], j:j + dcols.shape[1]] += dcols[:, :, i, j]
        return dx


class ConvOverlap(Conv):
    def backward(self, d):
        super().backward(d)
        dcols = (d @ self.k.reshape(2, 9)).reshape(self.shape[0] - 2, self.shape[1] - 2, 3, 3)
        dx = np.zeros(self.shape)
        for i in range(3):
            for j in range(3):
                dx[i:i + dcols.shape[0], j:j + dcols.shape[1]] = dcols[:, :, i, j]
        return dx


layer("convolution by columns", Conv, normal(417, 4, 5), params={"k": "dk"},
      wrong={"overlaps overwritten": ConvOverlap})


class Head:
    def __init__(self):
        self.Wq, self.Wk, self.Wv = (normal(418 + i, 3, 4) for i in range(3))

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = x @ self.Wq, x @ self.Wk, x @ self.Wv
        s = self.q @ self.k.T / 2
        e = np.exp(s - s.max(1, keepdims=True))
        self.a = e / e.sum(1, keepdims=True)
        return self.a @ self.v

    def backward(self, d):
        dv, da = self.a.T @ d, d @ self.v.T
        ds = self.a * (da - (da * self.a).sum(1, keepdims=True)) / 2
        dq, dk = ds @ self.k, ds.T @ self.q
        self.gWq, self.gWk, self.gWv = self.x.T @ dq, self.x.T @ dk, self.x.T @ dv
        return dq @ self.Wq.T + dk @ self.Wk.T + dv @ self.Wv.T


class HeadWithoutValue(Head):
    def backward(self, d):
        return super().backward(d) - (self.a.T @ d) @ self.Wv.T


class HeadTransposed(Head):
    def backward(self, d):
        dx = super().backward(d)
        self.gWk = self.gWk.T.reshape(self.gWk.shape)
        return dx


layer("self-attention with state", Head, normal(421, 5, 3),
      params={"Wq": "gWq", "Wk": "gWk", "Wv": "gWv"},
      wrong={"path through the values forgotten": HeadWithoutValue,
             "gradient of Wk jumbled": HeadTransposed})


class Scale:
    """Keeps its gradient in a buffer that it hands out."""

    def __init__(self):
        self.s = np.array(1.5)
        self.ds = np.zeros(())
        self.buffer = np.zeros((2, 3))

    def forward(self, x):
        self.x = x
        return self.s * x * x

    def backward(self, d):
        self.ds[...] = (d * self.x**2).sum()
        np.multiply(d, 2 * self.s * self.x, out=self.buffer)
        return self.buffer


class ScaleAdds(Scale):
    def backward(self, d):
        self.buffer += 2 * self.s * self.x
        self.ds[...] = (d * self.x**2).sum()
        return self.buffer


layer("buffer handed out", Scale, normal(422, 2, 3), params={"s": "ds"},
      wrong={"buffer never cleared, upstream forgotten": ScaleAdds})

loss = losses.loss


def logistic(w):
    X, y = normal(430, 12, 3), np.where(normal(431, 12) > 0, 1, -1)
    z = y * (X @ w)
    return np.log1p(np.exp(-z)).mean(), -(X.T @ (y / (1 + np.exp(z)))) / 12


def logistic_sum(w):
    value, g = logistic(w)
    return value, 12 * g


loss("logistic regression", logistic, normal(432, 3), wrong={
    "sum for mean": logistic_sum, "sign": lambda w: (logistic(w)[0], -logistic(w)[1])})


def ridge(w, lam=0.3):
    A, b = normal(433, 8, 4), normal(434, 8)
    r = A @ w - b
    return 0.5 * r @ r + lam * w @ w, A.T @ r + 2 * lam * w


loss("ridge", ridge, normal(435, 4), wrong={
    "penalty forgotten": lambda w: (ridge(w)[0], ridge(w)[1] - 0.6 * w),
    "2 forgotten": lambda w: (ridge(w)[0], ridge(w)[1] - 0.3 * w)})


def lasso(w, lam=0.1):
    value, g = ridge(w)
    return value + lam * np.abs(w).sum(), g + lam * np.sign(w)


loss("lasso", lasso, normal(436, 4), wrong={
    "penalty forgotten": lambda w: (lasso(w)[0], ridge(w)[1]),
    "penalty negated": lambda w: (lasso(w)[0], ridge(w)[1] - 0.1 * np.sign(w))})


def svm(W):
    """The structured loss of CS231n, assignment 1."""
    X, y = normal(437, 6, 4), np.arange(6) % 3
    s = X @ W
    m = s - s[np.arange(6), y][:, None] + 1.0
    m[np.arange(6), y] = 0
    on = (m > 0).astype(float)
    on[np.arange(6), y] = -on.sum(1)
    return np.maximum(m, 0).sum() / 6 + 0.05 * (W * W).sum(), X.T @ on / 6 + 0.1 * W


loss("multiclass hinge", svm, normal(438, 4, 3), wrong={
    "penalty's 2 forgotten": lambda W: (svm(W)[0], svm(W)[1] - 0.05 * W)})


def rosenbrock(x):
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[1:] += 200 * a
    g[:-1] += -400 * x[:-1] * a - 2 * b
    return 100 * (a**2).sum() + (b**2).sum(), g


loss("Rosenbrock", rosenbrock, normal(439, 5), wrong={
    "one entry off by 1e-6": lambda x: (
        rosenbrock(x)[0], rosenbrock(x)[1] * [1, 1, 1 + 1e-6, 1, 1]),
    "second term forgotten": lambda x: (rosenbrock(x)[0],
                                        rosenbrock(x)[1] + 2 * np.r_[1 - x[:-1], 0])})


def poisson(theta, c):
    X, n = normal(440, 7, 2), np.arange(7)
    e = np.exp(X @ theta + c)
    return (e - n * (X @ theta + c)).sum(), (X.T @ (e - n), (e - n).sum())


loss("Poisson likelihood, two arguments", poisson, normal(441, 2), np.array(0.2), wrong={
    "intercept's gradient zero": lambda t, c: (poisson(t, c)[0], (poisson(t, c)[1][0], 0.0))})


def elastic(w):
    value, g = logistic(w)
    return value + 0.01 * np.abs(w).sum() + 0.05 * w @ w, g + 0.01 * np.sign(w) + 0.1 * w


loss("elastic net", elastic, normal(442, 3), wrong={
    "L1 forgotten": lambda w: (elastic(w)[0], logistic(w)[1] + 0.1 * w)})


def matrix_factors(U, V):
    R = normal(443, 4, 5)
    E = (U @ V.T - R) * (R > -0.5)
    return (E**2).sum(), [2 * E @ V, 2 * E.T @ U]


loss("factorisation", matrix_factors, normal(444, 4, 2), normal(445, 5, 2), wrong={
    "mask forgotten": lambda U, V: (matrix_factors(U, V)[0], [
        2 * (U @ V.T - normal(443, 4, 5)) @ V, matrix_factors(U, V)[1][1]])})


def triplet(a, p, n):
    dp, dn = ((a - p) ** 2).sum(), ((a - n) ** 2).sum()
    on = float(dp - dn + 20 > 0)
    return max(dp - dn + 20, 0), (on * 2 * (n - p), on * 2 * (p - a), on * 2 * (a - n))


loss("triplet", triplet, normal(446, 3), normal(447, 3), normal(448, 3), wrong={
    "anchor's gradient turned": lambda a, p, n: (triplet(a, p, n)[0], (
        -triplet(a, p, n)[1][0], *triplet(a, p, n)[1][1:]))})


def in_python(w):
    total, g = 0.0, []
    for i, v in enumerate(w.tolist()):
        total += (i + 1) * v**4
        g.append(4 * (i + 1) * v**3)
    return total, np.array(g)


loss("floats of Python", in_python, normal(449, 4), wrong={
    "weights forgotten": lambda w: (in_python(w)[0], 4 * w**3)})


def kl(logits):
    q = np.full(4, 0.25)
    p = np.exp(logits) / np.exp(logits).sum()
    return (p * np.log(p / q)).sum(), p * (np.log(p / q) - (p * np.log(p / q)).sum())


loss("divergence", kl, normal(450, 4), wrong={
    "mean forgotten": lambda z: (kl(z)[0], (p := np.exp(z) / np.exp(z).sum()) * np.log(p / 0.25))})

add = trees.add


class Params(NamedTuple):
    W: np.ndarray
    b: np.ndarray


@dataclass
class Net:
    W: np.ndarray
    b: np.ndarray


def mlp_named(x, p):
    h = np.tanh(x @ p.W + p.b)
    return h, (x, p, h)


def mlp_named_back(d, c):
    x, p, h = c
    g = d * (1 - h * h)
    return g @ p.W.T, type(p)(x.T @ g, g.sum(0))


def mlp_named_back_swapped(d, c):
    dx, g = mlp_named_back(d, c)
    return dx, type(g)(g.W, g.b * 0)


for kind in (Params, Net):
    add(f"one layer, {kind.__name__}", mlp_named, mlp_named_back, normal(460, 4, 3),
        kind(normal(461, 3, 2), normal(462, 2)), wrong={"no bias": mlp_named_back_swapped})


def mlp_dict(p, x):
    z = x @ p["W1"] + p["b1"]
    h = np.where(z > 0, z, 0)
    return h @ p["W2"], dict(p=p, x=x, h=h, z=z)


def mlp_dict_back(d, c, relu=True):
    dh = d @ c["p"]["W2"].T
    if relu:
        dh = dh * (c["z"] > 0)
    return {"W1": c["x"].T @ dh, "b1": dh.sum(0), "W2": c["h"].T @ d}, dh @ c["p"]["W1"].T


add("two layers, dict", mlp_dict, mlp_dict_back,
    {"W1": normal(463, 3, 4), "b1": normal(464, 4), "W2": normal(465, 4, 2)}, normal(466, 5, 3),
    wrong={"relu forgotten": lambda d, c: mlp_dict_back(d, c, relu=False),
           "only the bias": lambda d, c: (
               {**(g := mlp_dict_back(d, c))[0], "b1": g[0]["b1"] * 1.001}, g[1])})


def chain(ws, x):
    hs = [x]
    for w in ws:
        hs.append(np.sin(hs[-1] @ w))
    return hs[-1], (ws, hs)


def chain_back(d, c, skip=None):
    ws, hs = c
    gs = []
    for i in reversed(range(len(ws))):
        d = d * np.cos(hs[i] @ ws[i])
        gs.insert(0, hs[i].T @ d * (i != skip))
        d = d @ ws[i].T
    return gs, d


add("three layers, list", chain, chain_back, [normal(470 + i, 3, 3) for i in range(3)],
    normal(473, 2, 3), wrong={"middle layer zero": lambda d, c: chain_back(d, c, 1)})


def two_outputs(x):
    return (np.sin(x), x.sum() * x), x


def two_outputs_back(d, x, second=1.0):
    a, b = d
    return a * np.cos(x) + second * (b * x.sum() + (b * x).sum())


add("two outputs", two_outputs, two_outputs_back, normal(474, 4),
    wrong={"second output forgotten": lambda d, x: two_outputs_back(d, x, 0.0),
           "one entry off by 1e-6": entry_off(1e-6)})
add("Fortran order", lambda A: (A @ A.T, A), lambda d, A: (d + d.T) @ A,
    np.asfortranarray(normal(475, 3, 4)), wrong={"sign": sign()})
add("every other entry", lambda x: (x**2, x), lambda d, x: 2 * d * x, normal(476, 10)[::2],
    wrong={"factor": factor(1.5)})
add("big-endian", lambda x: (np.exp(x), x), lambda d, x: d * np.exp(x),
    normal(477, 4).astype(">f8"), wrong={"zero": zero()})
add("scalar argument", lambda t: (np.array([np.cos(t), np.sin(t)]), t),
    lambda d, t: -d[0] * np.sin(t) + d[1] * np.cos(t), np.array(0.6),
    wrong={"sign of the first": lambda d, t: d[0] * np.sin(t) + d[1] * np.cos(t)})
add("axis of length one", lambda x: (x * x.sum(1, keepdims=True), x),
    lambda d, x: d * x.sum(1, keepdims=True) + (d * x).sum(1, keepdims=True), normal(478, 4, 1),
    wrong={"half": lambda d, x: d * x.sum(1, keepdims=True)})
