"""The questions that are put to attention code: arguments in the reference's layout.

A `Case` holds tokens (B, T, D) or heads (B, H, T, d), a mask and flags. All numbers have one
decimal, so that a case can be worked out again by hand; no two sizes are equal unless a case is
about just that.
"""

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """One call. What is left at its default plays no part."""

    name: str
    words: str
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    keep: np.ndarray = None    # (B, 1 or H, 1 or Tq, Tk), True = may attend
    form: str = ""             # axes of the mask as the user's code takes it
    causal: bool = False
    bias: np.ndarray = None    # (B, 1 or H, 1 or Tq, Tk), added to the scores
    options: dict = {}         # strided, dtype, train, seed, fresh


class Sizes(NamedTuple):
    """Axes of one case. `width` is that of tokens, 0 for heads that come as they are."""

    B: int = 2
    H: int = 3
    Hk: int = 3
    Tq: int = 4
    Tk: int = 5
    d: int = 6    # no square: √d has no exact root in 32 bits either
    dv: int = 8
    width: int = 0
    width_k: int = 0


def drawn(rng, *shape):
    """Normal numbers with one digit, which read well in a counterexample."""
    return np.round(rng.standard_normal(shape), 1)


def plain(name, words, sizes, seed=0, same=False, size=1.0, **options):
    """A case without a mask. `same`: queries, keys and values come from one input."""
    rng = np.random.default_rng([seed, *map(abs, sizes)])
    B, H, Hk, Tq, Tk, d, dv, width, width_k = sizes
    if width:
        q = size * drawn(rng, B, Tq, width)
        if same:
            return Case(name, words, q, q, q, options=options)
        k = size * drawn(rng, B, Tk, width_k or width)
        return Case(name, words, q, k, k, options=options)
    q, k = size * drawn(rng, B, H, Tq, d), size * drawn(rng, B, Hk, Tk, d)
    v = drawn(rng, B, Hk, Tk, dv)
    return Case(name, words, q, k, v, options=options)


FORMS = {  # axes of a mask: how many it has, and what it says of which axes
    "bhqk": "each head, query and key", "b1qk": "each query and key of an item",
    "bqk": "each query and key of an item", "qk": "each query and key",
    "b11k": "the keys of an item", "bk": "the keys of an item", "b1k": "the keys of an item",
    "11qk": "each query and key", "1qk": "each query and key", "hqk": "each head, query and key",
    "k": "the keys", "lens": "valid lengths, one of each item",
    "lens2": "valid lengths, one of each query",
    "lens0": "a valid length",
}
WHOLE = (  # how masks are written: what stands for "may attend", and for the others
    ("keep", "bool"), ("drop", "bool"), ("keep", "int"), ("drop", "int"), ("keep", "float"),
    ("drop", "float"), ("add", "-inf"), ("add", "-1e9"),
)
SAID = {
    ("keep", "bool"): "booleans, True = may attend", ("drop", "bool"): "booleans, True = masked",
    ("keep", "int"): "0 and 1, 1 = may attend", ("drop", "int"): "0 and 1, 1 = masked",
    ("keep", "float"): "0.0 and 1.0, 1 = may attend", ("drop", "float"): "0.0 and 1.0, 1 = masked",
    ("add", "-inf"): "added to the scores, −inf = masked",
    ("add", "-1e9"): "added to the scores, −1e9 = masked",
}


def kept(rng, form, B, H, Tq, Tk, dead=False):
    """A mask (B, 1 or H, 1 or Tq, Tk) of the given form; each query may attend to something.

    dead  one query may attend to nothing
    """
    if form.startswith("lens"):
        items, rows = (1 if form == "lens0" else B), (Tq if form == "lens2" else 1)
        lens = 1 + rng.permutation(max(items * rows, Tk - 1))[: items * rows] % max(Tk - 1, 1)
        lens = lens.reshape(items, 1, rows, 1)
        if dead:
            lens[-1, :, -1] = 0
        return np.arange(Tk) < lens
    axes = {"b": B, "h": H, "q": Tq, "k": Tk, "1": 1}
    shape = [axes[a] if a in form else 1 for a in "bhqk"]
    M = rng.random(shape) < 0.6
    M[..., 0] |= ~M.any(-1)
    flat = M.reshape(-1, Tk)
    for i, row in enumerate(flat):  # something is masked in each row, not always at the same end
        if Tk > 1 and row.all():
            row[i % Tk] = False
    if dead:
        M[-1, ..., -1, :] = False
    return M


def whole(case, form):
    """A mask for a case that lets everything through."""
    B, H = case.q.shape[0], case.q.shape[1] if case.q.ndim == 4 else 1
    return np.ones_like(kept(np.random.default_rng(0), form, B, H, case.q.shape[-2],
                             case.k.shape[-2]))


def written(keep, form, how, bias=None):
    """The mask as an argument: ("array", X) or ("value", X)."""
    if form.startswith("lens"):
        lens = keep.sum(-1)[:, 0]
        if form == "lens0":
            return "value", int(lens[0, 0])
        return "array", lens if form == "lens2" else lens[:, 0]
    if bias is not None:
        keep, how = np.where(keep, bias, -np.inf), ("as it is", "float")
    M = np.ascontiguousarray(keep)
    axes = dict(zip("bhqk", range(4), strict=True))
    last = form[-3:] if len(form) == 3 else form
    index = [0] * 4
    letters = last if len(last) < 4 else ""
    if letters:
        for letter in letters.replace("1", ""):
            index[axes[letter]] = slice(None)
        M = M[tuple(index)]
        if "1" in letters:
            M = np.expand_dims(M, letters.index("1"))
    kind, dtype = how
    if kind == "add":
        return "array", np.where(M, 0.0, float(dtype))
    if kind == "drop":
        M = ~M
    return "array", M.astype({"bool": bool, "int": np.int64, "float": np.float64}[dtype])


AXES = "bhtd"


def outward(X, layout, shared=False):
    """X (B, H, T, d) or (B, T, D) with the axes of the layout; others have length 1."""
    own = "btd" if X.ndim == 3 else "bhtd"
    for letter in own:
        if letter not in layout:
            axis = own.index(letter)
            X = X.take(0, axis)
            own = own.replace(letter, "")
    for letter in layout:
        if letter not in own:
            X, own = X[None], letter + own
    return np.ascontiguousarray(X.transpose([own.index(letter) for letter in layout]))


def received(reply, way, case):
    """The output of a reply in the reference's layout; None if there is none."""
    out = None if reply.error else dict(reply.out).get(way.out)
    return None if out is None else inward(out, way.layout, case.q.ndim)


def inward(Y, layout, ndim):
    """The inverse of `outward`, for an output; None if it has another number of axes."""
    if Y.ndim != len(layout):
        return None
    want = "bhtd" if ndim == 4 else "btd"
    own = layout
    for letter in want:
        if letter not in own:
            Y, own = Y[None], letter + own
    for letter in own:
        if letter not in want:
            Y, own = Y.take(0, own.index(letter)), own.replace(letter, "")
    return Y.transpose([own.index(letter) for letter in want])
