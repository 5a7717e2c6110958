"""The examination: stage after stage, each with calls of its own, from plain calls to gradients.

A stage asks the patient's code for outputs, compares them with the model (the fitted reference),
and, where they differ, looks for the mistake that explains them. What has no explanation is kept as
a property that does not hold.
"""

import re
from typing import NamedTuple

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.calling import RATE, WIDTH, target
from npattn.doctor.cases import Sizes
from npattn.doctor.catalogue import ALL
from npattn.doctor.models import CAP, WINDOW, models, per_head, rotaries, windows
from npattn.doctor.patient import Way
from npattn.strangers import Trouble

LAYOUTS = {"core": ("bhtd", "bthd", "btd", "td", "tbd", "htd", "bdt", "bhdt", "dt"),
           "mha": ("btd", "td", "tbd", "bdt"), "block": ("btd", "td", "tbd", "bdt")}
INFINITE = r"\* ?\(?-? ?(float\(|np\.inf|torch\.inf|math\.inf|inf\b|NEG)|inf|log|/"


def nan_reason(text):
    """What makes NaN in the code, where its source shows it."""
    if re.search(r"\* ?\(?-? ?(float\([\"']-?inf|(np|numpy|torch|math)\.inf|inf\b|NEG_?INF)|"
                 r"(inf[\"']?\)|\.inf) ?\*", text):
        return (": a mask of 0 and 1 is multiplied with −inf, and 0 · (−inf) is NaN; use where or "
                "masked_fill")
    if re.search(r"\blog\(", text):
        return ": a logarithm of 0, or infinity minus infinity"
    return ": 0/0, or infinity minus infinity"


class Property(NamedTuple):
    """One probe."""

    probe: str
    holds: object          # True, False; None: could not be asked
    counterexample: dict = {}


