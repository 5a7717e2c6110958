"""The ways to call the code that its signature allows, and which of them come back."""

import re

import numpy as np

from npattn.doctor import cases
from npattn.doctor.cases import Sizes
from npattn.doctor.models import CAP, WINDOW, per_head
from npattn.doctor.patient import Way
from npattn.doctor.roles import DROP_NAMES, KEEP_NAMES
from npattn.strangers import Trouble

LAYOUTS = {"core": ("bhtd", "bthd", "btd", "td", "tbd", "htd", "bdt", "bhdt", "dt"),
           "mha": ("btd", "td", "tbd", "bdt"), "block": ("btd", "td", "tbd", "bdt")}


def tries(exam):
    """[(way, case, output, sizes), …] of all ways in which a plain call has an output."""
    for forced in (False, True):  # a mask may be needed, whatever its default says
        exam.forced = forced
        for dtype in ("float64", "float32"):
            if found := _tries(exam, dtype):
                if forced:
                    exam.said("It cannot be called without a mask, although the signature says "
                              "so.", *exam.patient.line(r"mask|len"))
                return found
        if not any(role in ("mask", "lens") for *_, role in exam.target.parameters):
            break
    raise no_call(exam)


def _tries(exam, dtype):
    form, found, replies = exam.form(), [], []
    extra = exam.passed = others(exam)
    for given in inputs(exam):
        exam._inputs = given
        for layout in layouts(exam, form):
            way = Way(exam.target.object, exam.target.name, form, given, layout,
                      torch=exam.target.torch, autograd=exam.target.autograd, dtype=dtype,
                      others=extra, positional=exam.target.positional,
                      turned=exam.patient.turned or turned(given),
                      modes=() if exam.target.torch else exam.patient.modes(
                          exam.target.attributes))
            for mask in open_masks(exam, layout):
                for sizes in ({}, {"dv": Sizes().d}, {"dv": Sizes().d, "Tq": 5, "Tk": 5}):
                    if form != "core" and sizes and len(given) == 1:
                        continue
                    if form != "core" and sizes.get("Tq"):
                        sizes = {"Tq": 6, "Tk": 6}
                    elif form != "core" and sizes:
                        continue
                    case = exam.case("plain", "a plain call", layout, **sizes)
                    replies.append((way, mask, case, sizes))
    asked = _calls(exam, replies)
    seen = set()
    for (way, mask, case, sizes), reply in zip(replies, asked, strict=True):
        if reply.error:
            exam.troubles.append((reply, way))
            continue
        got = likely_output(reply, way, case)
        if got is None:
            exam.troubles.append((reply, way))
            continue
        path, Y = got
        key = way.inputs, way.layout, (mask or "...")[2][0]
        if key in seen:
            continue
        seen.add(key)
        found.append((way._replace(out=path, mask=mask or (), open=mask or ()), case, Y, sizes))
    return found


def turned(given):
    """Whether keys are given transposed, by the name of their argument: K_T."""
    return any(letter == "k" and re.fullmatch(r"(?i:k|keys?)_?(T|t|transposed)", name)
               for name, letter in given)


def _calls(exam, replies):
    """The calls, the first of each family first, so that few are made."""
    specs = []
    for way, mask, case, _ in replies:
        w = way._replace(mask=mask) if mask else way
        if mask:
            case = opened(exam, case, mask[1])
        specs.append(exam.patient.spec(w, case))
    return exam.patient.call(specs)


def inputs(exam):
    """[((parameter, letter), …), …]: which arguments are queries, keys, values."""
    p = exam.target.parameter
    q, k, v = p("q"), p("k"), p("v")
    x, memory = p("x"), p("memory")
    required = {name: needed for name, _, needed, _ in exam.target.parameters}
    first = q or x
    if not first:
        raise Trouble(f"{exam.patient.name} takes no argument that could be queries or inputs; "
                      "its parameters are "
                      f"{', '.join(n for n, *_ in exam.target.parameters) or 'none'}")
    found = []
    if k and v:
        found.append(((first, "q"), (k, "k"), (v, "v")))
    elif k or memory:
        found.append(((first, "q"), (k or memory, "k")))
    if not any(required.get(n) for n in (k, v, memory) if n):
        found.append(((first, "q"),))
    return found


