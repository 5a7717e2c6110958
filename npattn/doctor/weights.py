"""Weights: those that an object holds, set to numbers of our own, and read as the reference's.

Names say most of what a weight is (roles.py); where they say nothing, its shape does, and its place
among the others.
"""

import itertools
import re
from collections import Counter

import numpy as np

from npattn.doctor import roles
from npattn.strangers import Trouble


GRADIENTS = re.compile(r"(^|\.)(d?grads?|gradients?|dparams|velocity|momentum)(\.|$)|_grad$|"
                       r"(^|\.)(d|grad|g)_?[WwBb](_?[A-Za-z]+)?\d?$")


def weight_shape(key, sizes):
    """The shape of a weight by its name."""
    D, d = sizes.width, sizes.width // sizes.heads
    shared = d * sizes.groups
    return {"Wq": (D, D), "Wk": (D, shared), "Wv": (D, shared), "Wo": (D, D), "bq": (D,),
            "bk": (shared,), "bv": (shared,), "bo": (D,), "Wqkv": (D, D + 2 * shared),
            "bqkv": (D + 2 * shared,), "Wkv": (D, 2 * shared), "bkv": (2 * shared,),
            "W1": (D, sizes.hidden), "W3": (D, sizes.hidden), "b3": (sizes.hidden,),
            "b1": (sizes.hidden,), "W2": (sizes.hidden, D), "b2": (D,),
            "g1": (D,), "g2": (D,), "h1": (D,), "h2": (D,)}[key]


def draw(rng, key, shape, scale=1.0):
    """A weight of about the size that training gives; no bias is 0 and no gain is 1."""
    X = rng.standard_normal(shape)
    if key.startswith("g"):
        return np.round(1.0 + 0.3 * X, 2)
    if key.startswith(("b", "h")) or len(shape) < 2:
        return np.round(0.4 * X, 2)
    return np.round(1.2 * X / np.sqrt(shape[-1 if len(shape) == 2 else -2]), 3) * scale


def held_weights(patient, held, seed, plain, sizes):
    """({role: [(path, array, facts)]}, weights without a role, whether queries are scaled).

    plain  "": all numbers are drawn; "biases": matrices stay as they were built; "all": all stay
    """
    rng, values = np.random.default_rng([seed, 7]), []
    units, first = [], {}
    for path, kind, X, facts in held:
        name = path if isinstance(path, str) else ".".join(map(str, path))
        key = roles.weight_role(name, X.ndim)
        if kind != "parameter" and (not _drawn(X) or GRADIENTS.search(name)):
            continue
        if key is None and X.ndim == 1 and kind != "parameter" and not X.any():
            continue
        units.append((name, key, X, facts, path))
    given = resolved(units, sizes)
    found, loose = {}, []
    for (name, _, X, facts, path), key in zip(units, given, strict=True):
        first.setdefault(key, X)
        Y = X
        if plain != "all" and not (plain == "biases" and X.ndim > 1):
            Y = draw(rng, key or ("g" if X.ndim == 1 and (X == 1).all() else "W"), X.shape)
            values.append((path, Y))
        if Y.ndim == 3 and Y.shape[-1] == 1 and facts.get("conv"):
            Y = Y[..., 0]  # a convolution over one token
        if key:
            found.setdefault(key, []).append((name, Y, facts))
        else:
            loose.append((name, Y, facts))
    scaled = False
    if "Wq" in first and "Wk" in first and first["Wk"].std() > 0:
        d = sizes.width / sizes.heads
        ratio = first["Wq"].std() / first["Wk"].std()
        scaled = d > 1 and 0.5 < ratio * np.sqrt(d) < 1.8  # as in T5: the scale is in the weights
    if values:
        done, = patient.ask(("set", "it", values))
        if "error" in done:
            raise Trouble(f"the weights cannot be set: {done['error']}")
    return found, tuple(loose), scaled


