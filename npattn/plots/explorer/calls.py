"""The arguments of a call, checked, as what the page shows."""

import math

import numpy as np

from npattn.kernels.shapes import require_mask
from npattn.plots import checks
from npattn.plots.explorer.page import Explorer

LONGEST = 16  # positions of an axis; more numbers than this nobody reads side by side
LARGEST = 1e6  # of a number, so that no product or sum overflows and each fits its cell


def explore(
    Q, K, V, mask=None, *, dO=None, scale=None, queries=None, keys=None, title=None, lang="en",
):
    """One attention call and its gradient, to point at, to change and to break.

    Q        (Tq, Dk)  queries, each axis at most 16 long
    K        (Tk, Dk)  keys
    V        (Tk, Dv)  values
    mask     bool, broadcastable to (Tq, Tk); True means "may attend"
    dO       (Tq, Dv)  gradient of the output; None means ones: the loss is then the sum of O
    scale    factor on the scores; None means 1/√Dk
    queries  Tq labels; None numbers them
    keys     Tk labels; None numbers them
    title    text above it all
    lang     "en" or "zh", the language of the page

    Returns an `Explorer`: a notebook shows it, `.save("call.html")` writes it.
    Raises TypeError or ValueError, naming the argument, where dtypes, shapes or counts are wrong,
    or where a call is too large to be read.

    >>> page = explore(np.eye(2), np.eye(2), np.ones((2, 3)), np.tri(2, dtype=bool))
    >>> page.save("call.html")  # doctest: +SKIP
    """
    sizes = {}
    given = {
        "Q": _matrix("Q", Q, ("Tq", "Dk"), sizes),
        "K": _matrix("K", K, ("Tk", "Dk"), sizes),
        "V": _matrix("V", V, ("Tk", "Dv"), sizes),
    }
    given["dO"] = _seed("dO", dO, ("Tq", "Dv"), sizes)
    given["scale"] = _number("scale", 1.0 / math.sqrt(sizes["Dk"][1]) if scale is None else scale)
    return Explorer(
        "attention", given, _mask(mask, sizes), _lengths(sizes),
        {"Tq": _labels("queries", queries, sizes["Tq"]),
         "Tk": _labels("keys", keys, sizes["Tk"])},
        title, lang,
    )


def explore_softmax(
    S, mask=None, *, dP=None, queries=None, keys=None, title=None, lang="en",
):
    """The softmax of each row of S over the keys that `mask` allows, and its gradient.

    S   (Tq, Tk)  scores
    dP  (Tq, Tk)  gradient of the weights; None means ones, for which dS is 0
    Everything else is as in `explore`.
    """
    sizes = {}
    given = {"S": _matrix("S", S, ("Tq", "Tk"), sizes)}
    given["dP"] = _seed("dP", dP, ("Tq", "Tk"), sizes)
    return Explorer(
        "softmax", given, _mask(mask, sizes), _lengths(sizes),
        {"Tq": _labels("queries", queries, sizes["Tq"]),
         "Tk": _labels("keys", keys, sizes["Tk"])},
        title, lang,
    )


def explore_layer_norm(
    X, gain=None, bias=None, *, dY=None, eps=1e-5, tokens=None, title=None, lang="en",
):
    """Layer normalization of each row of X, and its gradient.

    X       (T, D)  one row for each token
    gain    (D,)    None means ones
    bias    (D,)    None means zeros
    dY      (T, D)  gradient of the output; None means ones
    eps     added to the variance; more than 0
    tokens  T labels; None numbers them
    Everything else is as in `explore`.
    """
    sizes = {}
    given = {"X": _matrix("X", X, ("T", "D"), sizes)}
    D = sizes["D"][1]
    for name, value, default in (("gain", gain, np.ones(D)), ("bias", bias, np.zeros(D))):
        vector = checks.numbers(name, default if value is None else value, (1,))
        given[name] = _matrix(name, vector[None], ("", "D"), sizes)
    given["dY"] = _seed("dY", dY, ("T", "D"), sizes)
    given["eps"] = _number("eps", eps)
    if given["eps"][0][0] <= 0.0:
        raise ValueError(f"eps must be more than 0, got {eps!r}: a constant row has variance 0")
    labels = {"T": _labels("tokens", tokens, sizes["T"])}
    return Explorer("layer_norm", given, None, _lengths(sizes), labels, title, lang)


def _matrix(name, array, axes, sizes):
    """The array as lists of floats; its lengths go into `sizes`, or must agree with them."""
    array = checks.numbers(name, array, (2,))
    for axis, length in zip(axes, array.shape, strict=True):
        if not axis:
            continue
        other, known = sizes.setdefault(axis, (name, length))
        if length != known:
            raise ValueError(
                f"{axis} is {known} in {other} but {length} in {name} {array.shape}: "
                f"{name} must be ({', '.join(filter(None, axes))})"
            )
        if length > LONGEST:
            raise ValueError(
                f"{name} must be at most {LONGEST} long on each axis, for every number has its "
                f"own cell on the page; got {axis} = {length}, shape {array.shape}: select a part"
            )
    _require_small(name, array)
    return array.tolist()


def _seed(name, array, axes, sizes):
    if array is None:
        array = np.ones([sizes[axis][1] for axis in axes])
    return _matrix(name, array, axes, sizes)


def _number(name, value):
    array = checks.numbers(name, value, (0,))
    _require_small(name, array)
    return [[float(array)]]


def _require_small(name, array):
    if abs(array).max() > LARGEST:
        raise ValueError(
            f"{name} must hold numbers up to {LARGEST:g} in size, got {abs(array).max():g}"
        )


def _mask(mask, sizes):
    shape = sizes["Tq"][1], sizes["Tk"][1]
    keep = np.ones(shape, bool) if mask is None else require_mask(mask, shape)
    return keep.tolist()


def _labels(name, tokens, size):
    if tokens is None:
        return None
    tokens = [str(token) for token in tokens]
    if len(tokens) != size[1]:
        raise ValueError(
            f"{name} must have one label for each of the {size[1]} rows of {size[0]}, "
            f"got {len(tokens)}"
        )
    return tokens


def _lengths(sizes):
    return {axis: length for axis, (_, length) in sizes.items()}
