"""Find out how code is called: from its signature, its defaults, its weights, and by trying."""

import ast
import re
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from npattn.doctor import roles
from npattn.doctor.making import WIDTH, making
from npattn.doctor.patient import signature_roles
from npattn.doctor.weights import draw, held_weights, weight_shape
from npattn.strangers import Trouble

METHODS = (
    "forward", "__call__", "call", "attend", "attention", "apply", "run", "encode", "compute")
HEAD = 4   # heads, where the code does not say


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


def target(patient, hints, seed=0, plain=""):
    """The `Target`: a function as it is, a class built. Raises Trouble in one sentence."""
    facts = patient.facts
    if facts.kind == "function":
        return _function(patient, hints, seed)
    if facts.kind in ("class", "object"):
        return _object(patient, hints, seed, plain)
    raise Trouble(f"{patient.name} is of type {facts.kind}; name a function, a class or an object "
                  "that can be called")


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


def _function(patient, hints, seed):
    facts = patient.facts
    signature, autograd = facts.signature, getattr(facts, "autograd", False)
    parameters = _named_inputs(signature_roles(signature, roles.CALL))
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
        kwargs, given, sizes = making(patient, parameters, hints, sizes, seed)
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
