"""A second battery, written after the first without a look at what any checker makes of it."""

import math

import numpy as np
import scipy.fft
import scipy.signal
import scipy.special as sp
from scipy.spatial.transform import Rotation

from battery.entry import (
    PERHAPS_RIGHT, PERHAPS_WRONG, RIGHT, WRONG, Shelf, entry_off, factor, normal, positive, sign,
    small_entry, swapped, two_entries_exchanged, zero,
)

geometry = Shelf("geometry and physics")
signals = Shelf("signals")
chance = Shelf("probability")
attention = Shelf("attention by others")
numbers = Shelf("other arithmetic")
corners = Shelf("other corners")
objects = Shelf("objects and optimizers")

add = geometry.add

add("area of a polygon", lambda P: (0.5 * (P[:, 0] * np.roll(P[:, 1], -1)
                                           - P[:, 1] * np.roll(P[:, 0], -1)).sum(), P),
    lambda d, P: 0.5 * d * np.stack([np.roll(P[:, 1], -1) - np.roll(P[:, 1], 1),
                                     np.roll(P[:, 0], 1) - np.roll(P[:, 0], -1)], 1),
    normal(600, 5, 2), wrong={"half forgotten": factor(2.0), "one neighbour": lambda d, P: (
        0.5 * d * np.stack([np.roll(P[:, 1], -1), -np.roll(P[:, 0], -1)], 1))})
add("haversine", lambda a, b: (2 * np.arcsin(np.sqrt(
    np.sin((b[0] - a[0]) / 2) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin((b[1] - a[1]) / 2) ** 2)),
    (a, b)), lambda d, c: haversine_back(d, *c), np.array([0.4, 1.0]), np.array([0.9, 2.2]),
    wrong={"ends exchanged": swapped()})


def haversine_back(d, a, b):
    u, v = (b - a) / 2
    h = np.sin(u) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin(v) ** 2
    k = d / np.sqrt(h * (1 - h))
    lat, lon = np.sin(u) * np.cos(u), np.cos(a[0]) * np.cos(b[0]) * np.sin(v) * np.cos(v)
    side = np.sin(v) ** 2
    return (k * np.array([-lat - np.sin(a[0]) * np.cos(b[0]) * side, -lon]),
            k * np.array([lat - np.cos(a[0]) * np.sin(b[0]) * side, lon]))


add("perspective", lambda p, f: (f * p[:, :2] / p[:, 2:], (p, f)),
    lambda d, c: (np.c_[c[1] * d / c[0][:, 2:],
                        -c[1] * (d * c[0][:, :2]).sum(1) / c[0][:, 2] ** 2],
                  np.array((d * c[0][:, :2] / c[0][:, 2:]).sum())), positive(602, 4, 3),
    np.array(1.7), wrong={"depth not squared": lambda d, c: (
        np.c_[c[1] * d / c[0][:, 2:], -c[1] * (d * c[0][:, :2]).sum(1) / c[0][:, 2]],
        np.array((d * c[0][:, :2] / c[0][:, 2:]).sum()))})


def arm(angles):
    t = np.cumsum(angles)
    return np.array([np.cos(t).sum(), np.sin(t).sum()]), t


add("robot arm", arm, lambda d, t: np.cumsum((d[1] * np.cos(t) - d[0] * np.sin(t))[::-1])[::-1],
    normal(603, 4),
    wrong={"angles not cumulated": lambda d, t: d[1] * np.cos(t) - d[0] * np.sin(t)})
add("Lennard-Jones", lambda r: ((r**-12 - 2 * r**-6).sum(), r),
    lambda d, r: d * 12 * (r**-7 - r**-13), positive(604, 6),
    wrong={"attraction's 2 forgotten": lambda d, r: d * (6 * r**-7 - 12 * r**-13)})