def others(exam):
    """Arguments that are always given: flags, heads, scales, weights."""
    t, found, s = exam.target, list(exam.target.others), exam.target.sizes
    d = s.width // s.heads if exam.form() != "core" else Sizes().d
    for name, default, required, role in t.parameters:
        value = None
        if role == "train":
            value = ("value", False)
        elif role == "eval":
            value = ("value", True)
        elif role == "dropout" and (required or default not in (None, 0, 0.0)):
            if not t.parameter("train", "eval"):
                value = ("value", 0.0)
        elif role == "heads" and (required or default is None or s.heads != default):
            value = ("value", s.heads)
        elif role == "kv_heads" and (required or default is None):
            value = ("value", s.groups)
        elif role == "rng" and required:
            value = ("rng", 0, exam.patient.old_random())
        elif role == "scale" and re.search("temp|tau", name):
            value = ("value", 1.0) if required else None
        elif role == "scale" and (required or default == 1.0):
            value = ("value", float(d**-0.5))
        elif role == "tile" and required:
            value = ("value", 2)
        elif role in ("cache", "offset", "positions") and required:
            value = ("value", 0) if role == "offset" else ("none",)
        elif role == "window" and (required or isinstance(default, int) and default > 12):
            value = ("value", WINDOW)
        elif role == "cap" and required:
            value = ("value", CAP)
        elif role in ("slopes", "sink") and required:
            value = ("array", per_head(exam, role))
        elif role in ("seed", "base", "eps", "max_len") and required:
            value = ("value", {"seed": 0, "base": 10000.0, "eps": 1e-5}.get(role, 64))
        elif role == "causal":
            value = ("value", False)
        elif role == "returns" and required:
            value = ("value", False)
        elif required and (role is None or role == "config"):
            raise Trouble(f"nothing says what the argument `{name}` is; give it a default, or "
                          "a name such as Q, K, V, X, mask, num_heads")
        if value:
            found.append((name, value))
    return tuple(found)


def layouts(exam, form):
    """The layouts to try for a form: the one that was given, or those that fit the axes."""
    given = exam.hints.get("layout")
    if given:
        yield given
        return
    order = exam.patient.order_of_axes()
    for layout in LAYOUTS[form]:
        own = order.get(len(layout))
        if own and set(own) == set(layout) and own != layout:
            continue
        yield layout


def opened(exam, case, form):
    """The case with a mask that allows everything."""
    B, H = case.q.shape[0], case.q.shape[1] if case.q.ndim == 4 else exam.target.sizes.heads
    keep = cases.kept(np.random.default_rng(0), form, B, H, case.q.shape[-2], case.k.shape[-2])
    return case._replace(keep=np.ones_like(keep), form=form)


def open_masks(exam, layout):
    """(None,) where a mask can be left out; else the ways to pass one that masks nothing."""
    for name, default, required, role in exam.target.parameters:
        if role in ("mask", "lens", "bias_add") and (required or exam.forced):
            kinds = {}  # the likely ones first, then those that a mistake may make of them
            for how in (*hows(exam, role, name), *(cases.WHOLE if role == "mask" else ())):
                kinds.setdefault(how[0], how)
            return [(name, form, how) for how in kinds.values()
                    for form in forms(exam, role, layout)]
    return [None]


def forms(exam, role, layout):
    """Which axes a mask of this role may have, the likeliest first."""
    s = exam.hints.get("mask")
    if role == "lens" or s == "lens":
        return ("lens", "lens2") if "b" in layout else ("lens0", "lens2")
    if exam.form() == "core" and "h" in layout:
        return ("b1qk", "bqk", "qk", "b11k", "bk", "bhqk", "11qk", "k") if "b" in layout else (
            "qk", "hqk", "1qk", "k")
    if "b" in layout:
        if exam.form() == "core":
            return ("bqk", "qk", "bk", "b1k", "1qk", "k")
        return ("b1qk", "bqk", "qk", "b11k", "bk", "b1k", "bhqk", "11qk", "k")
    return ("qk", "k", "1qk")


def hows(exam, role, name):
    """How a mask of this role may be written: what is kept, what is hidden, or what to add."""
    if role == "lens":
        return (("keep", "bool"),)
    given = exam.hints.get("mask")
    if role == "bias_add" and given != "add" and not exam.target.parameter("mask"):
        given = given if given in ("keep", "drop") else "add"
    if given in ("keep", "drop"):
        return tuple(h for h in cases.WHOLE if h[0] == given)
    if given == "add" or role == "bias_add":
        return tuple(h for h in cases.WHOLE if h[0] == "add")
    if KEEP_NAMES.search(name):
        return tuple(h for h in cases.WHOLE if h[0] == "keep")
    if DROP_NAMES.search(name):
        return tuple(h for h in cases.WHOLE if h[0] != "add")
    return cases.WHOLE


def likely_output(reply, way, case):
    """(path, array in the reference's layout) of what has the shape of an output; None."""
    ndim = case.q.ndim
    for path, X in reply.out:
        Y = cases.inward(X, way.layout, ndim)
        if Y is None or Y.dtype.kind != "f":
            continue
        same = Y.shape[:-1] == case.q.shape[:-1]
        wide = way.form != "core" or Y.shape[-1] == case.v.shape[-1]
        if same and wide:
            return path, Y
    return None


def no_call(exam):
    """Why no call came back, in one sentence."""
    errors = [reply for reply, _ in exam.troubles if reply.error]
    if errors:
        inside = [r for r in errors if r.line] or errors
        reply = inside[0]
        return Trouble(f"no call of {exam.patient.name} came back: {reply.error}"
                       f"{exam.patient.place({'line': reply.line})}; hints such as "
                       "layout=bhtd or heads=4 say how it is called")
    for reply, way in exam.troubles:
        shapes = ", ".join(str(X.shape) for _, X in reply.out) or "no array"
        return Trouble(f"{exam.patient.name} returned {shapes} for arguments in the layout "
                       f"{way.layout}, which is no output of attention; a hint such as "
                       "layout=bthd says how it is called")
    return Trouble(f"{exam.patient.name} cannot be called")
