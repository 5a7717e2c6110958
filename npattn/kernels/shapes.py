"""Shapes, written as the docstrings write them, and checked.

    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)

An axis has one length wherever its name stands. `...` stands for any leading axes, also none;
they broadcast as NumPy's do, so an axis of length 1 is shared. `=...` stands for just the
leading axes that the others broadcast to, as a gradient has those of its output. An array whose
name ends in `?` may be None, and one whose name ends in `:int` holds integers; all others are
float arrays of one precision. A specification together with shapes that fit is remembered, so
that the next check of the same is one look-up.
"""

from functools import lru_cache
from operator import attrgetter

import numpy as np

from npattn.kernels.arrays import PLAIN, require_bool, require_floats, require_integers

_kind = attrgetter("__class__", "dtype.char", "shape")


def require_shapes(spec, *arrays):
    """Every array must have the axes that `spec` gives it, and a kind of numbers that fits.

    spec    "Q ... Tq Dk, K ... Tk Dk": for each array its name, then its axes
    arrays  in the order of spec

    Raises ValueError that names the axis, shows all shapes and says what to do; TypeError for
    anything but float32 or float64 arrays of one precision (complex ones pass, for the complex
    step), or integers where spec says `:int`.
    """
    try:
        fits = _fit(spec, *map(_kind, arrays))
    except AttributeError:  # None, or no array
        fits = _fit(spec, *(_kind(X) if type(X) in PLAIN else None for X in arrays))
    if not fits:
        _require_kinds(spec, arrays)
        _raise(spec, [X if X is None else X.shape for X in arrays])


def require_mask(mask, shape, what="the scores"):
    """The boolean `mask`, broadcast to `shape`.

    Raises TypeError if mask is no boolean array, ValueError if it does not broadcast.
    """
    if type(mask) not in PLAIN or mask.dtype != bool:
        require_bool(mask)
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"mask {mask.shape} does not broadcast to {what} {tuple(shape)}; "
            "insert axes of length 1 where it should repeat"
        ) from None


@lru_cache(4096)
def _fit(spec, *kinds):
    """Whether arrays (type, dtype, shape) are as `spec` says."""
    floats = set()
    for (name, _), kind in zip(_parts(spec), kinds, strict=True):
        if kind is None and name.endswith("?"):
            continue
        kind, dtype, _ = kind or (None, "", None)
        integers = name.endswith(":int")
        if kind not in PLAIN or dtype not in tuple("bBhHiIlLqQ" if integers else "fFdD"):
            return False
        if not integers:
            floats.add(dtype.lower())
    return len(floats) < 2 and not _misfit(spec, [kind and kind[2] for kind in kinds])


def _parts(spec):
    """[("Q", ["...", "Tq", "Dk"]), ...] of "Q ... Tq Dk, ..."."""
    return [(name, axes) for name, *axes in map(str.split, spec.split(", "))]


def _misfit(spec, shapes):
    """What is wrong, in words; "" if nothing is."""
    lengths, leading, wanted = {}, {}, {}
    for (name, axes), shape in zip(_parts(spec), shapes, strict=True):
        if shape is None:
            continue
        name, any_leading = _bare(name), axes[:1] in (["..."], ["=..."])
        exact = axes[:1] == ["=..."]
        count, axes = len(shape), axes[any_leading:]
        if count < len(axes) or count > len(axes) and not any_leading:
            least = "at least " if any_leading else ""
            came = f"{count} axis" if count == 1 else f"{count} axes"
            return f"{name} has {came}, and needs {least}{len(axes)}"
        split = count - len(axes)
        for axis, n in zip(axes, shape[split:], strict=True):
            other, m = lengths.setdefault(axis, (name, n))
            if n != m:
                return f"{axis} is {m} in {other}, {n} in {name}"
        if any_leading:
            (wanted if exact else leading)[name] = shape[:split]
    try:
        lead = np.broadcast_shapes(*leading.values())
    except ValueError:
        return " and ".join(f"{shape} of {name}" for name, shape in leading.items()) + (
            " are leading axes that do not broadcast")
    for name, came in wanted.items():
        if came != lead:
            return f"{name} has the leading axes {came}, and needs {lead}"
    return ""


def _bare(name):
    return name.removesuffix("?").removesuffix(":int")


def _require_kinds(spec, arrays):
    """Raises TypeError that names the array of another kind, if there is one."""
    pairs = [(name, X) for (name, _), X in zip(_parts(spec), arrays, strict=True)]
    integers = {_bare(name): X for name, X in pairs if name.endswith(":int")}
    require_integers(**integers)
    require_floats(**{
        _bare(name): X for name, X in pairs
        if _bare(name) not in integers and not (X is None and name.endswith("?"))
    })


def _raise(spec, shapes):
    """ValueError with what is wrong, what came, what was wanted, and what to do."""
    names = [_bare(name) for name, _ in _parts(spec)]
    came = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
    wanted = ", ".join(
        f"{name} ({', '.join(axes).lstrip('=')}{',' * (len(axes) == 1)})"
        for name, (_, axes) in zip(names, _parts(spec), strict=True)
    )
    raise ValueError(f"{_misfit(spec, shapes)}: got {came}; wanted {wanted}{_advice(spec, shapes)}")


def _advice(spec, shapes):
    """What to do, where the shapes tell."""
    for i, (name, _) in enumerate(_parts(spec)):
        turned = list(shapes)
        if shapes[i] and len(shapes[i]) >= 2:
            turned[i] = (*shapes[i][:-2], *shapes[i][:-3:-1])
            if not _misfit(spec, turned):
                return f"; {_bare(name)}.swapaxes(-1, -2) would fit"
    if "leading axes" not in _misfit(spec, shapes):
        return ""
    (H, first), *others = [
        (shape[-3], _bare(name)) for (name, axes), shape in zip(_parts(spec), shapes, strict=True)
        if axes[0] == "..." and len(axes) == 3 and len(shape) > 2
    ] or [(0, "")]
    G, name = next(((n, name) for n, name in others if n != H), (0, ""))
    grouped = (
        f"; where {G} heads of {name} serve {H} of {first}, write them (..., {G}, {H // G}, T, D) "
        f"in {first} and (..., {G}, 1, T, D) in {name}" if 1 < G < H and H % G == 0 else ""
    )
    return f"; insert axes of length 1 where an array is shared{grouped}"