add("rotated by SciPy", lambda v, x: (Rotation.from_rotvec([0.3, -0.2, 0.5]).apply(x) * v, (v, x)),
    lambda d, c: (np.array((d * Rotation.from_rotvec([0.3, -0.2, 0.5]).apply(c[1])).sum()),
                  c[0] * Rotation.from_rotvec([-0.3, 0.2, -0.5]).apply(d)), np.array(1.2),
    normal(605, 4, 3), wrong={"not turned back": lambda d, c: (
        np.array((d * Rotation.from_rotvec([0.3, -0.2, 0.5]).apply(c[1])).sum()),
        c[0] * Rotation.from_rotvec([0.3, -0.2, 0.5]).apply(d))})


def heat(u, k):
    us = [u]
    for _ in range(4):
        u = u + k * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
        us.append(u)
    return u, (us, k)


def heat_back(d, c, steps=4):
    us, k = c
    dk = 0.0
    for u in us[:-1][::-1][:steps]:
        dk += d @ (np.roll(u, 1) - 2 * u + np.roll(u, -1))
        d = d + k * (np.roll(d, 1) - 2 * d + np.roll(d, -1))
    return d, np.array(dk)


add("heat equation", heat, heat_back, normal(606, 6), np.array(0.2),
    wrong={"one step fewer": lambda d, c: heat_back(d, c, 3)})
add("spring network",
    lambda x: (0.5 * ((np.linalg.norm(np.diff(x, axis=0), axis=1) - 1) ** 2).sum(), x),
    lambda d, x: (lambda e, n: d * (np.r_[[[0, 0]], e * (1 - 1 / n)]
                                    - np.r_[e * (1 - 1 / n), [[0, 0]]]))(
        np.diff(x, axis=0), np.linalg.norm(np.diff(x, axis=0), axis=1, keepdims=True)),
    normal(607, 5, 2), wrong={"rest length forgotten": lambda d, x: d * (
        np.r_[[[0, 0]], np.diff(x, axis=0)] - np.r_[np.diff(x, axis=0), [[0, 0]]])})
add("angle between", lambda a, b: (np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b), (a, b)),
    lambda d, c: (d * np.array([c[0][1], -c[0][0]]) / (c[0] @ c[0]),
                  d * np.array([-c[1][1], c[1][0]]) / (c[1] @ c[1])),
    np.array([1.0, 0.4]), np.array([0.2, 0.9]),
    wrong={"sense of rotation": sign(), "lengths not squared": lambda d, c: (
        d * np.array([c[0][1], -c[0][0]]) / np.sqrt(c[0] @ c[0]),
        d * np.array([-c[1][1], c[1][0]]) / (c[1] @ c[1]))})
add("barycentric blend", lambda w, V: (w / w.sum() @ V, (w, V)),
    lambda d, c: ((c[1] @ d - c[0] / c[0].sum() @ c[1] @ d) / c[0].sum(),
                  np.outer(c[0] / c[0].sum(), d)), positive(608, 3), normal(609, 3, 2),
    wrong={"sum held fixed": lambda d, c: (c[1] @ d / c[0].sum(), np.outer(c[0] / c[0].sum(), d))})

add = signals.add

add("cosine transform", lambda x: (scipy.fft.dct(x, norm="ortho"), 0),
    lambda d, _: scipy.fft.idct(d, norm="ortho"), normal(620, 6),
    wrong={"forward again": lambda d, _: scipy.fft.dct(d, norm="ortho")})
B, A = [0.2, 0.3, 0.1], [1.0, -0.4, 0.15]
add("IIR filter", lambda x: (scipy.signal.lfilter(B, A, x), 0),
    lambda d, _: scipy.signal.lfilter(B, A, d[::-1])[::-1], normal(621, 8),
    wrong={"not reversed": lambda d, _: scipy.signal.lfilter(B, A, d),
           "feedback forgotten": lambda d, _: scipy.signal.lfilter(B, [1.0], d[::-1])[::-1]})
