"""What the plots ask of their arguments, and the words they use when these do not fit."""

import numpy as np

from npattn.kernels.options import require_number
from npattn.plots.tokens import readable

LONGEST_LABEL = 24
LARGEST = float(np.finfo(np.float32).max)  # that colours and pages can tell
DIVERGING = (  # matplotlib's names
    "BrBG", "PRGn", "PiYG", "PuOr", "RdBu", "RdGy", "RdYlBu", "RdYlGn", "Spectral", "bwr",
    "coolwarm", "seismic",
)


def numbers(name, array, ndims):
    """The array as floats: real, finite, not empty, with one of the allowed numbers of axes."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if array.ndim not in ndims:
        axes = " or ".join(map(str, ndims))
        raise ValueError(
            f"{name} must have {axes} axes, got shape {array.shape}; "
            f"select with an index such as {name}[0], or add an axis with {name}[None]"
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape} has nothing to draw")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, but {name}{list(where) or ''} is {array[where]}")
    if abs(array).max() > LARGEST:
        raise ValueError(f"{name} must fit 32-bit floats, got {abs(array).max():g}")
    return array


def labels(name, tokens, count, axis):
    """One printable label for each of `count` positions; the positions' numbers for None."""
    if tokens is None:
        return [str(i) for i in range(count)]
    tokens = [printable(token) for token in readable(listed(name, tokens))]
    if len(tokens) != count:
        raise ValueError(
            f"{name} must have one label for each of the {count} {axis} of weights, "
            f"got {len(tokens)}"
        )
    return tokens


def listed(name, given):
    """What was given for several places, as a list."""
    try:
        return list(given)
    except TypeError:
        raise TypeError(f"{name} must be a list of texts, got {given!r}") from None


def printable(label):
    """A token as a label: line breaks and the like escaped, not too long.

    Blanks alone would be no label, and show as ␣; nothing at all shows as "".
    """
    if not label.strip(" "):
        label = "␣" * len(label) or '""'
    label = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in label)
    if len(label) > LONGEST_LABEL:
        label = label[: LONGEST_LABEL - 1] + "…"
    return label


def titles(name, given, count, word):
    """One title for each of `count` rows or columns of panels."""
    given = [str(title) for title in listed(name, given)]
    if len(given) != count:
        raise ValueError(
            f"{name} must have one title for each of the {count} {word} of panels, got {len(given)}"
        )
    return given


def axes(given, shape):
    """The given Axes as an object array (rows, columns)."""
    given = np.asarray(given, dtype=object)
    if given.size != shape[0] * shape[1] or given.ndim > 2:
        raise ValueError(f"axes must be {shape[0]} × {shape[1]} Axes, got shape {given.shape}")
    if not all(hasattr(ax, "set_title") for ax in given.flat):
        raise TypeError("axes must be Axes of matplotlib")
    return given.reshape(shape)


def limits(weights, vmin, vmax, cmap=None):
    """The ends of the colour scale; those that are None come from the weights.

    If both do, a map of two hues has its middle at 0.
    """
    if not (isinstance(cmap, str) or callable(cmap) or cmap is None):
        raise TypeError(f"cmap must be a colour map or its name, got {cmap!r}")
    for name, end in (("vmin", vmin), ("vmax", vmax)):
        if end is not None and abs(require_number(**{name: end})) > LARGEST:
            raise ValueError(f"{name} must fit 32-bit floats, got {end:g}")
    if vmin is vmax is None and str(cmap).removesuffix("_r") in DIVERGING and weights.min() < 0:
        high = float(abs(weights).max())
        return -high, high
    low = float(weights.min()) if vmin is None else vmin
    high = float(weights.max()) if vmax is None else vmax
    if vmax is None and high <= low:
        high = low + 1.0  # all the same
    if not low < high:
        raise ValueError(f"vmin must be less than vmax, got {low:g} and {high:g}")
    return low, high