def resolved(units, sizes):
    """The role of each weight: by its name, or by its shape and its place among the others."""
    keys = [key for _, key, *_ in units]
    shapes = [X.shape[:2] if facts.get("conv") else X.shape for _, _, X, facts, _ in units]
    _norms(units, keys)
    _heads_of_a_list(units, keys)
    matrices = [i for i, s in enumerate(shapes) if len(s) == 2 and (
        keys[i] is None or keys[i] in ("Wo", "W1", "W2"))]
    lengths = Counter(n for s in shapes if len(s) == 2 for n in s)
    D = lengths.most_common(1)[0][0] if lengths else 0
    have = {k for i, k in enumerate(keys) if k and i not in matrices}
    outer = [i for i in matrices if keys[i] == "Wo"]
    unclear = [i for i in matrices if keys[i] is None]
    if not unclear and len(outer) < 2:
        return keys
    linear = {i: units[i][3].get("linear") or units[i][3].get("conv") for i in matrices}
    square = []
    for i in unclear + outer[1:] if len(outer) > 1 and not _lists(units, outer) else unclear:
        if keys[i] == "Wo" and shapes[i] == shapes[outer[0]]:
            continue
        rows, columns = shapes[i]
        wide, tall = (rows, columns) if linear[i] else (columns, rows)  # outputs, inputs
        if tall == D and wide == 3 * D and not {"Wqkv", "Wq"} & have:
            keys[i] = "Wqkv"
        elif wide == tall == D:
            square.append(i)
            continue
        elif tall == D and wide == 2 * D and "Wq" in have and not {"Wkv", "Wk"} & have:
            keys[i] = "Wkv"
        elif tall == D and wide > D:
            keys[i] = "W1"
        elif wide == D and tall > D:
            keys[i] = "W2"
        have.add(keys[i])
    order = [] if {"Wqkv"} & have else [x for x in ("Wq", "Wk", "Wv") if x not in have]
    if {"Wkv"} & have:
        order = [x for x in order if x == "Wq"]
    order += [] if outer else ["Wo"]
    if len(square) <= len(order):
        for i, key in zip(square, order, strict=False):
            keys[i] = key
    _biases(units, keys, matrices)
    return keys


def _norms(units, keys):
    """Norms are numbered as they come, where their names do not number them."""
    own = ("gq", "gk", "gc", "hq", "hk", "hc")
    gains = [i for i, (_, key, _, facts, _) in enumerate(units) if key not in own and (
        facts.get("gain") or key in ("g1", "g2") and not facts.get("shift"))]
    shifts = [i for i, (_, key, _, facts, _) in enumerate(units) if key not in own and (
        facts.get("shift") or key in ("h1", "h2") and not facts.get("gain"))]
    for among, letter in ((gains, "g"), (shifts, "h")):
        if len(among) == 2 and {keys[i] for i in among} != {f"{letter}1", f"{letter}2"}:
            for number, i in enumerate(among, 1):
                keys[i] = f"{letter}{number}"


def _heads_of_a_list(units, keys):
    """Weights such as heads.2.0: in each head queries, keys and values."""
    places = [units[i][0].split(".") for i in range(len(units))]
    groups = {}
    for i, place in enumerate(places):
        if keys[i] is None and len(place) > 2 and place[-1].isdigit() and place[-2].isdigit():
            groups.setdefault(tuple(place[:-1]), []).append(i)
    if groups and all(len(g) == 3 for g in groups.values()):
        for group in groups.values():
            for i, key in zip(group, ("Wq", "Wk", "Wv"), strict=True):
                keys[i] = key if units[i][2].ndim == 2 else key.lower().replace("w", "b")


def stem(name):
    """What the names of a weight and of its bias share: w_out and b_out, in.weight and in.bias."""
    return re.sub(r"(?<![a-z])(weight|bias|kernel|w|b)(?![a-z])", "", name.lower())


def _lists(units, among):
    """Whether weights are the members of one list."""
    return len({"".join(c for c in units[i][0] if not c.isdigit()) for i in among}) == 1


def _biases(units, keys, matrices):
    """A bias is that of the weight that stands beside it."""
    beside = Counter(units[i][0].rpartition(".")[0] for i in matrices)
    alike = {stem(units[i][0]): keys[i] for i in matrices if keys[i]}
    owners = {place: keys[i] for i in matrices
              if beside[place := units[i][0].rpartition(".")[0]] == 1 and place and keys[i]}
    for i, (name, key, X, _, _) in enumerate(units):
        owner = owners.get(name.rpartition(".")[0]) or alike.get(stem(name))
        if X.ndim == 1 and owner and (key is None or key.startswith("b")):
            keys[i] = "b" + owner[1:]


def _drawn(X):
    """Whether an array looks like a weight and not like a table or a mask."""
    if X.ndim == 1:
        return not X.any() or (X == 1).all() or len(np.unique(X)) == X.size
    if X.ndim > 3:
        return False
    if len(np.unique(X)) < 0.9 * X.size:
        return False
    first = X.reshape(-1, X.shape[-1])[0]
    return not ((first == 0) | (first == 1)).all()


# ---- from what an object holds to the weights of the reference ----


