"""Functions in float32, half or complex64 inside; scales 1e±12; features at an offset."""

import numpy as np

from battery.entry import (
    PERHAPS_RIGHT, PERHAPS_WRONG, RIGHT, Shelf, entry_off, factor, normal, positive, sign, swapped,
    zero,
)

precision = Shelf("float32 and half inside")
scales = Shelf("scales")
offsets = Shelf("offsets")


def single(*arrays):
    return tuple(a.astype(np.float32) for a in arrays)


add = precision.add
GROSS = {"sign": sign(), "zero": zero()}

add("float32 cubic", lambda x: (x**3, x), lambda d, x: 3 * d * x * x, *single(normal(200, 5)),
    wrong={"sign": sign(), "doubled": factor(2)})
add("float32 tanh", np.tanh, lambda d, y: d * (1 - y * y), *single(normal(201, 3, 3)),
    wrong={"one entry off by 1e-3": entry_off(1e-3)})


def f32_layer_norm(x):
    m = x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + x.dtype.type(1e-5))
    return (x - m) * s, ((x - m) * s, s)


def f32_layer_norm_back(d, c):
    n, s = c
    return s * (d - d.mean(-1, keepdims=True) - n * (d * n).mean(-1, keepdims=True))


for offset in (0, 100, 1000):
    add(f"float32 layer norm at {offset}", f32_layer_norm, f32_layer_norm_back,
        *single(normal(202, 3, 8) + offset),
        wrong={"variance held fixed": lambda d, c: c[1] * (d - d.mean(-1, keepdims=True))})

add("computed in float32", lambda x: (np.sin(x.astype(np.float32)).astype(np.float64), x),
    lambda d, x: d * np.cos(x), normal(203, 6), due=PERHAPS_RIGHT, wrong=GROSS,
    wrong_due=PERHAPS_WRONG)
W32 = normal(204, 4, 3).astype(np.float32)
add("float32 weights inside", lambda x: ((x.astype(np.float32) @ W32), x),
    lambda d, x: (d @ W32.T).astype(np.float64), normal(205, 2, 4), due=PERHAPS_RIGHT,
    wrong={"doubled": factor(2.0)})
add("softmax in float32 inside",
    lambda x: ((p := np.exp(x.astype(np.float32))) / p.sum(-1, keepdims=True), x),
    lambda d, x: (p := np.exp(x) / np.exp(x).sum(-1, keepdims=True)) * (
        d - (d * p).sum(-1, keepdims=True)), normal(206, 2, 3), due=PERHAPS_RIGHT,
    wrong={"sum forgotten": lambda d, x: d * np.exp(x) / np.exp(x).sum(-1, keepdims=True)})
add("rounded to half", lambda x: ((x.astype(np.float16) ** 2).astype(x.dtype), x),
    lambda d, x: 2 * x * d, positive(207, 5), due=PERHAPS_RIGHT, wrong=GROSS,
    wrong_due=PERHAPS_WRONG)
add("half product of float32", lambda a, b: (
    (a.astype(np.float16) @ b.astype(np.float16)).astype(np.float32), (a, b)),
    lambda d, c: (d @ c[1].T, c[0].T @ d), *single(normal(208, 2, 3), normal(209, 3, 2)),
    due=PERHAPS_RIGHT, wrong=GROSS, wrong_due=PERHAPS_WRONG)


def low(x):
    return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)


add("complex64 inside, float32 arguments", lambda x: (np.exp(low(x)), x),
    lambda d, x: d * np.exp(x), *single(normal(210, 6)),
    wrong={"sign": sign(), "zero": zero(), "doubled": factor(2)}, wrong_due=PERHAPS_WRONG,
    due=PERHAPS_RIGHT)
add("complex64 inside, float64 arguments", lambda x: (low(x) ** 2 + np.sin(low(x)), x),
    lambda d, x: d * (2 * x + np.cos(x)), normal(211, 5), due=PERHAPS_RIGHT,
    wrong={"sine forgotten": lambda d, x: d * 2 * x})
add("float32 square at a million", lambda x: (x * x, x), lambda d, x: 2 * d * x,
    *single(1e6 + normal(212, 4)), wrong={"doubled": factor(2)})
add("float32 two layers", lambda x, W1, W2: ((h := np.tanh(x @ W1)) @ W2, (x, W1, W2, h)),
    lambda d, c: ((g := (d @ c[2].T) * (1 - c[3] ** 2)) @ c[1].T, c[0].T @ g, c[3].T @ d),
    *single(normal(213, 4, 3), normal(214, 3, 5), normal(215, 5, 2)),
    wrong={"tanh's slope forgotten": lambda d, c: (
        (g := d @ c[2].T) @ c[1].T, c[0].T @ g, c[3].T @ d)})
add("float32 sum of many", lambda x: ((x * x).sum(keepdims=True), x), lambda d, x: 2 * d * x,
    *single(normal(216, 100)), wrong={"one entry off by 1 %": entry_off(0.01)},
    wrong_due=PERHAPS_WRONG)
add("gradient in float32 of float64", lambda x: (np.cos(x), x),
    lambda d, x: (-d * np.sin(x)), normal(217, 4),
    wrong={"rounded to float32": lambda d, x: (-d * np.sin(x)).astype(np.float32)})