add("convolve same", lambda x: (np.convolve(x, [1.0, -2.0, 0.5], "same"), 0),
    lambda d, _: np.convolve(d, [0.5, -2.0, 1.0], "same"), normal(624, 7),
    wrong={"kernel not turned": lambda d, _: np.convolve(d, [1.0, -2.0, 0.5], "same")})
add("complex gain", lambda a, b: (np.abs(np.fft.fft(a + 1j * b)), (a, b)),
    lambda d, c: gain_back(d, *c), normal(625, 4), normal(626, 4), wrong={"exchanged": swapped()})


def gain_back(d, a, b):
    z = np.fft.fft(a + 1j * b)
    g = len(a) * np.fft.ifft(d * z / np.abs(z))
    return g.real, g.imag


add("upsampled", lambda x: (np.repeat(x, 3, axis=1), 0),
    lambda d, _: d.reshape(2, -1, 3).sum(2), normal(627, 2, 4),
    wrong={"mean for sum": lambda d, _: d.reshape(2, -1, 3).mean(2)})
add("average pooling", lambda x: (x.reshape(2, 2, 3, 2).mean((1, 3)), 0),
    lambda d, _: np.repeat(np.repeat(d, 2, 0), 2, 1) / 4, normal(628, 4, 6),
    wrong={"2 for 4": lambda d, _: np.repeat(np.repeat(d, 2, 0), 2, 1) / 2})
add("reflected border", lambda x: (np.pad(x, 2, mode="reflect"), 0), lambda d, _: np.r_[
    d[2], d[3] + d[1], d[4] + d[0] + d[8], d[5] + d[7], d[6]], normal(629, 5),
    wrong={"border dropped": lambda d, _: d[2:7]})
add("companded", lambda x: (np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256), x),
    lambda d, x: d * 255 / (1 + 255 * np.abs(x)) / np.log(256), normal(630, 6),
    wrong={"sign kept": lambda d, x: d * 255 / (1 + 255 * x) / np.log(256)})
add("phase", lambda x: (np.angle(x[0] + 1j * x[1]), x), lambda d, x: d * np.array(
    [-x[1], x[0]]) / (x[0] ** 2 + x[1] ** 2), normal(631, 2, 4), wrong={"turned": sign()})
add("windowed energy", lambda x: (np.einsum("wi,i->w", np.lib.stride_tricks.sliding_window_view(
    x, 3) ** 2, np.array([0.2, 0.6, 0.2])), x),
    lambda d, x: 2 * x * np.convolve(d, [0.2, 0.6, 0.2]), normal(632, 7),
    wrong={"flat window": lambda d, x: 2 * x * np.convolve(d, [1 / 3] * 3),
           "one entry off by 1e-6": entry_off(1e-6)})

add = chance.add

add("binary cross entropy of logits", lambda z: ((np.logaddexp(0, z) - z * T).mean(), z),
    lambda d, z: d * (sp.expit(z) - T) / z.size, normal(640, 6),
    wrong={"targets turned": lambda d, z: d * (sp.expit(z) - 1 + T) / z.size})
T = np.array([1.0, 0, 0, 1, 1, 0])
add("focal loss", lambda p: (-((1 - p) ** 2 * np.log(p)).sum(), p),
    lambda d, p: d * (2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p), np.array([0.2, 0.7, 0.95]),
    wrong={"weight held fixed": lambda d, p: -d * (1 - p) ** 2 / p})
add("Dirichlet log density", lambda a: (sp.gammaln(a.sum()) - sp.gammaln(a).sum()
                                        + ((a - 1) * np.log(P)).sum(), a),
    lambda d, a: d * (sp.digamma(a.sum()) - sp.digamma(a) + np.log(P)), positive(641, 3),
    wrong={"normalisation forgotten": lambda d, a: d * (np.log(P) - sp.digamma(a))})
