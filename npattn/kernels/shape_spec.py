"""What a specification of shapes says, what does not fit it, and the words of the error.

    "Q ... Tq Dk, K ... Tk Dk"     as in `require_shapes`
"""

import numpy as np

from npattn.kernels.arrays import Shape, require_floats, require_integers


def parts_of(spec):
    """[("Q", ["...", "Tq", "Dk"]), ...] of "Q ... Tq Dk, ..."."""
    return [(name, axes) for name, *axes in map(str.split, spec.split(", "))]


def misfit(spec, shapes):
    """What is wrong, in words; "" if nothing is."""
    lengths, leading, wanted = {}, {}, {}
    for (name, axes), shape in zip(parts_of(spec), shapes, strict=True):
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


def require_kinds(spec, arrays):
    """Raises TypeError that names the array of another kind, if there is one."""
    pairs = [(name, X) for (name, _), X in zip(parts_of(spec), arrays, strict=True)
             if type(X) is not Shape]
    integers = {_bare(name): X for name, X in pairs if name.endswith(":int")}
    require_integers(**integers)
    require_floats(**{
        _bare(name): X for name, X in pairs
        if _bare(name) not in integers and not (X is None and name.endswith("?"))
    })


def raise_misfit(spec, shapes):
    """ValueError with what is wrong, what came, what was wanted, and what to do."""
    names = [_bare(name) for name, _ in parts_of(spec)]
    came = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
    wanted = ", ".join(
        f"{name} ({', '.join(axes).lstrip('=')}{',' * (len(axes) == 1 and axes[0].isidentifier())})"
        for name, (_, axes) in zip(names, parts_of(spec), strict=True)
    )
    raise ValueError(f"{misfit(spec, shapes)}: got {came}; wanted {wanted}{_advice(spec, shapes)}")


def _exact(spec, shapes):
    """(name, shape, the shape it must have) of arrays with `=...`, if the other arrays fit."""
    parts = list(zip(spec.split(", "), parts_of(spec), shapes, strict=True))
    others = [(part, axes, shape) for part, (_, axes), shape in parts if axes[:1] != ["=..."]]
    if misfit(", ".join(part for part, *_ in others), [shape for *_, shape in others]):
        return
    others = [(axes, shape) for _, axes, shape in others if shape is not None]
    lengths = {axis: n for axes, shape in others for axis, n in zip(axes[::-1], shape[::-1])}
    lead = np.broadcast_shapes(*(
        shape[:len(shape) - len(axes) + 1] for axes, shape in others if axes[:1] == ["..."]))
    for _, (name, (dots, *axes)), came in parts:
        if dots == "=..." and lengths.keys() >= {*axes}:
            yield _bare(name), came, (*lead, *(lengths[axis] for axis in axes))


def _advice(spec, shapes):
    """What to do, where the shapes tell."""
    for name, came, wanted in _exact(spec, shapes):
        if came != wanted:
            turned = (*came[:-2], *came[:-3:-1])
            return (f"; {name}.swapaxes(-1, -2) would fit" if turned == wanted else
                    f"; {name} must have the shape {wanted}")
    for i, (name, _) in enumerate(parts_of(spec)):
        turned = list(shapes)
        if shapes[i]:
            turned[i] = (*shapes[i][:-2], *shapes[i][:-3:-1])
            if not misfit(spec, turned):
                return f"; {_bare(name)}.swapaxes(-1, -2) would fit"
    if "leading axes" not in misfit(spec, shapes):
        return ""
    (H, first), *others = [
        (shape[-3], _bare(name)) for (name, axes), shape in zip(parts_of(spec), shapes, strict=True)
        if axes[0] == "..." and len(axes) == 3 and shape and len(shape) > 2
    ] or [(0, "")]
    G, name = next(((n, name) for n, name in others if n != H), (0, ""))
    grouped = (
        f"; where {G} heads of {name} serve {H} of {first}, write them (..., {G}, {H // G}, T, D) "
        f"in {first} and (..., {G}, 1, T, D) in {name}" if 1 < G < H and H % G == 0 else ""
    )
    return f"; insert axes of length 1 where an array is shared{grouped}"
