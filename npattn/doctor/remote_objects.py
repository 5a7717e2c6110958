"""In the process of a file: its objects, their weights, and the arrays that they hold.

    STATE["module"]              the file
    STATE[key]                   what is kept under a name: an object, or what a call returned
    STATE[key + "*"]             the object as it was made, or as its weights were set
    STATE["made", key]           how an object was made: name, args, kwargs, seed
    STATE["values", key]         its weights that were set
"""

import contextlib
import copy
import inspect
import random
import sys
import types

import numpy as np

from npattn.doctor import remote_torch

STATE = {}
WIDE = 40  # weights of an object that are looked at


def find(name):
    """What has this name in the file; dots lead into it. Raises AttributeError."""
    value = STATE["module"]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def torch_there():
    """The module torch, where the file has imported it; else None."""
    return sys.modules.get("torch")


def seed_all(seed, torch=None):
    """Seed the generators of Python, NumPy and, where it is given, torch."""
    np.random.seed(seed)
    random.seed(seed)
    if torch:
        torch.manual_seed(seed)


def value_of(spec, torch=None, dtype=None, strided=False, want=False):
    """What a specification stands for (see remote).

    torch    tensors and not arrays; dtype and strided are theirs, want: with gradients
    """
    kind, *rest = spec
    if kind in ("array", "exact"):
        X = np.array(rest[0])
        if dtype and kind == "array" and X.dtype.kind == "f":
            X = X.astype(dtype)
        if strided and X.ndim > 1:
            X = np.repeat(X, 2, axis=-1)[..., ::2]
        return _tensor(torch, X, strided, want) if torch else X
    if kind == "kept":
        value = STATE[rest[0]]
        for step in rest[1:]:
            value = getattr(value, step) if isinstance(step, str) and hasattr(
                value, step) else value[step]
        return value
    if kind == "new":
        return find(rest[0])(*rest[1:])
    if kind == "rng":
        if rest[1:] == [True]:
            return np.random.RandomState(rest[0])
        return np.random.default_rng(rest[0])
    if kind == "none":
        return None
    if kind == "dict":
        return {k: value_of(v, torch, dtype) for k, v in rest[0].items()}
    if kind == "bag":
        return types.SimpleNamespace(**{k: value_of(v, torch, dtype) for k, v in rest[0].items()})
    if kind == "tuple":
        return tuple(value_of(v, torch, dtype) for v in rest[0])
    return rest[0]


def _tensor(torch, X, strided, want):
    if strided and X.ndim > 1:
        Y = torch.from_numpy(np.ascontiguousarray(X.swapaxes(-1, -2))).transpose(-1, -2)
    else:
        Y = torch.from_numpy(X.copy() if strided else X)
    return Y.requires_grad_() if want and X.dtype.kind == "f" else Y


def build(path, arrays, key, name, args, kwargs, seed):
    """Make an object; its weights, what else it keeps, and modules that are not registered."""
    seed_all(seed, torch_there())
    STATE["made", key] = name, args, kwargs, seed
    target = find(name)
    if inspect.isclass(target):
        args = [value_of(a) for a in args]
        kwargs = {k: value_of(v) for k, v in kwargs.items()}
        target = target(*args, **kwargs)
    else:
        target = copy.deepcopy(target)
    torch = torch_there()  # now, since an object may be the first to import it
    if torch and isinstance(target, torch.nn.Module):
        target = target.double().eval()
    STATE[key] = target
    _keep_fresh(key)
    names = []
    for where, kind, X, facts in _weights(target):
        names.append([where, kind, len(arrays), facts])
        arrays.append(X)
    lost = remote_torch.unregistered(torch, target) if torch else []
    return {"weights": names, "attributes": _plain(target), "unregistered": lost}


def _plain(target):
    """Numbers and words that an object keeps, itself or in its config."""
    own = dict(getattr(target, "__dict__", {}))
    for key in ("config", "cfg", "conf", "args", "hparams"):
        own = {**getattr(own.get(key), "__dict__", {}), **own}
    return {k: v for k, v in own.items() if isinstance(v, (bool, int, float, str))}