class Examination:
    """All that is found out about one patient."""

    def __init__(self, patient, hints):
        self.patient, self.hints = patient, hints
        self.properties, self.mistakes, self.conventions, self.guessed = [], [], [], []
        self.troubles, self.worst, self.compared, self.written = [], 0.0, 0, set()
        self.model = self.way = self.target = None
        self.masks_found = []  # [(parameter, form, how), …] of masks that are right

    # ---- the code is called in all ways that may be meant ----

    def start(self):
        """Find a way to call and the model. Raises Trouble if no call comes back."""
        self.target = target(self.patient, self.hints)
        heads = self.hints.get("heads") or self.target.parameter("heads")
        may_pack = bool(heads and self.form() == "core" and self.patient.facts.kind == "function"
                        and "h" not in self.hints.get("layout", ""))
        packed = may_pack and self.target.sizes.heads > 1 and self.side_by_side()
        if packed and (not self.noisy(packed) and self.choose(packed)):
            return
        self.packed = False
        self.troubles.clear()
        try:
            tried = self.tries()
        except Trouble:
            if self.packed_search(packed) or self.bare():
                return
            raise
        if self.noisy(tried):
            return
        full = [t for t in tried if t[0].inputs == tried[0][0].inputs]
        if self.choose(full) or self.choose(self.with_tables(full)):
            return
        if len(full) < len(tried):  # a context, say, that may be left out: it must be right, too
            if self.search(self.with_tables(full) or full):
                return
            rest = [t for t in tried if t not in full]
            if self.choose(rest) or self.choose(self.with_tables(rest)):
                named = [p for p, _ in tried[0][0].inputs if p not in dict(self.way.inputs)]
                self.partly = f"with {', '.join(named)} its outputs are those of no attention"
                return
        if self.search(self.with_tables(tried) or tried):
            return
        if not self.with_tables(tried) and self.search(self.with_tables(tried, True)):
            return
        if self.patient.facts.kind != "function" and self.target.weights:
            if self.as_built():
                return
            self.target = target(self.patient, self.hints)
            tried = self.tries()
        if not self.search(tried, True):
            self.packed_search(packed)

    def side_by_side(self):
        """Tries with heads side by side in the features of a token; [] if no call comes back."""
        self.packed = True
        try:
            return self.tries()
        except Trouble:
            return []

    def packed_search(self, packed):
        """A mistake of code that takes heads side by side; whether the code is of that kind."""
        self.packed = bool(packed)
        if packed and not self.search(packed):
            self.search(packed, True)
        return self.packed

    partly = ""  # why it cannot be called right, though it is in one of its uses

    def with_tables(self, tried, wide=False):
        """The same, for code whose angles are kept in 32 bits; nothing where there are none.

        wide  for code that computes anything in 32 bits, too
        """
        known = any(turn["rotary"] for turn in rotaries(self)) or wide and re.search(
            r"\.float\(|float32", self.patient.text)
        if not self.target.torch or not known:
            return []
        return [(way._replace(dtype="tables"), *rest) for way, *rest in tried
                if way.dtype == "float64"]

    def as_built(self):
        """Whether it is right with the weights that it was built with; then biases are tried."""
        self.target = target(self.patient, self.hints, plain="all")
        if self.form() == "block" or not self.choose(self.tries()):
            return False  # of a block gains of 1 and shifts of 0 say too little
        self.conventions.append("examined with the weights that it was built with")
        self.target = target(self.patient, self.hints, plain="biases")
        tried = self.tries()
        if self.choose(tried) or self.search(tried):
            return True
        case, got = tried[0][1:3]
        self.properties.append(Property("biases act where they should", False, {
            "case": "biases are not 0", "inputs": {}, "got": got.ravel()[:8].tolist(),
            "expected": fit.predict(self.model, case)[0].ravel()[:8].tolist()
            if self.model else None}))
        self.said("It is right with the numbers that it was built with, and wrong where biases are "
                  "not 0.", *self.patient.line(r"bias|\bb[qkvo]?\b"))
        return True

    def bare(self):
        """Where outputs are not those of a layer: whether items of a batch influence each other."""
        first = self.target.parameter("x", "q")
        if not first or self.form() == "core" and not self.target.object:
            return False
        needed = [n for n, _, need, _ in self.target.parameters if need and n != first]
        width, length = self.target.sizes.width, self.hints.get("length", 12)
        for reply, _ in self.troubles:
            shapes = re.search(r"\((\d+)x(\d+) and (\d+)x\d+\)", reply.error)
            if shapes and "length" not in self.hints and int(shapes[3]) % width == 0:
                length = int(shapes[3]) // width  # a length that is written into a layer
        rng = np.random.default_rng(0)
        X = cases.drawn(rng, 3, length, width)
        Y = X.copy()
        Y[1:] = cases.drawn(rng, 2, length, width)
        if needed:
            return False
        base = {"object": self.target.object, "name": self.target.name,
                "torch": self.target.torch, "dtype": "float64"}
        for dtype in ("float64", "float32"):
            base["dtype"] = dtype
            one, again, two = self.patient.call([
                {**base, "kwargs": {first: ("array", Z)}, "seed": i}
                for i, Z in enumerate((X, X, Y))])
            if not one.error and one.out:
                break
        else:
            return False
        outs = [dict(r.out).get(one.out[0][0]) for r in (one, again, two)]
        if any(o is None or o.shape[:1] != (3,) for o in outs):
            return False
        a, b, c = outs
        self.conventions.append(f"examined as a whole: ({', '.join(map(str, X.shape))}) to "
                                f"({', '.join(map(str, a.shape))})")
        same = np.array_equal(a, b, equal_nan=True)
        self.properties.append(Property("evaluation is deterministic", same))
        apart = np.abs(a[0] - c[0]).max() <= 1e-5 * max(1.0, np.abs(a[0]).max())
        self.properties.append(Property(
            "items of a batch do not influence each other", bool(apart), {} if apart else {
                "case": "items 1 and 2 of the batch are others", "inputs": {first: list(X.shape)},
                "got": c[0].tolist(), "expected": a[0].tolist()}))
        if not apart:
            self.said("Items of the batch influence each other: attention runs over the batch (the "
                      "first axis is taken for time, as where batch_first is not set), or a norm "
                      "does.", *self.patient.line(r"MultiheadAttention|TransformerEncoder|permute|"
                                                  r"transpose|softmax"))
        return True

    forced = packed = False  # packed: heads stand side by side in the features of a token

    def noisy(self, tried):
        """Whether the same call gives another output: then nothing can be compared."""
        way, case, got, sizes = tried[0]
        self.settle(way, None, sizes, tried)
        found = [Y for _, Y in self.ask([case._replace(options={"seed": s}) for s in (3, 4)])]
        if any(Y is None or Y.shape != got.shape for Y in found):
            return False
        if fit.gap(found[0], found[1]) == 0.0 and fit.gap(found[0], got) <= 1e-9:
            self.way = None
            self.plain_sizes = {}
            return False
        return not self.kept_state(tried, case)

    def kept_state(self, tried, case):
        """Whether fresh copies of the object give one output; then each call gets a fresh one."""
        if not self.target.object or re.search(r"\brng\b|\.random\(|binomial|dropout|bernoulli",
                                               self.patient.after_making(), re.IGNORECASE):
            return False
        self.way = self.way._replace(fresh=True)
        one, two = [Y for _, Y in self.ask([case, case._replace(options={"seed": 3})])]
        if one is None or two is None or fit.gap(one, two):
            return False
        tried[:] = [(way._replace(fresh=True), c, one if way.out == self.way.out
                     and way.layout == self.way.layout else got, sizes)
                    for way, c, got, sizes in tried]
        self.way, self.plain_sizes = None, {}
        return True

    def form(self):
        W = self.target.weights
        if "W1" in W and "W2" in W:
            return "block"
        return "mha" if W or self.target.loose or self.packed else "core"

    def inputs(self):
        """[((parameter, letter), …), …]: which arguments are queries, keys, values."""
        p = self.target.parameter
        q, k, v = p("q"), p("k"), p("v")
        x, memory = p("x"), p("memory")
        required = {name: needed for name, _, needed, _ in self.target.parameters}
        first = q or x
        if not first:
            raise Trouble(f"{self.patient.name} takes no argument that could be queries or inputs; "
                          "its parameters are "
                          f"{', '.join(n for n, *_ in self.target.parameters) or 'none'}")
        found = []
        if k and v:
            found.append(((first, "q"), (k, "k"), (v, "v")))
        elif k or memory:
            found.append(((first, "q"), (k or memory, "k")))
        if not any(required.get(n) for n in (k, v, memory) if n):
            found.append(((first, "q"),))
        return found

    def others(self):
        """Arguments that are always given: flags, heads, scales, weights."""
        t, found, s = self.target, list(self.target.others), self.target.sizes
        d = s.width // s.heads if self.form() != "core" else Sizes().d
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
                value = ("rng", 0, self.patient.old_random())
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
                value = ("array", per_head(self, role))
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

    def layouts(self, form):
        given = self.hints.get("layout")
        if given:
            yield given
            if form == "core" and "h" not in given or form != "core":
                return
            return
        order = self.patient.order_of_axes()
        for layout in LAYOUTS[form]:
            own = order.get(len(layout))
            if own and set(own) == set(layout) and own != layout:
                continue
            yield layout

    def sizes(self, layout, **given):
        s, form, more = self.target.sizes, self.form(), self.stretch()
        B = given.pop("B", 3 if form != "core" else 2)
        if "b" not in layout:
            B = 1
        if form != "core":
            Tq = given.pop("Tq", 5 + more)
            return Sizes(B, 1, 1, Tq, given.pop("Tk", 7 + more), WIDTH, WIDTH, s.width, s.width)
        H, Hk = given.pop("H", 0), given.pop("Hk", 0)
        if "h" not in layout:
            H = Hk = 1
        elif not H:
            H = self.hints.get("heads") or (s.heads if s.heads > 1 else 3)
            Hk = self.hints.get("kv_heads") or (s.groups if s.groups > 1 else H)
            if self.target.parameter("kv_heads") and "kv_heads" not in self.hints:
                H, Hk = 4, 2
        dv = given.pop("dv", self.dv)
        return Sizes(B, H, Hk or H, given.pop("Tq", 4 + more), given.pop("Tk", 5 + more), Sizes().d,
                     dv)

    def stretch(self):
        """Tokens more than usual, so that a window shows."""
        known = [w for w in windows(self) if w <= 12]
        return max(known, default=0)

    dv = Sizes().dv
    plain_sizes = {}

    def case(self, name, words, layout=None, same=None, seed=0, size=1.0, options=None, **given):
        layout = layout or self.way.layout
        inputs = self.way.inputs if self.way else self._inputs
        letters = [letter for _, letter in inputs]
        alone = letters == ["q"]
        if alone and "Tq" not in given and "Tk" in given:
            given["Tq"] = given["Tk"]
        if alone:
            given["Tk"] = given.setdefault("Tq", 5 + self.stretch())
        if self.plain_sizes.get("Tq") and not alone:  # the code takes equal lengths only
            given["Tq"] = given["Tk"] = given.get("Tq", 5 + self.stretch())
        sizes = self.sizes(layout, **given)
        made = cases.plain(name, words, sizes, seed, alone and self.form() != "core", size,
                           **(options or {}))
        if alone and self.form() == "core":
            made = made._replace(k=made.q, v=made.q)
        elif "v" not in letters:
            made = made._replace(v=made.k)
        elif self.form() != "core":
            other = cases.plain(name, words, sizes, seed + 100, False, size)
            made = made._replace(v=other.k)
        return made

    def want(self, case):
        """The shape of the output."""
        if self.form() == "core":
            return (*case.q.shape[:-1], case.v.shape[-1])
        W = self.target.weights
        return (*case.q.shape[:2], W["Wo"][0][1].shape[-1] if False else None)

    def tries(self):
        """[(way, case, output, sizes), …] of all ways in which a plain call has an output."""
        for forced in (False, True):  # a mask may be needed, whatever its default says
            self.forced = forced
            for dtype in ("float64", "float32"):
                if found := self._tries(dtype):
                    if forced:
                        self.said("It cannot be called without a mask, although the signature says "
                                  "so.", *self.patient.line(r"mask|len"))
                    return found
            if not any(role in ("mask", "lens") for *_, role in self.target.parameters):
                break
        raise self.no_call()

    def _tries(self, dtype):
        form, found, replies = self.form(), [], []
        extra = self.others()
        for inputs in self.inputs():
            self._inputs = inputs
            for layout in self.layouts(form):
                way = Way(self.target.object, self.target.name, form, inputs, layout,
                          torch=self.target.torch, autograd=self.target.autograd, dtype=dtype,
                          others=extra, positional=self.target.positional,
                          modes=() if self.target.torch else self.patient.modes(
                              self.target.attributes))
                for mask in self.open_masks(layout):
                    for sizes in ({}, {"dv": Sizes().d}, {"dv": Sizes().d, "Tq": 5, "Tk": 5}):
                        if form != "core" and sizes and len(inputs) == 1:
                            continue
                        if form != "core" and sizes.get("Tq"):
                            sizes = {"Tq": 6, "Tk": 6}
                        elif form != "core" and sizes:
                            continue
                        case = self.case("plain", "a plain call", layout, **sizes)
                        replies.append((way, mask, case, sizes))
        asked = self._calls(replies)
        seen = set()
        for (way, mask, case, sizes), reply in zip(replies, asked, strict=True):
            if reply.error:
                self.troubles.append((reply, way))
                continue
            got = self.output(reply, way, case)
            if got is None:
                self.troubles.append((reply, way))
                continue
            path, Y = got
            key = way.inputs, way.layout, (mask or "...")[2][0]
            if key in seen:
                continue
            seen.add(key)
            found.append((way._replace(out=path, mask=mask or (), open=mask or ()), case, Y, sizes))
        return found

    def _calls(self, replies):
        """The calls, the first of each family first, so that few are made."""
        specs = []
        for way, mask, case, _ in replies:
            w = way._replace(mask=mask) if mask else way
            if mask:
                case = self.opened(case, mask[1])
            specs.append(self.patient.spec(w, case))
        return self.patient.call(specs)

    def opened(self, case, form):
        B, H = case.q.shape[0], case.q.shape[1] if case.q.ndim == 4 else self.target.sizes.heads
        keep = cases.kept(np.random.default_rng(0), form, B, H, case.q.shape[-2], case.k.shape[-2])
        return case._replace(keep=np.ones_like(keep), form=form)

    def open_masks(self, layout):
        """(None,) where a mask can be left out; else the ways to pass one that masks nothing."""
        for name, default, required, role in self.target.parameters:
            if role in ("mask", "lens", "bias_add") and (required or self.forced):
                kinds = {}  # the likely ones first, then those that a mistake may make of them
                for how in (*self.hows(role, name), *(cases.WHOLE if role == "mask" else ())):
                    kinds.setdefault(how[0], how)
                return [(name, form, how) for how in kinds.values()
                        for form in self.forms(role, layout)]
        return [None]

    def forms(self, role, layout):
        s = self.hints.get("mask")
        if role == "lens" or s == "lens":
            return ("lens", "lens2") if "b" in layout else ("lens0", "lens2")
        if self.form() == "core" and "h" in layout:
            return ("b1qk", "bqk", "qk", "b11k", "bk", "bhqk", "11qk", "k") if "b" in layout else (
                "qk", "hqk", "1qk", "k")
        if "b" in layout:
            if self.form() == "core":
                return ("bqk", "qk", "bk", "b1k", "1qk", "k")
            return ("b1qk", "bqk", "qk", "b11k", "bk", "b1k", "bhqk", "11qk", "k")
        return ("qk", "k", "1qk")

    def hows(self, role, name):
        from npattn.doctor.roles import DROP_NAMES, KEEP_NAMES

        if role == "lens":
            return (("keep", "bool"),)
        given = self.hints.get("mask")
        if role == "bias_add" and given != "add" and not self.target.parameter("mask"):
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

    def output(self, reply, way, case):
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

    def no_call(self):
        """Why no call came back, in one sentence."""
        errors = [reply for reply, _ in self.troubles if reply.error]
        if errors:
            inside = [r for r in errors if r.line] or errors
            reply = inside[0]
            return Trouble(f"no call of {self.patient.name} came back: {reply.error}"
                           f"{self.patient.place({'line': reply.line})}; hints such as "
                           "layout=bhtd or heads=4 say how it is called")
        for reply, way in self.troubles:
            shapes = ", ".join(str(X.shape) for _, X in reply.out) or "no array"
            return Trouble(f"{self.patient.name} returned {shapes} for arguments in the layout "
                           f"{way.layout}, which is no output of attention; a hint such as "
                           "layout=bthd says how it is called")
        return Trouble(f"{self.patient.name} cannot be called")

    # ---- the model ----

    def choose(self, tried):
        """The first way and model, without a mistake, that give the outputs."""
        for way, case, got, sizes in tried:
            for model in models(self, way.form):
                if fit.fits(model, [(case, got)], way.dtype):
                    self.settle(way, model, sizes, tried)
                    return True
        return False

    def settle(self, way, model, sizes, tried):
        self.way, self.model, self.plain_sizes = way, model, sizes
        if way.dtype == "tables":
            self.conventions.append("computes in 32 bits in part (angles of positions, say)")
        if sizes.get("dv"):
            self.dv = sizes["dv"]
        self.tried = tried

    def search(self, tried, pairs=False):
        """A way and a model with one mistake, or with two; whether there is one."""
        if not tried:
            return False
        self.tried = tried
        if self.no_numbers(*tried[0]):
            return True
        for way, case, got, sizes in tried[: 1 if pairs else 4]:
            likely = list(models(self, way.form))
            if not pairs and self.nearly(way, likely, case, got, sizes, tried):
                return True
            names = fit.PLAIN if pairs else fit.PLAIN + fit.CAUSAL
            if way.layout != tried[0][0].layout:  # a guess and a mistake may be the same thing
                names = [n for n in names if n not in fit.ACROSS]
            if not re.search(r"\b(for|while)\b|scan|map", self.patient.text):  # no loop, no tiles
                names = [n for n in names if ", tiles of " not in n]
            likely.sort(key=lambda m: len(m.notes) + m.c.heads_last)
            found = fit.explain(likely[:60], [(case, got)], names, way.dtype, pairs,
                                2.0 if way is not tried[0][0] else 3.5)
            if found:
                found = self.sharpened(found, way, sizes)
                self.settle(way, found[0], sizes, tried)
                self.blame(found)
                return True
        way, case, got, sizes = tried[0]
        self.way, self.plain_sizes = way, sizes
        if sizes.get("dv"):
            self.dv = sizes["dv"]
        return False

    def no_numbers(self, way, case, got, sizes):
        """Whether outputs of a plain call are NaN or infinite: then nothing else is looked for."""
        if np.isfinite(got).all():
            return False
        self.settle(way, None, sizes, self.tried)
        many = "All outputs are" if not np.isfinite(got).any() else "Some outputs are"
        self.said(f"{many} NaN or infinite in a plain call{nan_reason(self.patient.text)}.",
                  *self.patient.line(INFINITE))
        return True

    def nearly(self, way, models, case, got, sizes, tried):
        """Right but for a factor, or for the digits that 32 bits lose."""
        if way.dtype != "float64":
            return False
        for model in models[:40]:
            try:
                want = fit.predict(model, case)[0]
            except fit.Failed:
                continue
            if want.shape != got.shape or not np.isfinite(got).all():
                continue
            bits = "16" if fit.gap(got, want) > 2e-6 else "32"
            most = 2e-2 if re.search(r"half|float16|\bf2\b", self.patient.text) else 2e-6
            if 1e-9 < fit.gap(got, want) < most and not any(
                    fit.fits(model._replace(mistakes=(name,)), [(case, got)])
                    for name in fit.PLAIN if "32 bits" in name or "in the sum" in name):
                self.settle(way._replace(dtype="float64"), model, sizes, tried)
                self.loose = 1e6 if bits == "32" else 1e10
                self.said(f"It computes in {bits} bits (float{bits}), where its arguments have 64: "
                          "the precision of the dtype is lost.",
                          *self.patient.line(r"float32|astype|dtype|\.float\(|half|float16"))
                return True
            factor = float((got * want).sum() / max((want * want).sum(), 1e-300))
            if abs(factor - 1) > 1e-9 and factor and fit.gap(got, factor * want) < 1e-11:
                self.settle(way, None, sizes, tried)
                why = (": the factor of dropout, 1/(1 − p) or 1 − p, is there in evaluation, too"
                       if min(abs(factor * (1 - RATE) - 1), abs(factor / (1 - RATE) - 1)) < 1e-9
                       and "drop" in self.patient.text else "")
                self.said(f"The output is {factor:.6g} times what it should be: the weights do not "
                          f"average, they sum to {factor:.6g}{why}.",
                          *self.patient.line(r"1 ?- ?|drop|sum|scale"))
                return True
        return False

    loose = 1.0
    square = False   # whether gradients are asked for with as many queries as keys alone
    grouped = False  # whether it takes fewer heads of keys than of queries

    def near(self):
        """Two outputs of the code that differ by less are the same."""
        return {"float64": 1e-9, "tables": 1e-5, "float32": 1e-4}[self.way.dtype]

    def sharpened(self, found, way, sizes):
        """Those of several explanations that hold in a second call of other sizes."""
        if len(found) == 1:
            return found
        self.way = way
        if sizes.get("dv"):
            self.dv = sizes["dv"]
        more = [self.case("again", "", seed=3, **{k: v for k, v in sizes.items() if k != "dv"})]
        if not sizes.get("Tq"):
            more.append(self.case("longer", "", seed=4, Tq=6, Tk=9, B=4))
        for case, got in self.ask(more):
            left = [m for m in found if fit.fits(m, [(case, got)], way.dtype)]
            found = left or found
        return found

    def ask(self, asked, **extra):
        """[(case, output in the reference's layout or None), …]; replies are kept for reading."""
        self.replies = self.patient.call([self.patient.spec(self.way, c, **extra) for c in asked])
        found = []
        for case, reply in zip(asked, self.replies, strict=True):
            got = None
            if not reply.error:
                out = dict(reply.out).get(self.way.out)
                if out is not None:
                    got = cases.inward(out, self.way.layout, case.q.ndim)
            found.append((case, got))
        return found

    def pristine(self, asked):
        """As `ask`, each with a file and an object as new."""
        found = []
        for case in asked:
            self.patient.ask(("pristine", self.way.object))
            found += self.ask([case])
        return found

    def blame(self, models):
        """Name the mistakes of the models that explain what was found; the first is most likely."""
        known = {m["sentence"] for m in self.mistakes}
        numbers = set(re.findall(r"\d+", self.patient.text))  # those of the file are likelier
        models = sorted(models, key=lambda m: (
            not set(re.findall(r"\d+", m.mistakes[-1])) & numbers,
            "ignored" in m.mistakes[-1],
            m.form != "core" and ALL[m.mistakes[-1]].where == "core"))
        for model in models[:3]:
            for name in model.mistakes:
                self.name_mistake(name, len(models) == 1, known)

    def name_mistake(self, name, certain=True, known=()):
        mistake = ALL[name]
        if mistake.words in known or any(m["name"] == name for m in self.mistakes):
            return
        number, text = self.patient.line(mistake.at)
        self.mistakes.append({"name": name.removeprefix("backward: "), "sentence": mistake.words,
                              "line": number, "text": text, "certain": certain})

    # ---- helpers of the stages ----

    def said(self, sentence, line=0, text=""):
        if not any(m["sentence"] == sentence for m in self.mistakes):
            self.mistakes.append({"name": "", "sentence": sentence, "line": line, "text": text,
                                  "certain": True})

    def said_note(self, sentence):
        self.conventions.append(sentence)

    def text(self, line):
        lines = self.patient.text.splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    def heads(self):
        return self.hints.get("heads") or (
            self.target.sizes.heads if self.target.sizes.heads > 1 else 3)

    def small(self, sizes):
        return {k: v for k, v in self.plain_sizes.items() if k != "dv"} | sizes

    def masked(self, case, form, seed, dead=False):
        B = case.q.shape[0]
        H = case.q.shape[1] if case.q.ndim == 4 else self.target.sizes.heads
        keep = cases.kept(np.random.default_rng([seed, 17]), form, B, H, case.q.shape[-2],
                          case.k.shape[-2], dead)
        return case._replace(keep=keep, form=form)

    def everything(self, case, form):
        made = self.masked(case, form, 0)
        return made._replace(keep=np.ones_like(made.keep), words="the mask allows everything")

    def poisoned(self, case, dark):
        k, v = case.k.copy(), case.v.copy()
        k[..., dark, :] = 3.0 * np.sign(k[..., dark, :]) + 1.0
        v[..., dark, :] = 1000.0
        if self.way.form != "core":
            v[..., dark, :] = 50.0
        if len(self.way.inputs) == 1:
            return case._replace(q=k, k=k, v=k)
        if len(self.way.inputs) == 2:
            return case._replace(k=k, v=k)
        return case._replace(k=k, v=v)

    def fixed_polarity(self, name):
        return bool("mask" in self.hints or len({h[0] for h in self.hows("mask", name)}) == 1)

    def hows_order(self, name, how):
        return cases.WHOLE.index(how)

    def tried_forms_fail(self, name):
        return False

    def target_made(self):
        from npattn.doctor import roles
        from npattn.doctor.patient import signature_roles

        if self.patient.facts.kind != "class":
            return []
        return signature_roles(self.patient.facts.signature, roles.MAKE)

    # ---- caches ----

    alone = False  # whether a cache is kept by the object, one token at a time

    def resetting(self):
        """The method that clears what an object keeps; ""."""
        methods = getattr(self.patient.facts, "methods", {})
        return next((m for m in ("reset", "reset_cache", "clear", "clear_cache", "start",
                                 "reset_state", "init_cache", "empty_cache") if m in methods), "")

    def stepper(self):
        """("argument", name) or ("method", name, reset): how a cache is used; None."""
        name = self.target.parameter("cache")
        if name:
            return "argument", name
        methods = getattr(self.patient.facts, "methods", {})
        step = next((m for m in ("step", "decode_step", "decode", "forward_step", "next", "append",
                                 "update") if m in methods and m != self.target.name), None)
        if step:
            self.alone = True
            return "method", step
        if self.way.fresh and self.resetting():
            return "method", self.target.name
        return None

    def chunks(self, case, chunks, stepper, times=1):
        """(the outputs of chunks side by side, "") or (None, why not).

        times  how often the last call is made, with one and the same cache
        """
        specs, start, way = [], 0, self.way._replace(mask=(), causal="", fresh=False)
        kind, name = stepper
        offset, use = self.target.parameter("offset"), self.target.parameter("use_cache")
        for i, n in enumerate(chunks):
            part = case.q[:, start : start + n]
            spec = self.patient.spec(way, case._replace(q=part, k=part, v=part), keep=f"c{i}")
            if kind == "argument":
                if i:
                    spec["kwargs"][name] = ("kept", f"c{i - 1}", -1)
                elif name in spec["kwargs"]:
                    del spec["kwargs"][name]
                if i == 0 and any(n == name and need for n, _, need, _ in self.target.parameters):
                    spec["kwargs"][name] = ("none",)
                if use:
                    spec["kwargs"][use] = ("value", True)
            else:
                spec = self.step_spec(spec, name, part)
            if offset:
                spec["kwargs"][offset] = ("value", start)
            specs += [spec] * (times if i == len(chunks) - 1 else 1)
            start += n
        if kind == "method":
            if reset := self.resetting():
                specs.insert(0, {"object": way.object, "name": reset})
        replies = self.patient.call(specs)
        replies = replies[-len(chunks) - times + 1 : len(replies) - times] + replies[-1:]
        if kind == "method" and replies[0].error and "t" in self.way.layout:  # one token, no axis
            for spec in specs[-len(chunks):]:
                for parameter, (what, X) in spec["kwargs"].items():
                    spec["kwargs"][parameter] = what, X.take(0, self.way.layout.index("t"))
            replies = self.patient.call(specs)[-len(chunks):]
        if kind == "argument" and [path for path, _ in replies[0].out] == [()]:
            return None, "no cache comes back"
        outs = []
        for reply, n in zip(replies, chunks, strict=True):
            if reply.error:
                return None, f"it fails: {reply.error}{self.patient.place({'line': reply.line})}"
            for path, X in reply.out:
                Y = self._chunk(X, n, case)
                if Y is not None:
                    outs.append(Y)
                    break
            else:
                return None, "the output of a chunk has another shape"
        return np.concatenate(outs, 1), ""

    def _chunk(self, X, n, case):
        want = (case.q.shape[0], n)
        Y = cases.inward(X, self.way.layout, 3)
        if Y is None and n == 1 and X.ndim == len(self.way.layout) - 1:
            Y = cases.inward(np.expand_dims(X, self.way.layout.index("t")), self.way.layout, 3)
        return Y if Y is not None and Y.shape[:2] == want else None

    def step_spec(self, spec, name, part):
        """A call of a method that takes one token."""
        first = self.patient.facts.methods[name][0][0]
        return {**spec, "name": name, "kwargs": {first: (
            "array", cases.outward(part, self.way.layout))}}
