"""What a constructor is given: sizes, weights and settings, by the names of its parameters."""

import re

import numpy as np

from npattn.doctor import roles
from npattn.doctor.weights import draw, weight_shape
from npattn.strangers import Trouble

WIDTH = 6  # features of a head
RATE = 0.3  # of dropout: not 0.5, where p and 1 − p are the same


def making(patient, parameters, hints, sizes, seed):
    """Arguments of a constructor: ({name: spec}, weights that are given, sizes).

    Raises Trouble where one must be given and nothing says what it is.
    """
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
    alone = "head_dim" in wants and "heads" not in wants and sizes.heads == 1
    sizes.head_dim = sizes.width // sizes.heads - 2 * alone  # one head is narrower than the model


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
             "head_dim": sizes.head_dim, "hidden": sizes.hidden, "max_len": 160,
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
