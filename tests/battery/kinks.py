"""Kinks at distances from 1e-2 to 1e-12, ties, branches, masks, scans."""

import math

import numpy as np

from battery.entry import (
    PERHAPS_RIGHT, PERHAPS_WRONG, RIGHT, WRONG, Shelf, entry_off, factor, normal, positive, sign,
    small_entry, zero,
)

kinks = Shelf("kinks and ties")
branches = Shelf("branches and masks")
scans = Shelf("scans")

add = kinks.add
for distance in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12):
    near = distance * np.array([1.0, -1.0, 2.0])
    X = np.r_[near, normal(300, 3)]
    due = RIGHT if distance > 1e-7 else PERHAPS_RIGHT
    wrong_due = WRONG if distance > 1e-7 else PERHAPS_WRONG
    name = f"{distance:.0e}"
    add(f"relu at {name}", lambda x: (np.maximum(x, 0), x), lambda d, x: d * (x > 0), X,
        wrong={"leak": lambda d, x: d * np.where(x > 0, 1, 0.01),
               "only near the kink": lambda d, x: d * ((x > 0) ^ (np.abs(x) < 1e-1))})
    add(f"abs at {name}", lambda x: (abs(x) + 0.5 * x * x, x), lambda d, x: d * (np.sign(x) + x), X,
        wrong={"sign turned": lambda d, x: d * (x - np.sign(x))}, due=due)
    add(f"hinge at {name}", lambda s: (np.maximum(0, 1 - s).sum(), s),
        lambda d, s: -d * (s < 1).astype(float), 1 + X,
        wrong={"all rows counted": lambda d, s: -d * np.ones_like(s)}, due=due, wrong_due=wrong_due)
    add(f"largest of two at {name}", lambda a, b: (np.maximum(a, b), a > b),
        lambda d, w: (d * w, d * ~w), normal(301, 6) * 0 + 0.7 + X, np.full(6, 0.7),
        wrong={"other one": lambda d, w: (d * ~w, d * w)}, due=due)


def huber(x, delta=1.0):
    small = np.abs(x) <= delta
    return np.where(small, 0.5 * x**2, delta * (np.abs(x) - 0.5 * delta)), x


add("Huber", huber, lambda d, x: d * np.clip(x, -1, 1), np.array([0.3, -0.99, 1.01, -3.0, 2.0]),
    wrong={"not clipped": lambda d, x: d * x})
add("Huber at its joint", huber, lambda d, x: d * np.clip(x, -1, 1), np.array([1.0, -1.0, 0.2]),
    due=PERHAPS_RIGHT, wrong={"not clipped, half": lambda d, x: d * x * 0.5})
add("clip", lambda x: (np.clip(x, -1, 1), x), lambda d, x: d * (np.abs(x) < 1), 2 * normal(302, 8),
    wrong={"passes everything": lambda d, x: d})
add("leaky relu", lambda x: (np.where(x > 0, x, 0.1 * x), x),
    lambda d, x: d * np.where(x > 0, 1, 0.1), normal(303, 3, 4),
    wrong={"slope forgotten": lambda d, x: d * np.where(x > 0, 1, 0)})
add("ELU", lambda x: (np.where(x > 0, x, np.expm1(np.minimum(x, 0))), x),
    lambda d, x: d * np.where(x > 0, 1, np.exp(np.minimum(x, 0))), normal(304, 6),
    wrong={"expm1 for exp": lambda d, x: d * np.where(x > 0, 1, np.expm1(np.minimum(x, 0)))})