add = scales.add
for scale in (1e-12, 1e12):
    name = f"{scale:.0e}"
    add(f"cubic at {name}", lambda x: (x**3, x), lambda d, x: 3 * x * x * d,
        scale * normal(220, 5), wrong={"factor": lambda d, x: 2 * x * x * d,
                                       "one entry off by 1e-6": entry_off(1e-6)})
    add(f"abs at {name}", lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x),
        scale * normal(221, 5), wrong={"half": factor(0.5), "sign": sign()})
    add(f"sine of a quotient at {name}", lambda x, s=scale: (np.sin(x / s), x),
        lambda d, x, s=scale: d * np.cos(x / s) / s, scale * normal(222, 4),
        wrong={"scale forgotten": lambda d, x, s=scale: d * np.cos(x / s)})
    add(f"output times {name}", lambda x, s=scale: (np.tanh(x) * s, x),
        lambda d, x, s=scale: d * s / np.cosh(x) ** 2, normal(223, 2, 3),
        wrong={"one entry off by 1e-3": entry_off(1e-3), "not squared":
               lambda d, x, s=scale: d * s / np.cosh(x)})
    add(f"product of 1 and {name}", lambda a, b: (a * b + b, (a, b)),
        lambda d, c: (d * c[1], d * (c[0] + 1)), normal(224, 4), scale * normal(225, 4),
        wrong={"1 forgotten": lambda d, c: (d * c[1], d * c[0]), "exchanged": swapped()})
    add(f"norm at {name}", lambda x: (np.linalg.norm(x), x),
        lambda d, x: d * x / np.linalg.norm(x), scale * normal(226, 5),
        wrong={"one entry exchanged for zero": lambda d, x: d * np.r_[
            0.0, x[1:]] / np.linalg.norm(x)})


def unlike(x):
    return np.stack([1e12 * x[0] ** 2, np.sin(x[1]), x[0] * x[2]]), x


def unlike_back(d, x):
    return np.stack([2e12 * d[0] * x[0] + d[2] * x[2], d[1] * np.cos(x[1]), d[2] * x[0]])


add("one output of 1e12 beside ordinary ones", unlike, unlike_back, normal(227, 3),
    wrong={"small one half": lambda d, x: unlike_back(d, x) * [1, 1, 0.5],
           "sine for cosine": lambda d, x: np.stack(
               [unlike_back(d, x)[0], d[1] * np.sin(x[1]), d[2] * x[0]])})
add("small term beside a large one", lambda x: (np.sum(x * x) + 1e-7 * np.abs(x).sum(), x),
    lambda d, x: d * (2 * x + 1e-7 * np.sign(x)), normal(228, 5),
    wrong={"small term forgotten": lambda d, x: 2 * d * x})
add("entries of all sizes", lambda x: (x * x * x, x), lambda d, x: 3 * d * x * x,
    np.array([1e-9, 1e-3, 1.0, 1e4, 1e9]) * 1.3,
    wrong={"small entry doubled": lambda d, x: 3 * d * x * x * [2, 1, 1, 1, 1],
           "middle off by 1e-6": lambda d, x: 3 * d * x * x * [1, 1, 1 + 1e-6, 1, 1]})
add("weights of all sizes", lambda x: (x * np.logspace(-12, 12, 5) + x[::-1] ** 2, x),
    lambda d, x: d * np.logspace(-12, 12, 5) + 2 * x * d[::-1], normal(229, 5),
    wrong={"square forgotten": lambda d, x: d * np.logspace(-12, 12, 5)})

add = offsets.add
for offset in (1e2, 1e4, 1e6):
    name = f"{offset:.0e}"
    add(f"variance at {name}", lambda x: (((x - x.mean(0)) ** 2).mean(0), x),
        lambda d, x: d * 2 * (x - x.mean(0)) / len(x), normal(240, 6, 2) + offset,
        wrong={"n - 1 below": lambda d, x: d * 2 * (x - x.mean(0)) / (len(x) - 1)})
    add(f"standardised features at {name}",
        lambda x: ((x - x.mean(0)) / x.std(0), x),
        lambda d, x: (d - d.mean(0) - (z := (x - x.mean(0)) / x.std(0)) * (d * z).mean(0))
        / x.std(0), normal(241, 4, 2) + offset,
        due=RIGHT if offset < 1e5 else PERHAPS_RIGHT,
        wrong={"mean forgotten": lambda d, x: (d - (z := (x - x.mean(0)) / x.std(0)) * (
            d * z).mean(0)) / x.std(0)})
    add(f"softmax of logits at {name}",
        lambda z: ((e := np.exp(z - z.max(1, keepdims=True))) / e.sum(1, keepdims=True), z),
        lambda d, z: (p := (e := np.exp(z - z.max(1, keepdims=True))) / e.sum(1, keepdims=True))
        * (d - (d * p).sum(1, keepdims=True)), normal(242, 3, 3) + offset,
        wrong={"sum forgotten": lambda d, z: d * (
            e := np.exp(z - z.max(1, keepdims=True))) / e.sum(1, keepdims=True)})
    add(f"difference of neighbours at {name}", lambda x: (np.tanh(np.diff(x)), x),
        lambda d, x: np.r_[0, g := d / np.cosh(np.diff(x)) ** 2] - np.r_[g, 0],
        normal(243, 5) + offset, wrong={"sign": sign()})
add("years as features", lambda x, w: (np.tanh((x - 2000) @ w), (x - 2000, w)),
    lambda d, c: (np.outer(g := d / np.cosh(c[0] @ c[1]) ** 2, c[1]), c[0].T @ g),
    2000 + normal(244, 4, 2), normal(245, 2),
    wrong={"offset forgotten": lambda d, c: (
        np.outer(g := d / np.cosh(c[0] @ c[1]) ** 2, c[1]), (c[0] + 2000).T @ g)})
add("sine of large angles", lambda x: (np.sin(1e6 * x), x), lambda d, x: 1e6 * d * np.cos(1e6 * x),
    normal(246, 4), wrong={"inner factor forgotten": lambda d, x: d * np.cos(1e6 * x)})
