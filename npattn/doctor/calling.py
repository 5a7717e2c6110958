"""Find out how code is called: from its signature, its defaults, its weights, and by trying."""

import re
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from npattn.doctor import roles
from npattn.doctor.patient import signature_roles
from npattn.doctor.weights import draw, held_weights, weight_shape
from npattn.strangers import Trouble

METHODS = (
    "forward", "__call__", "call", "attend", "attention", "apply", "run", "encode", "compute")
HEAD = 4   # heads, where the code does not say
WIDTH = 6  # features of a head
RATE = 0.3  # of dropout: not 0.5, where p and 1 − p are the same


class Model(NamedTuple):
    """The reference with conventions, weights and, maybe, mistakes."""

    form: str
    c: SimpleNamespace
    W: dict = {}
    mistakes: tuple = ()
    causal: bool = False  # always, without being asked
    notes: tuple = ()


def conventions(**given):
    """What a model assumes; plain scaled dot-product attention where nothing is given."""
    return SimpleNamespace(**{
        "heads": 1, "groups": 1, "scale": 1.0, "bias": 0.0, "corner": "upper", "rotary": "",
        "base": 10000.0, "cap": 0.0, "window": 0, "ahead": 0, "slopes": None,
        "table": None, "reach": 0, "signed": False,
        "sink": None, "gated": "", "unit": "", "order": "", "residual": False, "context": (),
        "heads_last": False, "pre": True, "eps": 1e-5, "rms": False, "activation": relu, **given})


def relu(X):
    """max(X, 0)."""
    return np.where(X > 0, X, 0.0)


def gelu(X):
    """X Φ(X), with Φ of the normal distribution."""
    from scipy.special import erf

    return 0.5 * X * (1.0 + erf(X / np.sqrt(2.0)))


def gelu_tanh(X):
    """GELU by its approximation with tanh."""
    return 0.5 * X * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (X + 0.044715 * X**3)))


def silu(X):
    """X σ(X)."""
    return X / (1.0 + np.exp(-X))


ACTIVATIONS = (relu, gelu, gelu_tanh)


class Target(NamedTuple):
    """What is called, before it is known how: its parameters and what it holds."""

    object: str
    name: str
    parameters: list    # [(name, default, required, role), …]
    weights: dict       # {role: [(name, array, facts), …]}
    attributes: dict
    sizes: SimpleNamespace
    torch: bool
    autograd: bool = False
    positional: tuple = ()
    others: tuple = ()  # weights that are arguments
    scaled: bool = False
    loose: tuple = ()   # weights whose names say nothing, in their order

    def parameter(self, *wanted):
        return next((name for name, _, _, role in self.parameters if role in wanted), "")


def sizes_of(hints, attributes=(), parameters=()):
    """Heads and widths to use: hints first, then what the object says, then defaults."""
    known = {}
    for name, value in dict(attributes).items():
        if isinstance(value, int) and not isinstance(value, bool):
            found = roles.role(name, roles.MAKE)
            known.setdefault(found, value)
    heads = hints.get("heads") or known.get("heads")
    groups = hints.get("kv_heads") or known.get("kv_heads")
    wants = {role for _, _, _, role in parameters}
    if not heads:
        heads = HEAD if wants & {"heads", "kv_heads", "config"} else 1
    if not groups:
        groups = 2 if "kv_heads" in wants and heads % 2 == 0 else heads
    width = hints.get("width") or known.get("width") or heads * WIDTH
    return SimpleNamespace(heads=heads, groups=groups, width=width, hidden=width + 8,
                           max_len=known.get("max_len"), layers=known.get("layers"))


def target(patient, hints, seed=0, plain=""):
    """The `Target`: a function as it is, a class built. Raises Trouble in one sentence."""
    facts = patient.facts
    if facts.kind == "function":
        return _function(patient, hints, seed)
    if facts.kind in ("class", "object"):
        return _object(patient, hints, seed, plain)
    raise Trouble(f"{patient.name} is of type {facts.kind}; name a function, a class or an object "
                  "that can be called")