def readings(target):
    """Weights of the reference, in each way in which those of the target may be meant.

    Yields (W, notes).
    """
    held = target.weights
    if target.loose and "Wq" not in held and "Wqkv" not in held:
        square = [w for w in target.loose if w[1].ndim == 2]
        names = ("Wq", "Wk", "Wv", "Wo")[: len(square)]
        if len(square) in (3, 4):
            held = held | {n: [w] for n, w in zip(names, square, strict=True)}
        elif len(square) == 2:
            held = held | {"Wqkv": [square[0]], "Wo": [square[1]]}
        elif len(square) == 1:
            held = held | {"Wqkv": [square[0]]}
    turned = [False, True]
    if all(f.get("linear") for k, ws in held.items() if k.startswith("W") for _, _, f in ws):
        turned = [False]
    for turn in turned:
        W = {}
        for key, ws in held.items():
            W[key] = _joined(key, ws, turn, target.sizes)
        if any(X is None for X in W.values()):
            continue
        yield from _split_fused(W, target, turn)


def _joined(key, ws, turn, sizes):
    """One array, whatever the heads are kept in."""
    made = []
    for _, X, facts in ws:
        if key.startswith("W") and X.ndim == 2 and (facts.get("linear") or turn):
            X = X.T
        if key.startswith("W") and X.ndim == 3:
            if key == "Wo":
                if X.shape[-1] != sizes.width == X.shape[1]:  # (heads, tokens' width, head's width)
                    X = X.swapaxes(1, 2)
                X = X.reshape(-1, X.shape[-1])
            else:
                X = X.swapaxes(0, 1).reshape(X.shape[1], -1) if len(X) == sizes.heads or len(
                    X) == sizes.groups else X.reshape(len(X), -1)
        elif key.startswith("b") and X.ndim > 1:
            X = X.reshape(-1)
        made.append(X)
    if len(made) == 1:
        return made[0]
    if key == "Wo" or not key.startswith(("W", "b")):
        return np.concatenate(made, 0) if key == "Wo" else made[0]
    return np.concatenate(made, -1)


def _split_fused(W, target, turn):
    sizes = target.sizes
    notes = ("weights are used transposed (X Wᵀ)",) if turn else ()
    kinds = [("Wqkv", "bqkv", "qkv"), ("Wkv", "bkv", "kv")]
    for big, small, letters in kinds:
        if big not in W:
            continue
        X, b = W[big], W.get(small)
        rest = {k: v for k, v in W.items() if k not in (big, small)}
        n = len(letters)
        d = sizes.width // sizes.heads
        total = X.shape[-1]
        for order in itertools.permutations(letters):
            said = () if "".join(order) == letters else (f"fused weights in the order {order}",)
            widths = [d * (sizes.heads if x == "q" else sizes.groups) for x in order]
            if sum(widths) == total:
                cuts = np.cumsum(widths)[:-1]
                parts = dict(zip(order, np.split(X, cuts, -1), strict=True))
                biases = {} if b is None else dict(
                    zip(order, np.split(b, cuts, -1), strict=True))
                yield _named(rest, parts, biases), notes + said
            if total % n == 0 and sizes.heads > 1 and total % (n * sizes.heads) == 0:
                Y = X.reshape(len(X), sizes.heads, n, -1)
                c = None if b is None else b.reshape(sizes.heads, n, -1)
                parts = {x: Y[:, :, i].reshape(len(X), -1) for i, x in enumerate(order)}
                biases = {} if c is None else {x: c[:, i].reshape(-1) for i, x in enumerate(order)}
                yield (_named(rest, parts, biases),
                       notes + said + ("fused weights are stored head by head",))
                Y = X.reshape(len(X), -1, n)
                c = None if b is None else b.reshape(-1, n)
                parts = {x: Y[:, :, i] for i, x in enumerate(order)}
                biases = {} if c is None else {x: c[:, i] for i, x in enumerate(order)}
                yield (_named(rest, parts, biases),
                       notes + said + ("fused weights alternate column by column",))
        return
    yield W, notes


def _named(rest, parts, biases):
    return rest | {f"W{x}": X for x, X in parts.items()} | {f"b{x}": X for x, X in biases.items()}


def complete(W):
    """With zeros for biases that are not there; None if a weight is missing."""
    if "Wq" not in W or "Wk" not in W or "Wv" not in W:
        return None
    gains = {f"g{x}": 1.0 for x in "qk"}
    return {**gains, **{f"b{x}": 0.0 for x in "qkvo123"}, **{f"h{x}": 0.0 for x in "12qk"}, **W}