def _keep_fresh(key):
    """A copy under `key*`, for calls that must not see what earlier ones left behind."""
    with contextlib.suppress(Exception):
        STATE[key + "*"] = copy.deepcopy(STATE[key])


def _weights(target):
    """(path, kind, array, facts) of all the arrays that an object holds."""
    torch, found = torch_there(), []
    if torch and isinstance(target, torch.nn.Module):
        linear = {name for name, m in target.named_modules() if isinstance(m, torch.nn.Linear)}
        for name, p in target.named_parameters():
            facts = {"linear": name.rpartition(".")[0] in linear or name.endswith("in_proj_weight")}
            found.append((name, "parameter", p.detach().numpy().copy(), facts))
        for name, module in target.named_modules():
            own = {}
            if isinstance(module, torch.nn.LayerNorm):
                own = {"weight": {"eps": module.eps, "gain": True}, "bias": {"shift": True}}
            elif hasattr(torch.nn, "RMSNorm") and isinstance(module, torch.nn.RMSNorm):
                eps = module.eps or torch.finfo(torch.float64).eps
                own = {"weight": {"eps": eps, "gain": True}}
            elif isinstance(module, torch.nn.Conv1d) and module.kernel_size == (1,):
                own = {"weight": {"linear": True, "conv": True}}
            for last, more in own.items():
                found = [(n, k, X, f | (more if n == f"{name}.{last}" else {}))
                         for n, k, X, f in found]
        return found
    walk(target, (), found, set())
    return found[:WIDE]


def walk(value, path, found, seen):
    """Append (path, "array", X, {}) to `found` for each array of floats in a value."""
    if id(value) in seen or len(path) > 4:
        return
    torch = torch_there()
    if isinstance(value, np.ndarray) or torch and isinstance(value, torch.Tensor):
        X = np.array(value.detach().numpy() if not isinstance(value, np.ndarray) else value)
        if X.dtype.kind == "f" and X.ndim:
            found.append((list(path), "array", X, {}))
        return
    seen.add(id(value))
    for key, inner in children(value):
        walk(inner, (*path, key), found, seen)


def children(value):
    """[(step, value), …]: what a container, or an object of the file, holds."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if type(value).__module__ in ("patient", "types") and not isinstance(value, types.ModuleType):
        if not inspect.isclass(value) and not inspect.isroutine(value):
            return list(getattr(value, "__dict__", {}).items())
    return []


def _part(owner, step):
    plain = isinstance(owner, (dict, list, tuple)) and not hasattr(owner, "_fields")
    return owner[step] if plain else getattr(owner, step)


def set_weights(path, arrays, key, values):
    """Give other values [(path, array), …] to weights of an object."""
    target, torch = STATE[key], torch_there()
    known = {str(where): (where, X) for where, X in [*STATE.get(("values", key), ()), *values]}
    STATE["values", key] = list(known.values())
    for where, X in values:
        if torch and isinstance(target, torch.nn.Module):
            with torch.no_grad():
                p = dict(target.named_parameters())[where]
                p.copy_(torch.from_numpy(np.array(X)).to(p.dtype))
            continue
        owner = target
        for step in where[:-1]:
            owner = _part(owner, step)
        last = where[-1]
        old = _part(owner, last)
        if torch and isinstance(old, torch.Tensor):
            with torch.no_grad():
                old.copy_(torch.from_numpy(np.array(X)).to(old.dtype))
            continue
        try:
            old[...] = X
        except (ValueError, TypeError):
            if isinstance(owner, (dict, list)):
                owner[last] = X
            else:
                setattr(owner, last, X)
    _keep_fresh(key)
    return {}


def state(path, arrays, key):
    """All arrays that an object holds now: [(name, number), …]."""
    found, names = [], []
    walk(STATE[key], (), found, set())
    for where, _, X, _ in found:
        names.append([".".join(map(str, where)), len(arrays)])
        arrays.append(X)
    return {"arrays": names}