def _function(patient, hints, seed):
    facts = patient.facts
    signature = facts.signature
    autograd = getattr(facts, "autograd", False)
    if autograd:
        signature = [p for p in signature]
    parameters = signature_roles(signature, roles.CALL)
    parameters = _named_inputs(parameters)
    sizes = sizes_of(hints, {n: d for n, d, *_ in parameters if d is not None}, parameters)
    if patient.apart and sizes.heads == 1:
        sizes = sizes_of({"heads": HEAD, **hints}, (), parameters)
    torch = patient.uses_torch and (autograd or _torch_code(patient))
    weights, others = _weight_arguments(patient, parameters, sizes, seed, hints)
    positional = tuple(parameters) if autograd or any(
        kind == "POSITIONAL_ONLY" for *_, kind, _ in signature) else ()
    return Target("", patient.name, parameters, weights, {}, sizes, torch, autograd, positional,
                  tuple(others))


def _torch_code(patient):
    """Whether the code works on tensors: it names torch, or methods that only they have."""
    import ast

    text = ast.unparse(patient.node())
    if re.search(r"\btorch\b|\bF\.|\bnn\.|masked_fill|unsqueeze|\.permute\(|\.size\(|Tensor",
                 text):
        return True
    return not re.search(r"\bnp\.|\bnumpy\b", text)


def _named_inputs(parameters):
    """Parameters whose names say nothing, that must be given: queries, keys, values by order."""
    found = [role for *_, role in parameters]
    needed = [n for n, _, required, role in parameters
              if required and role in (None, "x", "memory", "q")]
    if len(needed) == 3 and not {"k", "v"} & set(found):  # three inputs of any names, as (x, y, z)
        order = dict(zip(needed, "qkv", strict=True))
        return [(n, d, r, order.get(n, role)) for n, d, r, role in parameters]
    if {"q", "x"} & set(found):
        return parameters
    order, result = iter(("q", "k", "v")), []
    if "k" in found:
        order = iter(("q",))
    for name, default, required, role in parameters:
        if required and (role is None or role in ("memory", "heads", "head_dim")):
            role = next(order, role)
        result.append((name, default, required, role))
    return result


def _weight_arguments(patient, parameters, sizes, seed, hints):
    """Weights that the function takes as arguments, drawn: ({role: …}, [(name, spec), …])."""
    rng, found, others = np.random.default_rng([seed, 5]), {}, []
    names = [role for *_, role in parameters if role and role.startswith("weight:")]
    for name, default, required, role in parameters:
        if role and role.startswith("weight:"):
            key = role.split(":")[1]
            if not required and key not in names:
                continue
            X = apart(draw(rng, key, weight_shape(key, sizes)), key, sizes, patient.apart)
            found.setdefault(key, []).append((name, X, {}))
            others.append((name, ("array", X)))
        elif role == "params":
            keys, attributes = patient.keys_of(name)
            computed = not attributes and not any("q" in key.lower() for key in keys)
            keys = [*keys, *spelled(patient.text)] if computed else keys
            inner = {}
            for key in keys or attributes:
                kind = roles.weight_role(key, 0) or roles.weight_role(key, 2)
                if kind is None:
                    continue
                if computed and kind in found:  # the same under all spellings
                    inner[key] = ("array", found[kind][0][1])
                    continue
                X = draw(rng, kind, weight_shape(kind, sizes))
                found.setdefault(kind, []).append((key, X, {}))
                inner[key] = ("array", X)
            others.append((name, ("dict" if keys else "bag", inner)))
    return found, others


def apart(X, key, sizes, axes):
    """A weight whose heads have an axis of their own: "hdk" heads first, "dhk" behind the width."""
    d = sizes.width // sizes.heads
    if not axes or key[0] not in "Wb" or key[1:] not in ("q", "k", "v", "o") or key == "bo":
        return X
    if key[0] == "b" or key == "Wo":
        return X.reshape(-1, d, *X.shape[1:])
    Y = X.reshape(len(X), -1, d)
    return Y.swapaxes(0, 1) if axes == "hdk" else Y


def spelled(text):
    """Keys that a dict of weights may have, where the code puts them together."""
    letters = [*"qkvo"] if re.search(r"[\"']_?o[\"']|w_?o", text, re.IGNORECASE) else [*"qkv"]
    kinds = "wb" if re.search(r"[\"']_?b(ias)?_?[\"']|\bb_?[qkv]", text) else "w"
    return [form.format(k, x) for x in letters for k in kinds
            for form in ("{0}_{1}", "{0}{1}", "{1}_{0}", "{1}{0}")] + [
        form.format(k.upper(), x) for x in letters for k in kinds for form in ("{0}_{1}", "{0}{1}")]