P = np.array([0.2, 0.5, 0.3])
add("Student's t", lambda x, n: ((-(n + 1) / 2 * np.log1p(x * x / n)).sum(), (x, n)),
    lambda d, c: (-d * (c[1] + 1) * c[0] / (c[1] + c[0] ** 2), np.array(d * (
        -0.5 * np.log1p(c[0] ** 2 / c[1]) + (c[1] + 1) / 2 * c[0] ** 2 / (
            c[1] * (c[1] + c[0] ** 2))).sum())), normal(642, 5), np.array(4.0),
    wrong={"n for n + 1": lambda d, c: (-d * c[1] * c[0] / (c[1] + c[0] ** 2), np.array(d * (
        -0.5 * np.log1p(c[0] ** 2 / c[1]) + (c[1] + 1) / 2 * c[0] ** 2 / (
            c[1] * (c[1] + c[0] ** 2))).sum()))})
add("KL of two normals", lambda m, s: ((0.5 * (m * m + np.exp(s) - s - 1)).sum(), (m, s)),
    lambda d, c: (d * c[0], 0.5 * d * (np.exp(c[1]) - 1)), normal(643, 4), normal(644, 4),
    wrong={"1 forgotten": lambda d, c: (d * c[0], 0.5 * d * np.exp(c[1])),
           "mean's gradient zero": zero()})
EPS = normal(645, 4)
add("reparametrised sample", lambda m, s: (m + np.exp(s) * EPS, s),
    lambda d, s: (d, d * np.exp(s) * EPS), normal(646, 4), normal(647, 4),
    wrong={"scale's path cut": zero(1)})
add("quantile loss", lambda q: (np.maximum(0.9 * (T - q), -0.1 * (T - q)).sum(), q),
    lambda d, q: d * np.where(T > q, -0.9, 0.1), normal(648, 6),
    wrong={"quantile turned": lambda d, q: d * np.where(T > q, -0.1, 0.9)})
add("Gumbel softmax", lambda z: ((e := np.exp((z + EPS) / 0.5)) / e.sum(), z),
    lambda d, z: (lambda p: p * (d - d @ p) / 0.5)(sp.softmax((z + EPS) / 0.5)), normal(649, 4),
    wrong={"temperature forgotten": factor(0.5)})
add("black-scholes", lambda s, v: (s * sp.ndtr(d1(s, v)) - sp.ndtr(d1(s, v) - v), (s, v)),
    lambda d, c: (d * sp.ndtr(d1(*c)), d * c[0] * np.exp(-d1(*c) ** 2 / 2) / np.sqrt(2 * np.pi)),
    positive(650, 4), positive(651, 4), wrong={
        "density for distribution": lambda d, c: (
            d * np.exp(-d1(*c) ** 2 / 2), d * c[0] * np.exp(-d1(*c) ** 2 / 2) / np.sqrt(2 * np.pi)),
        "one entry off by 1e-3": entry_off(1e-3, 1)})


def d1(s, v):
    return np.log(s) / v + v / 2


add("ranking loss", lambda s: (np.logaddexp(0, s[None] - s[:, None])[U].sum(), s),
    lambda d, s: (lambda g: d * (g.sum(0) - g.sum(1)))(
        np.where(U, sp.expit(s[None] - s[:, None]), 0)),
    normal(652, 5), wrong={"losers only": lambda d, s: d * np.where(
        U, sp.expit(s[None] - s[:, None]), 0).sum(0)})
U = np.triu(np.ones((5, 5), bool), 1)

add = attention.add


def grouped(q, k):
    """Four heads of queries share two of keys."""
    kk = np.repeat(k, 2, axis=0)
    return np.einsum("hid,hjd->hij", q, kk), (q, k, kk)


def grouped_back(d, c):
    q, k, kk = c
    return (np.einsum("hij,hjd->hid", d, kk),
            np.einsum("hij,hid->hjd", d, q).reshape(2, 2, *k.shape[1:]).sum(1))


