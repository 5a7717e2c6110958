"""The reference in all conventions that a piece of code may mean: what its source names is tried.

Plain attention has few: the scale, the corner of the causal mask, how weights are read. What goes
beyond it (a window, a soft cap, ALiBi, sinks, normalised queries and keys, a norm and a residual
around the layer) is tried only where the code speaks of it, with the numbers that it gives.
"""

import itertools
import re

import numpy as np

from npattn.doctor import roles
from npattn.doctor.cases import Sizes
from npattn.doctor.conventions import ACTIVATIONS, Model, conventions, silu
from npattn.doctor.fit import geometric
from npattn.doctor.patient import signature_roles
from npattn.doctor.weights import complete, readings

WINDOW, CAP = 3, 2.0  # where the code asks for one
EPS = [1e-5, 1e-6, 1e-12, 1e-8]
NUMBER = r"(\d+\.?\d*(?:e[-+]?\d+)?)"


def models(exam, form):
    """Models without a mistake, the likely ones first."""
    t, s = exam.target, exam.target.sizes
    always = {"yes": [True], "no": [False]}.get(
        "" if t.parameter("causal") else exam.hints.get("causal"), [False, True])
    scale = 1.0
    if "scale" in exam.hints:
        scale = exam.hints["scale"] * np.sqrt(Sizes().d if form == "core" else s.width // s.heads)
    corners = [exam.hints["corner"]] if "corner" in exam.hints else ["upper", "lower"]
    if form == "core":
        heads = exam.heads()
        for causal in always:
            for corner, turn in itertools.product(corners if causal else corners[:1],
                                                  rotaries(exam)):
                for more in variants(exam, heads, causal):
                    c = conventions(**{"scale": scale, "corner": corner, **turn, **more})
                    yield Model(form, c, causal=causal)
        return
    scales = [scale, *([np.sqrt(s.width // s.heads)] if t.scaled else [])]
    for W, notes in weights(exam):
        for causal, turn, sc, last in itertools.product(
                always, rotaries(exam), scales, (False, True) if s.heads > 1 else (False,)):
            for more in variants(exam, s.heads, causal, W):
                kinds = [(form, extra) for extra in blocks(exam, form, W)]
                if form == "mha":
                    kinds = [*kinds[: 0 if "g1" in W else 1], *sublayers(exam, W)]
                for kind, extra in kinds:
                    c = conventions(heads=s.heads, groups=groups(W, s), scale=sc, heads_last=last,
                                    corner=corners[0], **{**turn, **more, **extra})
                    yield Model(kind, c, W, (), causal, notes)


def weights(exam):
    """(weights of the reference, notes) in each way in which those of the code may be meant."""
    if exam.packed:
        D = exam.target.sizes.width
        yield complete({f"W{x}": np.eye(D) for x in "qkv"}), ("heads lie side by side",)
        return
    for W, notes in readings(exam.target):
        W = complete(W)
        if W is None:
            continue
        yield W, notes
        if re.search(r"\b1(\.0?)? ?\+ ?(self\.)?\w*(weight|gain|gamma|scale|g)\b",
                     exam.patient.text):  # as in Gemma
            gains = {key: 1.0 + X for key, X in W.items() if key.startswith("g")}
            yield W | gains, (*notes, "gains of norms are stored as what is added to 1")


def groups(W, sizes):
    """How many heads keys and values have, by the widths of the weights."""
    if W["Wk"].shape[-1] != W["Wq"].shape[-1] and W["Wq"].shape[-1] % sizes.heads == 0:
        return max(1, W["Wk"].shape[-1] // (W["Wq"].shape[-1] // sizes.heads))
    return sizes.groups


def known_eps(exam):
    """The eps to try: those that modules hold, else those in the text, else the usual."""
    held = {f.get("eps") for ws in exam.target.weights.values() for *_, f in ws} - {None}
    said = map(float, re.findall(r"\b1e-\d+\b", exam.patient.text))
    return sorted(held) or list(dict.fromkeys(said))[:3] or EPS


def blocks(exam, form, W):
    """The conventions of a whole block to try: order, activation, eps, norm and gate."""
    if form != "block":
        return [{}]
    kinds = [False] if "h1" in exam.target.weights else [True, False]
    smooth = re.search(r"gelu|erf|tanh|0\.0447|GELU", exam.patient.text)
    acts = [silu] * bool(re.search("silu|swish|sigmoid|exp\\(-", exam.patient.text, re.IGNORECASE))
    acts += ACTIVATIONS if smooth else ACTIVATIONS[:1]
    return [{"pre": pre, "activation": a, "eps": e, "rms": rms, "gated": gate} for rms in kinds
            for e in known_eps(exam) for pre in (True, False) for a in acts
            for gate in (("3", "1") if "W3" in W else ("",))]


def sublayers(exam, W):
    """Norms before or behind a layer of attention, and the residual around it."""
    D = exam.target.sizes.width
    own = r"(x|X|inputs?|residual|hidden\w*|q|query|shortcut|skip|res|h|tgt|identity)"
    sums = re.search(rf"\b{own}\b\s*\+|\+\s*{own}\b", exam.patient.text)
    gain = next((g for g in ("g1", "gq") if np.shape(W.get(g)) == (D,)), None)
    context = next(((g, f"h{g[1]}") for g in ("gc", "gk", "g2") if np.shape(W.get(g)) == (D,)), ())
    if gain:
        W |= {"g1": W[gain], "h1": W[f"h{gain[1]}"]}
        if context:
            W.setdefault(context[1], 0.0)
        for e, rms, order, residual, own in itertools.product(
                known_eps(exam)[:3], (False, True), ("pre", "post"), (True, False),
                (context, ()) if context else ((),)):
            yield "sublayer", {"eps": e, "rms": rms, "order": order, "residual": residual,
                               "context": own, "unit": ""}
    elif sums:
        yield "sublayer", {"residual": True}


def rotaries(exam):
    """Conventions of rotary positions that the code may have."""
    given, text = exam.hints.get("rotary"), exam.patient.text
    kinds = [given if given != "no" else ""] if given else ["", "half", "pairs"] if re.search(
        r"cos\b|polar|rotary|rope|rotate", text, re.IGNORECASE) else [""]
    bases = dict.fromkeys([*named(exam, r"base|theta|rope\w*"), 10000.0])
    return [{"rotary": kind, "base": base} for kind in kinds
            for base in ([b for b in bases if b > 1] if kind else [10000.0])]


# ---- what goes beyond plain attention ----


def named(exam, pattern):
    """Numbers that the code gives to things of such a name: defaults, attributes, constants."""
    found = []
    for name, value in exam.target.attributes.items():
        if re.fullmatch(pattern, name.strip("_").lower()) and type(value) in (int, float):
            found.append(float(value))
    text = re.sub(r"#.*", "", exam.patient.text)
    for name, value in re.findall(rf"\b(\w+)\s*(?::\s*\w+\s*)?=\s*{NUMBER}", text):
        if re.fullmatch(pattern, name.strip("_").lower()):
            found.append(float(value))
    return list(dict.fromkeys(found))


def given(exam, role):
    """The value of a parameter of this role: what the doctor passes, or else its default."""
    t = exam.target
    name = t.parameter(role)
    passed = dict(exam.passed).get(name)
    if name and passed:
        return passed[1]
    for n, default, _, r in [*t.parameters, *made_with(exam)]:
        if r == role and type(default) in (int, float, bool):
            return default
    return None


def made_with(exam):
    """The parameters that a class is built with."""
    facts = exam.patient.facts
    return signature_roles(facts.signature, roles.MAKE) if facts.kind == "class" else []


def per_head(exam, role):
    """What is passed for a slope or a sink of each head."""
    H = exam.heads()
    return np.round(0.5 ** np.arange(1, H + 1), 3) if role == "slopes" else np.round(
        np.linspace(-0.8, 0.9, H), 2)


WINDOWS = r"(sliding_|local_|attn_|left_)?window(_size|_len)?|(local_)?(span|radius|look_?back|" \
          r"band(width)?)|win(_size)?|sliding_window"


COUNTED = r"itself|own|window\W{0,3}[-−]\W?1|window\W{0,3}(most recent |last )?(keys|tokens|pos)"


def windows(exam):
    """Lengths of a window that the code has or gets."""
    if exam.target is None or not re.search(r"window|span|radius|band|look_?back|\bwin",
                                            exam.patient.text, re.IGNORECASE):
        return []
    value = given(exam, "window")
    found = [value] if value else named(exam, WINDOWS)
    return [int(w) for w in found if 0 < w <= 64]


def variants(exam, heads, causal, W=None):
    """Fields of the conventions beyond plain attention, [{}] where the code names none."""
    lists = [_windows(exam, causal), _caps(exam), _slopes(exam, heads, causal),
             _sinks(exam, heads, W), _units(exam, W), _tables(exam, heads, causal)]
    for parts in itertools.product(*[list(found) or [{}] for found in lists]):
        yield {k: v for part in parts for k, v in part.items()}


def _windows(exam, causal):
    inclusive = exam.target.parameter("window") in ("radius", "lookback", "look_back")
    lengths, prose = windows(exam), exam.patient.told()
    for w in lengths:
        if causal:
            yield {"window": w + inclusive}
            if not inclusive and not re.search(COUNTED, prose):
                yield {"window": w + 1}
        else:
            yield from unbounded(w)
    if lengths and given(exam, "window") is None:
        yield {}


def unbounded(w):
    """What a window of w may be where the future is not masked: both sides, or the past alone."""
    return ({"window": w + 1, "ahead": w}, {"window": w // 2 + 1, "ahead": w // 2},
            {"window": w, "ahead": w - 1}, {"window": w, "ahead": 0})


def _caps(exam):
    if not re.search(r"tanh|cap\b|cap_", exam.patient.text):
        return
    value = given(exam, "cap")
    found = [value] if value else named(exam, r"\w*cap\w*|\w*clip\w*|c|bound|limit|max_\w+")
    yield from ({"cap": float(x)} for x in found if x > 0)
    if not value:
        yield {}


def _slopes(exam, heads, causal):
    if not re.search(r"alibi|slope", exam.patient.text, re.IGNORECASE):
        return
    if exam.target.parameter("slopes"):
        found = [per_head(exam, "slopes")] if given(exam, "slopes") is not None else []
    else:
        found = [geometric(heads)]
        if heads & (heads - 1):
            whole = 2 ** int(np.log2(heads))
            more = geometric(2 * whole)[0::2][: heads - whole]
            found.append(np.concatenate([geometric(whole), more]))
    for slopes in found:
        yield {"slopes": slopes}
        if causal:
            yield {"slopes": slopes, "signed": True}
    if not found:
        yield {}


def _tables(exam, heads, causal):
    """Learned numbers for each distance: those of a weight (R, H) or (H, R), R odd."""
    for _, X, _ in exam.target.loose:
        if X.ndim == 2 and heads in X.shape and max(X.shape) % 2:
            table = X.T if X.shape[1] == heads else X
            yield from ({"table": table, "signed": signed} for signed in (False, True))
        elif X.ndim == 2 and heads in X.shape and "log" in exam.patient.text:
            table = X.T if X.shape[1] == heads else X
            for reach in named(exam, r"max_?dist\w*|md|\w*distance") or [128]:
                yield from ({"table": table, "reach": reach, "signed": one} for one in (
                    (True, False) if causal else (False,)))


def _sinks(exam, heads, W):
    if not re.search(r"sink|softmax_?(1|one|plus)|off.by.one|quiet", exam.patient.text,
                     re.IGNORECASE):
        return
    if exam.target.parameter("sink"):
        if given(exam, "sink") is not None:
            yield {"sink": per_head(exam, "sink")[:, None, None]}
        yield {}
        return
    held = exam.target.weights.values()
    for name, X, _ in [*exam.target.loose, *(w for ws in held for w in ws)]:
        if re.search("sink|null|bias", name) and X.size == heads:
            yield {"sink": X.reshape(-1, 1, 1)}
    yield from ({"sink": np.zeros((1, 1, 1))}, {})


def _units(exam, W):
    """Normalised queries and keys; of length 1 they have a scale of their own, a number."""
    for found in _kinds_of_unit(exam, W):
        yield found
        if found.get("unit") == "length" and W is None and "scale" not in exam.hints:
            told = re.findall(rf"(?:[*/=(] ?|return ){NUMBER} ?[*@)/,\n]", exam.patient.text)
            for x in dict.fromkeys(float(n) for n in told if float(n) > 1):
                yield from ({**found, "scale": s * np.sqrt(Sizes().d)} for s in (x, 1 / x))


def _kinds_of_unit(exam, W):
    d = exam.target.sizes.width // exam.target.sizes.heads
    own = W is not None and np.shape(W.get("gq")) == (d,)
    if not own and (W is not None and "g1" in W or not re.search(
            r"normalize|qk_?norm|cosine|l2_?norm|rms|norm\(", exam.patient.text)):
        return
    kinds = ("rms", "layer", "length") if own else ("length", "rms", "layer")
    for kind in kinds:
        for e in known_eps(exam)[:3] if kind != "length" else [1e-5]:
            yield {"unit": kind, "eps": e}
    if not own:
        yield {}