def _object(patient, hints, seed, plain):
    facts, kwargs, parameters, given, sizes = patient.facts, {}, [], {}, sizes_of(hints)
    if facts.kind == "class":
        parameters = signature_roles(facts.signature, roles.MAKE)
        sizes = sizes_of(hints, {}, parameters)
        kwargs, given, sizes = _making(patient, parameters, hints, sizes, seed)
    method = _method(facts.methods)
    if method is None:
        raise Trouble(f"{patient.name} has no method that takes queries or inputs; it has "
                      f"{', '.join(facts.methods) or 'none'}")
    built = _built(patient, kwargs, seed)
    held = [(path, kind, patient.arrays[i], f) for path, kind, i, f in built["weights"]]
    inner = _named_inputs(signature_roles(facts.methods[method], roles.CALL))
    wants = {role for *_, role in parameters}
    fixed = {"width": sizes.width} if facts.kind == "class" and "width" in wants else {}
    found = sizes_of({**hints, **fixed}, built["attributes"], inner)
    if "heads" in wants:
        found.heads, found.groups = sizes.heads, sizes.groups
    found.hidden = sizes.hidden
    weights, loose, scaled = {}, (), False
    if given:
        weights = {key: [(name, X, {})] for name, (key, X) in given.items()}
    elif held:
        weights, loose, scaled = held_weights(patient, held, seed, plain, found)
    _fit_to_weights(found, weights, "width" in wants or "width" in hints)
    torch = bool(patient.uses_torch and (getattr(facts, "module", False) or _torch_code(patient)))
    extra, others = _weight_arguments(patient, inner, found, seed, hints)
    return Target("it", method, inner, extra or weights, built["attributes"], found, torch,
                  others=tuple(others), scaled=scaled, loose=loose)


def _built(patient, kwargs, seed):
    """What building the object tells: its weights and attributes. Raises Trouble."""
    built, = patient.ask(("build", "it", patient.name, [], kwargs, seed))
    if "error" in built:
        raise Trouble(f"{patient.name} cannot be built: {built['error']}{patient.place(built)}; "
                      "hints such as width=64 heads=4 say how")
    patient.unregistered = built.get("unregistered", [])
    return built


def _fit_to_weights(sizes, weights, known):
    """The width, unless it is known, and the heads, where weights tell them."""
    for key in () if known else ("Wq", "Wqkv"):
        if key in weights:
            name, X, f = weights[key][0]
            sizes.width = X.shape[-1] if f.get("linear") else X.shape[-2]
    if sizes.heads == 1 and "Wq" in weights and len(weights["Wq"]) > 1:
        sizes.heads = sizes.groups = len(weights["Wq"])
    if weights.get("Wq") and weights["Wq"][0][1].ndim == 3 and sizes.heads == 1:
        sizes.heads = sizes.groups = len(weights["Wq"][0][1])


def _method(methods):
    def good(name):
        found = {roles.role(p[0], roles.CALL) for p in methods[name]}
        return found & {"q", "x"} or name in ("forward", "__call__")

    for name in METHODS:
        if name in methods and good(name):
            return name
    return next((name for name in methods if good(name) and "back" not in name
                 and "grad" not in name and name not in ("step", "reset")), None) or next(
        (name for name in methods if good(name)), None)


def _making(patient, parameters, hints, sizes, seed):
    """Arguments of a constructor; ({name: spec}, weights that are given, sizes)."""
    parameters[:] = _named_sizes(parameters)
    _fit_sizes(parameters, hints, sizes)
    rng, kwargs, given = np.random.default_rng([seed, 5]), {}, {}
    for name, default, required, role in parameters:
        if role == "config" and default is not None:
            continue  # its own numbers
        if role and role.startswith("weight:"):
            key = role.split(":")[1]
            if required or key.startswith("W"):
                X = draw(rng, key, weight_shape(key, sizes))
                kwargs[name], given[name] = ("array", X), (key, X)
        elif role == "params" and (required or any(patient.keys_of(name))):
            kwargs[name], inner = _weights_of_a_dict(patient, name, rng, sizes)
            given |= inner
        elif spec := _argument(patient, name, default, required, role, hints, sizes, seed):
            kwargs[name] = spec
        elif required:
            raise Trouble(f"{patient.name} is built with `{name}`, and nothing says what that is; "
                          "give it a default, or a name such as d_model or num_heads")
    return kwargs, given, sizes