def maxpool(x):
    windows = x.reshape(x.shape[0] // 2, 2, -1, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    return windows.max(1), (x.shape, windows.argmax(1))


def maxpool_back(d, c, by=0):
    (rows, cols), where = c
    g = np.zeros((len(d), 4))
    g[np.arange(len(d)), (where + by) % 4] = d
    return g.reshape(rows // 2, cols // 2, 2, 2).transpose(0, 2, 1, 3).reshape(rows, cols)


add("max pooling", maxpool, maxpool_back, normal(305, 4, 6),
    wrong={"neighbour of the largest": lambda d, c: maxpool_back(d, c, 1)})
add("max along rows", lambda x: (x.max(1), x),
    lambda d, x: d[:, None] * (x == x.max(1, keepdims=True)), normal(306, 3, 5),
    wrong={"shared by all": lambda d, x: d[:, None] * np.ones_like(x) / x.shape[1]})
TIED = np.array([[1.0, 3.0, 3.0], [0.5, 0.2, 0.1]])
add("max with a tie, first taken", lambda x: (x.max(1), x),
    lambda d, x: d[:, None] * np.eye(3)[x.argmax(1)], TIED, due={"undecided", "right"},
    wrong={"all zero": zero()})
add("max with a tie, shared", lambda x: (x.max(1), x),
    lambda d, x: d[:, None] * (m := x == x.max(1, keepdims=True)) / m.sum(1, keepdims=True), TIED,
    due={"undecided", "right"}, wrong={"doubled": factor(2.0)})
add("median", lambda x: (np.median(x), x),
    lambda d, x: d * np.eye(len(x))[np.argsort(x)[len(x) // 2]], normal(307, 5),
    wrong={"mean": lambda d, x: d * np.ones_like(x) / len(x)})
add("sorted", lambda x: (np.sort(x), np.argsort(x)), lambda d, i: d[np.argsort(i)], normal(308, 6),
    wrong={"order for its inverse": lambda d, i: d[i]})
add("third largest", lambda x: (np.partition(x, -3)[-3], x),
    lambda d, x: d * (x == np.sort(x)[-3]), normal(309, 7),
    wrong={"second largest": lambda d, x: d * (x == np.sort(x)[-2])})
add("L1 beside squares", lambda w: ((w**2).sum() + np.abs(w).sum(), w),
    lambda d, w: d * (2 * w + np.sign(w)), np.array([0.7, -1.9, 2.4, -0.3]),
    wrong={"penalty forgotten": lambda d, w: 2 * d * w,
           "penalty only": lambda d, w: d * np.sign(w)})
add("spread of a row", lambda x: (np.ptp(x), x), lambda d, x: d * (
    np.eye(len(x))[x.argmax()] - np.eye(len(x))[x.argmin()]), normal(310, 6),
    wrong={"smallest forgotten": lambda d, x: d * np.eye(len(x))[x.argmax()]})
add("total variation", lambda x: (np.abs(np.diff(x)).sum(), x),
    lambda d, x: d * (np.r_[0, s := np.sign(np.diff(x))] - np.r_[s, 0]), normal(311, 7),
    wrong={"one side": lambda d, x: d * np.r_[0, np.sign(np.diff(x))]})
add("fractional part", lambda x: (x % 1.0 * x, x), lambda d, x: d * (x % 1.0 + x),
    np.array([0.3, 1.6, -0.4, 2.2]), wrong={"wrapped part held fixed": lambda d, x: d * (x % 1.0)})
add("distance at zero", lambda x: (np.sqrt((x * x).sum(1)), x),
    lambda d, x: d[:, None] * x / np.maximum(np.sqrt((x * x).sum(1, keepdims=True)), 1e-30),
    np.array([[3.0, 4.0], [0.0, 0.0]]), due=PERHAPS_RIGHT,
    wrong={"sign": sign()})
add("root at zero is steep", lambda x: (np.sqrt(x), x), lambda d, x: d * 0.5 / np.sqrt(x),
    np.array([1e-4, 1e-8, 1.0]), wrong={"half forgotten": factor(2.0)})
add("log near zero with abs", lambda x: (np.log(x) + np.abs(x - 2), x),
    lambda d, x: d * (1 / x + np.sign(x - 2)), np.array([4e-3, 1e-5, 3.0]),
    wrong={"all negated": sign(), "small entry doubled": small_entry()})
add("math.log entry by entry", lambda x: (np.array([math.log(v) for v in x]), x),
    lambda d, x: d / x, np.array([1e-3, 0.2, 5.0]), wrong={"x for 1 / x": lambda d, x: d * x})
add("math.asin near its end", lambda x: (np.array([math.asin(v) for v in x]), x),
    lambda d, x: d / np.sqrt(1 - x * x), np.array([0.999, -0.9999, 0.1]),
    wrong={"square forgotten": lambda d, x: d / np.sqrt(1 - np.abs(x))})

add = branches.add


def piecewise(x):
    out = np.empty_like(x)
    for i, v in enumerate(x):
        if v < -1:
            out[i] = -v
        elif v < 1:
            out[i] = v * v
        else:
            out[i] = 2 * v - 1
    return out, x


def piecewise_back(d, x, last=2.0):
    g = np.zeros_like(d)
    for i, v in enumerate(x):
        g[i] = d[i] * (-1 if v < -1 else 2 * v if v < 1 else last)
    return g


add("three pieces", piecewise, piecewise_back, np.array([-2.0, -0.3, 0.6, 1.7]),
    wrong={"third piece": lambda d, x: piecewise_back(d, x, 1.0)})
MASK = np.array([[True, False, True], [False, False, True]])
add("masked scores", lambda s: (np.where(MASK, np.exp(s), 0), s),
    lambda d, s: np.where(MASK, d * np.exp(s), 0), normal(320, 2, 3),
    wrong={"mask forgotten": lambda d, s: d * np.exp(s),
           "doubled under the mask": lambda d, s: np.where(MASK, d * np.exp(s), 1e-3 * d)})
add("indicator of a sum", lambda x: (x * (x.sum() > 0), x), lambda d, x: d * (x.sum() > 0),
    positive(321, 4), wrong={"wrong branch": lambda d, x: d * (x.sum() < 0)})
add("gate by the first entry", lambda x: (x**2 if x[0] > 0 else x**3, x),
    lambda d, x: d * (2 * x if x[0] > 0 else 3 * x**2), np.array([0.4, -1.2, 0.8]),
    wrong={"other branch": lambda d, x: d * 3 * x**2})
add("written in place", lambda x: (_in_place(x), x), lambda d, x: d * np.where(x > 0.5, 2 * x, 1),
    np.array([0.2, 0.9, -0.7, 1.4]), wrong={"branch forgotten": lambda d, x: d * 2 * x})


def _in_place(x):
    y = x.copy()
    y[x > 0.5] **= 2
    return y


def newton_root(a):
    x = a.copy()
    for _ in range(40):
        x = 0.5 * (x + a / x)
    return x, x


add("root by iteration", newton_root, lambda d, x: d / (2 * x), positive(322, 4),
    wrong={"one step only": lambda d, x: d * 0.5 * (1 + 1 / x)})
add("until it converges", lambda a: ((x := _fixed_point(a)), (a, x)),
    lambda d, c: d * np.cos(c[1]) / (1 + c[0] * np.sin(c[1])), np.array([0.3, 0.6, 0.1]),
    wrong={"fixed point's slope forgotten": lambda d, c: d * np.cos(c[1])})


def _fixed_point(a):
    x = np.zeros_like(a)
    while True:
        new = a * np.cos(x)
        if np.max(np.abs(new - x)) < 1e-15:
            return new
        x = new


add("interpolated table", lambda x: (np.interp(x, [0, 1, 2, 4], [0, 3, 1, 5]), x),
    lambda d, x: d * np.select([x < 1, x < 2], [3.0, -2.0], 2.0), np.array([0.3, 1.5, 3.2, 0.8]),
    wrong={"last slope": lambda d, x: d * np.select([x < 1, x < 2], [3.0, -2.0], 4.0)})
TABLE = np.array([0.1, 0.7, 1.5, 0.2, 0.9, 2.0])


def look_up(x):
    i = x.real.astype(int)
    t = x - i
    return TABLE[i] * (1 - t) + TABLE[i + 1] * t, i


add("table with an edge", look_up, lambda d, i: d * (TABLE[i + 1] - TABLE[i]),
    np.array([0.2, 4.9, 3.5]), wrong={"other sign": lambda d, i: d * (TABLE[i] - TABLE[i + 1])})
add("integer index beside floats", lambda x, i: (x[i] ** 2, (x, i)),
    lambda d, c: np.bincount(c[1], d * 2 * c[0][c[1]], len(c[0])), normal(323, 5),
    np.array([0, 3, 3]), wrong={"repeats counted once": lambda d, c: (
        g := np.zeros(5), g.__setitem__(c[1], d * 2 * c[0][c[1]]))[0]})
add("real part taken", lambda x: (np.real(x) ** 2 + x, x), lambda d, x: d * (2 * x + 1),
    normal(324, 4), wrong={"square forgotten": lambda d, x: d, "sign": sign()})
add("one real part among many", lambda x: (np.r_[np.sin(x), np.real(x[:1]) ** 2], x),
    lambda d, x: d[:-1] * np.cos(x) + 2 * d[-1] * np.r_[x[0], 0 * x[1:]], normal(325, 12),
    wrong={"square forgotten": lambda d, x: d[:-1] * np.cos(x)})
add("nothing depends on the second", lambda a, b: (a * 2, b), lambda d, b: (2 * d, np.zeros(3)),
    normal(326, 3), normal(327, 3), wrong={"tiny instead of zero":
                                           lambda d, b: (2 * d, np.full(3, 1e-9))})
add("sign with a smooth part", lambda x: (np.sign(x) * x**2, x), lambda d, x: 2 * d * np.abs(x),
    normal(328, 5), wrong={"sign forgotten": lambda d, x: 2 * d * x})
add("argmax row taken", lambda S: (S[np.argmax(S.sum(1))] ** 2, S),
    lambda d, S: np.eye(len(S))[np.argmax(S.sum(1))][:, None] * 2 * d * S, normal(329, 4, 3),
    wrong={"smallest row instead": lambda d, S: (
        np.eye(len(S))[np.argmin(S.sum(1))][:, None] * 2 * d * S)})

add = scans.add


def rnn(x, Wx, Wh):
    h = np.zeros((len(x) + 1, Wh.shape[0]), x.dtype)
    for t in range(len(x)):
        h[t + 1] = np.tanh(x[t] @ Wx + h[t] @ Wh)
    return h[1:], (x, Wx, Wh, h)


def rnn_back(d, cache, carried=True):
    x, Wx, Wh, h = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    dh = np.zeros(Wh.shape[0])
    for t in reversed(range(len(x))):
        da = (d[t] + dh) * (1 - h[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += np.outer(x[t], da)
        dWh += np.outer(h[t], da)
        dh = da @ Wh.T if carried else 0 * dh
    return dx, dWx, dWh


add("recurrent network", rnn, rnn_back, normal(340, 4, 2), normal(341, 2, 3), normal(342, 3, 3),
    wrong={"nothing carried back": lambda d, c: rnn_back(d, c, carried=False)})


def rnn_stale(d, c):
    x, Wx, Wh, h = c
    return (*rnn_back(d, c)[:2], rnn_back(d, (x, Wx, Wh, np.roll(h, -1, 0)))[2])


add("recurrent network, hidden weights", rnn, rnn_back, normal(343, 3, 2), normal(344, 2, 2),
    normal(345, 2, 2), wrong={"state of the next step": rnn_stale})


def leaky(x, a=0.9):
    y, s = [], 0 * x[0]
    for v in x:
        s = a * s + (1 - a) * v
        y.append(s)
    return np.array(y), a


def leaky_back(d, a):
    g, s = np.zeros_like(d), 0 * d[0]
    for t in range(len(d) - 1, -1, -1):
        s = a * s + d[t]
        g[t] = (1 - a) * s
    return g


add("moving average", leaky, leaky_back, normal(346, 6),
    wrong={"forward in time": lambda d, a: leaky_back(d[::-1], a)[::-1]})


def horner(c, x):
    y = 0 * x
    for a in c[::-1]:
        y = y * x + a
    return y, (c, x)


def horner_back(d, cache, low=1):
    c, x = cache
    powers = x[None] ** np.arange(len(c))[:, None]
    slope = sum(k * c[k] * x ** (k - 1) for k in range(low, len(c)))
    return (powers * d).sum(1), d * slope


add("polynomial by Horner", horner, horner_back, normal(347, 4), normal(348, 5),
    wrong={"first power forgotten": lambda d, c: horner_back(d, c, 2),
           "powers off by one": lambda d, c: (
               np.roll(horner_back(d, c)[0], 1), horner_back(d, c)[1])})


def verlet_pair(q, p):
    path, dt = [], 0.1
    for _ in range(5):
        path.append(q)
        p = p - dt * np.sin(q)
        q = q + dt * p
    return np.stack([q, p]), path


def verlet_back(d, path, turn=-1.0):
    dq, dp = d
    for q in reversed(path):
        dp = dp + 0.1 * dq
        dq = dq + turn * 0.1 * dp * np.cos(q)
    return dq, dp


add("pendulum", verlet_pair, verlet_back, normal(349, 3), normal(350, 3),
    wrong={"force the other way": lambda d, c: verlet_back(d, c, 1.0)})


def dynamic(x):
    """A soft alignment of two rows, as in soft DTW."""
    n, m = x.shape
    R = np.zeros((n + 1, m + 1), x.dtype)
    R[0, 1:] = R[1:, 0] = 1e3
    for i in range(n):
        for j in range(m):
            z = np.array([R[i, j], R[i, j + 1], R[i + 1, j]])
            low = z.real.min()
            R[i + 1, j + 1] = x[i, j] + low - np.log(np.exp(low - z).sum())
    return R[n, m], (x, R)


def dynamic_back(d, cache, diagonal=1.0):
    x, R = cache
    n, m = x.shape
    E = np.zeros((n + 2, m + 2))
    E[n, m] = 1
    for i in range(n, 0, -1):
        for j in range(m, 0, -1):
            if (i, j) == (n, m):
                continue
            for a, b, w in ((i + 1, j + 1, diagonal), (i + 1, j, 1), (i, j + 1, 1)):
                if a <= n and b <= m:
                    E[i, j] += w * E[a, b] * np.exp(R[a, b] - x[a - 1, b - 1] - R[i, j])
    return d * E[1:n + 1, 1:m + 1]


add("soft alignment", dynamic, dynamic_back, positive(351, 3, 4),
    wrong={"diagonal steps forgotten": lambda d, c: dynamic_back(d, c, 0.0),
           "one entry off by 1e-3": entry_off(1e-3)})
add("product along a row", lambda x: (np.cumprod(x), x),
    lambda d, x: (np.cumsum((d * np.cumprod(x))[::-1])[::-1]) / x, positive(352, 5),
    wrong={"not cumulated": lambda d, x: d * np.cumprod(x) / x})
add("running maximum", lambda x: (np.maximum.accumulate(x), x),
    lambda d, x: np.bincount(_record(x), d, len(x)), normal(353, 8),
    wrong={"last place for the record's": lambda d, x: np.bincount(np.arange(len(x)), d, len(x))})


def _record(x):
    places, best = [], 0
    for i, v in enumerate(x):
        best = i if v > x[best] else best
        places.append(best)
    return np.array(places)


def viterbi_like(s, t):
    alpha, past = s[0], [s[0]]
    for row in s[1:]:
        m = alpha[:, None] + t
        top = m.real.max(0)
        alpha = row + top + np.log(np.exp(m - top).sum(0))
        past.append(alpha)
    top = alpha.real.max()
    return top + np.log(np.exp(alpha - top).sum()), (s, t, past)


def viterbi_back(d, c, first=True):
    s, t, past = c
    ds, dt = np.zeros_like(s), np.zeros_like(t)
    g = d * np.exp(past[-1] - past[-1].max())
    g = g / np.exp(past[-1] - past[-1].max()).sum()
    for i in range(len(s) - 1, 0, -1):
        ds[i] = g
        m = past[i - 1][:, None] + t
        w = np.exp(m - m.max(0))
        w = w / w.sum(0) * g
        dt += w if first or i > 1 else 0
        g = w.sum(1)
    ds[0] = g
    return ds, dt


add("chain of states", viterbi_like, viterbi_back, normal(354, 4, 3), normal(355, 3, 3),
    wrong={"first transition forgotten": lambda d, c: viterbi_back(d, c, first=False)})