add("grouped queries", grouped, grouped_back, normal(660, 4, 3, 2), normal(661, 2, 3, 2),
    wrong={"first of each group": lambda d, c: (grouped_back(d, c)[0], np.einsum(
        "hij,hid->hjd", d, c[0])[::2])})


def turned(x, t=0.3):
    pos = np.arange(len(x))[:, None] * t ** np.arange(x.shape[1] // 2)
    a, b = x[:, ::2], x[:, 1::2]
    y = np.stack([a * np.cos(pos) - b * np.sin(pos), a * np.sin(pos) + b * np.cos(pos)], -1)
    return y.reshape(x.shape), pos


def turned_back(d, pos, s=-1.0):
    a, b = d[:, ::2], d[:, 1::2]
    y = np.stack([a * np.cos(pos) - s * b * np.sin(pos), a * s * np.sin(pos) + b * np.cos(pos)], -1)
    return y.reshape(d.shape)


add("rotary", turned, turned_back, normal(662, 4, 6),
    wrong={"turned forward again": lambda d, pos: turned_back(d, pos, 1.0)})


def linear_attention(q, k, v):
    fq, fk = np.where(q > 0, q + 1, np.exp(np.minimum(q, 0))), np.where(
        k > 0, k + 1, np.exp(np.minimum(k, 0)))
    S, z = fk.T @ v, fk.sum(0)
    return (fq @ S) / (fq @ z)[:, None], (q, k, v, fq, fk, S, z)


def linear_attention_back(d, c, normaliser=1.0):
    q, k, v, fq, fk, S, z = c
    n = (fq @ z)[:, None]
    y = fq @ S / n
    dn = -(d * y).sum(1, keepdims=True) / n * normaliser
    dfq = d / n @ S.T + dn * z
    dS, dz = fq.T @ (d / n), (fq * dn).sum(0)
    dfk = v @ dS.T + dz
    return (dfq * np.where(q > 0, 1, np.exp(np.minimum(q, 0))),
            dfk * np.where(k > 0, 1, np.exp(np.minimum(k, 0))), fk @ dS)


add("linear attention", linear_attention, linear_attention_back, normal(663, 3, 2),
    normal(664, 4, 2), normal(665, 4, 3),
    wrong={"normaliser fixed": lambda d, c: linear_attention_back(d, c, 0.0)})


def sink(s, b):
    z = np.c_[s, np.repeat(b, len(s))]
    e = np.exp(z - z.max(1, keepdims=True).real)
    return (p := e / e.sum(1, keepdims=True))[:, :-1], p


def sink_back(d, p):
    d = np.c_[d, np.zeros(len(d))]
    ds = p * (d - (d * p).sum(1, keepdims=True))
    return ds[:, :-1], ds[:, -1:].sum(0)


add("sink", sink, sink_back, normal(666, 3, 4), normal(667, 1), wrong={
    "one query only": lambda d, p: (sink_back(d, p)[0], sink_back(d, p)[0][:1, 0] * 0 + p[0, -1])})
add("capped scores", lambda s: (5 * np.tanh(s / 5), s), lambda d, s: d / np.cosh(s / 5) ** 2,
    3 * normal(668, 3, 4), wrong={"cap forgotten": lambda d, s: d,
                                  "5 forgotten": factor(0.2)})
add("sliding window", lambda s: (
    (e := np.where(BAND, np.exp(s), 0)) / e.sum(1, keepdims=True), s),
    lambda d, s: window_back(d, s, BAND), normal(669, 5, 5), wrong={
        "wider window": lambda d, s: window_back(d, s, WIDER),
        "first block dropped": lambda d, s: window_back(d, s, BAND) * (np.arange(5) > 1)[:, None]})
BAND = np.abs(np.subtract.outer(range(5), range(5))) <= 1
WIDER = np.abs(np.subtract.outer(range(5), range(5))) <= 2


def window_back(d, s, mask):
    e = np.where(mask, np.exp(s), 0)
    p = e / e.sum(1, keepdims=True)
    return p * (d - (d * p).sum(1, keepdims=True))


add("SwiGLU", lambda x, w, v: ((a := x @ w) * sp.expit(a) * (x @ v), (x, w, v))
    if not np.iscomplexobj(x @ w) and not np.iscomplexobj(v) else (
        (a := x @ w) / (1 + np.exp(-a)) * (x @ v), (x, w, v)),
    lambda d, c: swiglu_back(d, *c), normal(670, 3, 4), normal(671, 4, 2), normal(672, 4, 2),
    wrong={"gate and value exchanged": swapped(1, 2)})


def swiglu_back(d, x, w, v):
    a, b = x @ w, x @ v
    s = sp.expit(a)
    da, db = d * b * s * (1 + a * (1 - s)), d * a * s
    return da @ w.T + db @ v.T, x.T @ da, x.T @ db


add("relative bias", lambda t: (t[np.subtract.outer(range(4), range(4)) + 3], t.shape),
    lambda d, n: np.array([np.trace(d, -k) for k in range(-3, 4)]), normal(673, 7),
    wrong={"turned": lambda d, n: np.array([np.trace(d, k) for k in range(-3, 4)])})

add = numbers.add

for scale in (1e-9, 1e-3, 1e5, 1e10):
    name = f"{scale:.0e}"
    add(f"reciprocal at {name}", lambda x: (1 / x, x), lambda d, x: -d / x**2,
        scale * positive(680, 5), wrong={"not squared": lambda d, x: -d / x,
                                         "one entry off by 1e-6": entry_off(1e-6)})
    add(f"log with a kink at {name}", lambda x, s=scale: (np.log(x) + np.abs(x / s - 1), x),
        lambda d, x, s=scale: d * (1 / x + np.sign(x / s - 1) / s), scale * positive(681, 5),
        wrong={"kink's part forgotten": lambda d, x: d / x, "small entry": small_entry()})
    add(f"single at {name}", lambda x: (x * np.sqrt(x), x), lambda d, x: d * x.dtype.type(1.5)
        * np.sqrt(x), (scale * positive(682, 4)).astype(np.float32),
        wrong={"1.5 forgotten": lambda d, x: d * np.sqrt(x), "sign": sign()})
    add(f"distance from {name}", lambda x, s=scale: (((x - s) ** 2).sum(), x),
        lambda d, x, s=scale: 2 * d * (x - s), scale + normal(683, 4),
        due=RIGHT if scale < 1e9 else PERHAPS_RIGHT, wrong={"2 forgotten": factor(0.5)})
add("float32 mean of squares inside", lambda x: (float(np.mean(np.square(x, dtype=np.float32),
                                                               dtype=np.float32)), x)
    if not np.iscomplexobj(x) else None, lambda d, x: 2 * d * x / x.size, normal(684, 6),
    due=PERHAPS_RIGHT, wrong={"2 forgotten": factor(0.5)}, wrong_due=PERHAPS_WRONG)
add("half weights", lambda x: (x @ HALF, x), lambda d, x: d @ HALF.astype(d.dtype).T,
    normal(685, 3, 4), wrong={"zero": zero(), "sign": sign()})
HALF = normal(686, 4, 2).astype(np.float16)
add("rounded to cents", lambda x: (np.round(x * x, 2), x), lambda d, x: 2 * d * x, positive(687, 4),
    due=PERHAPS_RIGHT, wrong={"sign": sign()},
    wrong_due=PERHAPS_WRONG)
add("sum of a million and one", lambda x: (1e6 + np.sin(x).sum(), x), lambda d, x: d * np.cos(x),
    normal(688, 5), wrong={"sine": lambda d, x: d * np.sin(x)})

add = corners.add

for gap in (1e-3, 1e-5, 1e-7, 1e-9, 1e-11):
    name = f"{gap:.0e}"
    near = np.array([1.5, 1.5 - gap, 0.3, -2.0])
    due = {"due": RIGHT if gap > 1e-6 else PERHAPS_RIGHT,
           "wrong_due": WRONG if gap > 1e-6 else PERHAPS_WRONG}
    add(f"largest by {name}", lambda x: (x.max() ** 2, x),
        lambda d, x: d * 2 * x.max() * np.eye(len(x))[x.argmax()], near,
        wrong={"runner-up": lambda d, x: d * 2 * x.max() * np.eye(len(x))[1]}, **due)
    add(f"threshold at {name}", lambda x, g=gap: (
        np.where(np.abs(x) > 1.5 - g / 2, 2 * x, x**2), x),
        lambda d, x, g=gap: d * np.where(np.abs(x) > 1.5 - g / 2, 2.0, 2 * x), near,
        wrong={"branches exchanged": lambda d, x, g=gap: d * np.where(
            np.abs(x) > 1.5 - g / 2, 2 * x, 2.0)}, **due)
add("staircase beside a line", lambda x: (np.floor(x) + 3 * x, x), lambda d, x: 3 * d,
    normal(700, 5), wrong={"counted as slope": lambda d, x: 4 * d})
add("python loop over floats", lambda x: ([math.exp(-float(v) ** 2) for v in x][0] * x[0], x)
    if not np.iscomplexobj(x) else float("x"), lambda d, x: d * np.r_[
        np.exp(-x[0] ** 2) * (1 - 2 * x[0] ** 2), 0 * x[1:]], normal(701, 3),
    wrong={"product rule forgotten": lambda d, x: d * np.r_[np.exp(-x[0] ** 2), 0 * x[1:]]})
add("clipped from below", lambda x: (np.log(np.maximum(x, 1e-3)), x),
    lambda d, x: d * np.where(x > 1e-3, 1 / np.maximum(x, 1e-3), 0), np.array([0.5, 1e-4, 2e-3]),
    wrong={"clip forgotten": lambda d, x: d / x})
add("smallest distance", lambda X: (((X[:, None] - X[None]) ** 2).sum(-1)[np.triu_indices(
    4, 1)].min(), X), lambda d, X: nearest_back(d, X), normal(702, 4, 2),
    wrong={"one end only": lambda d, X: nearest_back(d, X, 0.0)})


def nearest_back(d, X, other=1.0):
    D = ((X[:, None] - X[None]) ** 2).sum(-1) + 1e9 * np.tril(np.ones((4, 4)))
    i, j = np.unravel_index(D.argmin(), D.shape)
    g = np.zeros_like(X)
    g[i] = 2 * d * (X[i] - X[j])
    g[j] = -2 * d * (X[i] - X[j]) * other
    return g


add("squared hinge", lambda s: ((np.maximum(0, 1 - s) ** 2).sum(), s),
    lambda d, s: -2 * d * np.maximum(0, 1 - s), np.array([0.2, 1.0, 1.7, -0.5]),
    wrong={"hinge's": lambda d, s: -2 * d * (s < 1)})
add("abs of a tiny part", lambda w: ((w * w).sum() + 1e-6 * np.abs(w).sum(), w),
    lambda d, w: d * (2 * w + 1e-6 * np.sign(w)), normal(703, 4),
    wrong={"forgotten": lambda d, w: 2 * d * w})
add("only under the mask wrong", lambda x: (np.where(M, x * x, np.sin(x)), x),
    lambda d, x: d * np.where(M, 2 * x, np.cos(x)), normal(704, 3, 4),
    wrong={"1e-3 there": lambda d, x: d * np.where(M, 2.002 * x, np.cos(x)),
           "exchanged entries": two_entries_exchanged()})
M = np.arange(12).reshape(3, 4) == 5

loss, layer = objects.loss, objects.layer


def cox(w):
    """Partial likelihood, times already in order."""
    X = normal(720, 6, 2)
    e = np.exp(X @ w)
    below = np.cumsum(e[::-1])[::-1]
    inner = np.cumsum((X * e[:, None])[::-1], 0)[::-1] / below[:, None]
    return float((np.log(below) - X @ w).sum()), (inner - X).sum(0)


loss("Cox regression", cox, normal(721, 2), wrong={
    "risk set forgotten": lambda w: (cox(w)[0], -normal(720, 6, 2).sum(0)),
    "one entry off by 1e-6": lambda w: (cox(w)[0], cox(w)[1] * [1, 1 + 1e-6])})


def huber_fit(w):
    A, b = normal(722, 8, 3), normal(723, 8)
    r = A @ w - b
    c = np.clip(r, -0.5, 0.5)
    return (c * (r - c / 2)).sum(), A.T @ c


loss("robust regression", huber_fit, normal(724, 3), wrong={
    "not clipped": lambda w: (huber_fit(w)[0], normal(722, 8, 3).T @ (
        normal(722, 8, 3) @ w - normal(723, 8)))})


def group_lasso(W):
    n = np.sqrt((W * W).sum(1))
    return ((W - 1) ** 2).sum() + 0.4 * n.sum(), 2 * (W - 1) + 0.4 * W / n[:, None]


loss("group lasso", group_lasso, normal(725, 3, 2), wrong={
    "penalty forgotten": lambda W: (group_lasso(W)[0], 2 * (W - 1)),
    "norm squared": lambda W: (group_lasso(W)[0], 2 * (W - 1) + 0.4 * W / (W * W).sum(
        1, keepdims=True))})


class Maxout:
    def __init__(self):
        self.p = dict(W=normal(726, 2, 3, 4))

    def forward(self, x):
        z = np.einsum("bi,kij->kbj", x, self.p["W"])
        self.saved = x, z.argmax(0)
        return z.max(0)

    def backward(self, d):
        x, k = self.saved
        on = (np.arange(2)[:, None, None] == k) * d
        self.g = dict(W=np.einsum("bi,kbj->kij", x, on))
        return np.einsum("kbj,kij->bi", on, self.p["W"])


class MaxoutAll(Maxout):
    def backward(self, d):
        dx = super().backward(d)
        self.g["W"][1] = self.g["W"][0]
        return dx


layer("maxout", Maxout, normal(727, 4, 3), params={"p['W']": "g['W']"},
      wrong={"first piece for both": MaxoutAll})


class Residual:
    def __init__(self):
        self.w1, self.w2 = normal(728, 3, 3), normal(729, 3, 3)

    def fwd(self, x):
        self.cache = [x, np.tanh(x @ self.w1)]
        return x + self.cache[1] @ self.w2

    def bwd(self, g):
        x, h = self.cache
        gh = g @ self.w2.T * (1 - h * h)
        self.gw2, self.gw1 = h.T @ g, x.T @ gh
        return g + gh @ self.w1.T


class ResidualCut(Residual):
    def bwd(self, g):
        return super().bwd(g) - g


layer("residual", Residual, normal(730, 2, 3), params={"w1": "gw1", "w2": "gw2"}, forward="fwd",
      backward="bwd", wrong={"skip forgotten": ResidualCut})


class Stack:
    """Pushes on forward and pops on backward."""

    def __init__(self):
        self.stack, self.gain, self.dgain = [], positive(731, 3), np.zeros(3)

    def forward(self, x):
        self.stack.append(x)
        return self.gain * x**2

    def backward(self, d):
        x = self.stack.pop()
        self.dgain = self.dgain + (d * x**2).sum(0)
        return 2 * d * self.gain * x


class StackFactor(Stack):
    def backward(self, d):
        return super().backward(d) / 2


layer("stack of inputs", Stack, normal(732, 4, 3), params={"gain": "dgain"},
      wrong={"2 forgotten": StackFactor})