def _named_sizes(parameters):
    """Parameters that must be given and say nothing: the width, then the heads, where none is."""
    wants = {role for *_, role in parameters}
    missing = [role for role in ("width", "heads") if role not in wants]
    if "config" in wants or "params" in wants or any(r and r.startswith("weight:") for r in wants):
        return parameters
    if "width" in missing and "heads" not in missing and (widths := [
            n for n, *_, r in parameters if r == "hidden" and n.lower().startswith("hidden")]):
        missing.remove("width")  # hidden_dim beside mlp_dim, or alone beside num_heads
        parameters = [(n, d, need, "width" if n == widths[0] else r)
                      for n, d, need, r in parameters]
    found = []
    for name, default, required, role in parameters:
        if required and missing and (role is None or role == "hidden" and "width" in missing):
            role = missing.pop(0)
        found.append((name, default, required, role))
    return found


def _fit_sizes(parameters, hints, sizes):
    """Heads and widths that a constructor can be given."""
    wants = {role for _, _, _, role in parameters}
    if "heads" in wants and "heads" not in hints:
        own = next((d for _, d, _, r in parameters if r == "heads" and isinstance(d, int)), None)
        sizes.heads = own if own and own > 1 else sizes.heads
        if "kv_heads" not in wants:
            sizes.groups = sizes.heads
    if "kv_heads" in wants and "kv_heads" not in hints:
        sizes.groups = sizes.heads // 2 if sizes.heads % 2 == 0 else 1
    if "width" not in hints:
        sizes.width = sizes.heads * WIDTH
    sizes.hidden = sizes.width + 8


def _weights_of_a_dict(patient, name, rng, sizes):
    """(the argument, {key: (role, array)}) of weights that come together under one name."""
    keys, attributes = patient.keys_of(name)
    inner, given = {}, {}
    for key in keys or attributes:
        kind = roles.weight_role(key, 0) or roles.weight_role(key, 2)
        if kind:
            X = draw(rng, kind, weight_shape(kind, sizes))
            inner[key], given[key] = ("array", X), (kind, X)
    return ("dict" if keys else "bag", inner), given


def _argument(patient, name, default, required, role, hints, sizes, seed):
    """The value of one argument of a constructor; None: it keeps its default."""
    usual = {"width": sizes.width, "heads": sizes.heads, "kv_heads": sizes.groups,
             "head_dim": sizes.width // sizes.heads, "hidden": sizes.hidden, "max_len": 160,
             "layers": 1, "tile": 4, "seed": seed, "train": False}
    if role == "config":
        return _config(patient, name, sizes)
    if role == "rng" and (required or default is None):
        return "rng", seed, patient.old_random()
    if role == "dropout" and (required or default is not None):
        known = getattr(patient.facts, "module", False) or default or _has_mode(patient)
        return "value", RATE if known else 0.0
    if role == "causal" and (required or "causal" in hints):
        return "value", hints.get("causal") == "yes"
    if role == "flag_bias" and (required or default is False):
        return "value", True
    if role in ("head_dim", "width") and not required and default is None:
        return None
    always = ("kv_heads", "hidden", "head_dim", "heads", "width", "max_len", "tile")
    return ("value", usual[role]) if role in usual and (required or role in always) else None


def _has_mode(patient):
    """Whether evaluation can be told from training."""
    text = patient.text
    return bool(re.search(r"\btraining\b|\btrain\b|deterministic|\beval\b", text))


def _config(patient, name, sizes):
    values = {}
    holds = rf"\b(?:{re.escape(name)}|self\._?(?:config|cfg|conf|args|hparams))\.(\w+)"
    for node_name in set(re.findall(holds, patient.text)):
        role = roles.role(node_name, roles.MAKE) or roles.likely_role(node_name, roles.MAKE)
        values[node_name] = {
            "width": sizes.width, "heads": sizes.heads, "kv_heads": sizes.groups, "max_len": 160,
            "hidden": sizes.hidden, "dropout": 0.0, "flag_bias": True, "layers": 1,
            "head_dim": sizes.width // sizes.heads, "causal": True}.get(role)
    return "bag", {key: ("value", value) for key, value in values.items()}
