"""In the process of its own: load a file, build its objects, make many calls, return arrays.

Nothing here judges. A request is a list of steps, and each step has an answer; arrays go and come
as they are, values of Python go in only. What a call returns may be kept here under a name, so that
a cache can be handed to the next call.

    ("load", name)                             what it is, signatures, names in the file
    ("build", key, name, args, kwargs, seed)   an object; its weights come back
    ("set", key, [(path, array), ...])         other values for its weights
    ("call", {...})                            see `_call`
    ("variant", text, steps)                   answers to steps, if the file had another text

Values: ("array", X), ("exact", X) in its own dtype, ("kept", key), ("value", anything), and
("new", name) for an object of a class of the file.
"""

import contextlib
import copy
import importlib.util
import inspect
import random
import signal
import sys
import time
import traceback
import types
import warnings

import numpy as np

from npattn.doctor import remote_torch

STATE = {}
WIDE = 40  # weights of an object that are looked at
WORDS = 160
PATIENCE = 1.0  # seconds for all steps of one variant


def answer(path, request):
    """(answers of all steps, arrays); an answer refers to an array by its number."""
    arrays, answers = [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for kind, *rest in request:
            try:
                answers.append(STEPS[kind](path, arrays, *rest))
            except BaseException as error:  # whatever it is, the user is told
                answers.append({"error": told(error, path), **_place(error, path)})
    return answers, arrays


def told(error, path):
    """The error in one line, with the line of the file."""
    words = " ".join(str(error).split())[:WORDS]
    if isinstance(error, MemoryError):
        words = words or "it wants more memory than it may have"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _place(error, path):
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    own = {"inside": bool(lines)}
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    return own | ({"line": lines[-1]} if lines else {})


def _load(path, arrays, name):
    if "module" not in STATE:
        if "name" not in STATE:
            sys.path.insert(0, str(path).rpartition("/")[0])
        STATE.setdefault("name", name)
        spec = importlib.util.spec_from_file_location("patient", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        random.seed(0)
        np.random.seed(0)
        spec.loader.exec_module(module)
        STATE["module"] = module
    module, names = STATE["module"], {}
    for key, value in vars(module).items():
        own = getattr(value, "__module__", None) == "patient"
        if own and (inspect.isclass(value) or callable(value)) and not key.startswith("__"):
            names[key] = "class" if inspect.isclass(value) else "function"
    try:
        target = _find(name)
    except AttributeError:
        return {"names": names, "missing": name}
    return {"names": names, "torch": _torch() is not None, **_described(target)}


def _find(name):
    value = STATE["module"]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _torch():
    return sys.modules.get("torch")


def _described(target):
    torch, found = _torch(), {}
    owner = getattr(target, "__self__", None)
    if torch and inspect.isclass(owner) and issubclass(owner, torch.autograd.Function):
        target = owner  # attend = Attend.apply
    if inspect.isclass(target):
        found["kind"] = "class"
        if torch and issubclass(target, torch.autograd.Function):
            found |= {"kind": "function", "autograd": True}
            found["signature"] = _signature(target.forward)[1:]
            return found | _where(target)
        found["module"] = bool(torch and issubclass(target, torch.nn.Module))
        found["signature"] = _signature(target.__init__)[1:]
        found["methods"] = _methods(target)
    elif callable(target) and (inspect.isroutine(target) or not hasattr(target, "__dict__")):
        found |= {"kind": "function", "signature": _signature(target)}
    elif callable(target) or hasattr(target, "forward"):
        found |= {"kind": "object", "methods": _methods(type(target)),
                  "module": bool(torch and isinstance(target, torch.nn.Module))}
    else:
        found["kind"] = type(target).__name__
    return found | _where(target)


def _where(target):
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(target))
        return {"first": first, "last": first + len(lines) - 1}
    except (OSError, TypeError):
        return {}


def _methods(cls):
    torch, found = _torch(), {}
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        base = torch and hasattr(torch.nn.Module, name)
        if name in ("forward", "__call__") or not name.startswith("_") and not base:
            if inspect.isfunction(value) or isinstance(value, (staticmethod, classmethod)):
                with contextlib.suppress(ValueError, TypeError):
                    skip = 0 if isinstance(value, staticmethod) else 1
                    found[name] = _signature(getattr(cls, name) if not skip else value)[skip:]
    if torch and issubclass(cls, torch.nn.Module):
        found.pop("__call__", None)
    return found


def _signature(function):
    """[(name, default or None, whether it must be given, kind), ...]."""
    if isinstance(function, classmethod):
        function = function.__func__
    found = []
    for p in inspect.signature(function).parameters.values():
        default = None if p.default is p.empty else p.default
        plain = default is None or isinstance(default, (bool, int, float, str))
        note = "" if p.annotation is p.empty else str(getattr(p.annotation, "__name__",
                                                              p.annotation))
        shown = default if plain else type(default).__name__
        found.append([p.name, shown, p.default is p.empty, p.kind.name, note])
    return found


# ---- objects and their weights ----


def _build(path, arrays, key, name, args, kwargs, seed):
    np.random.seed(seed)
    random.seed(seed)
    if _torch():
        _torch().manual_seed(seed)
    STATE["made", key] = name, args, kwargs, seed
    target = _find(name)
    if inspect.isclass(target):
        args = [_value(a) for a in args]
        kwargs = {k: _value(v) for k, v in kwargs.items()}
        target = target(*args, **kwargs)
    else:
        target = copy.deepcopy(target)
    torch = _torch()
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
    torch, found = _torch(), []
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
    _walk(target, (), found, set())
    return found[:WIDE]


def _walk(value, path, found, seen):
    if id(value) in seen or len(path) > 4:
        return
    torch = _torch()
    if isinstance(value, np.ndarray) or torch and isinstance(value, torch.Tensor):
        X = np.array(value.detach().numpy() if not isinstance(value, np.ndarray) else value)
        if X.dtype.kind == "f" and X.ndim:
            found.append((list(path), "array", X, {}))
        return
    seen.add(id(value))
    for key, inner in _children(value):
        _walk(inner, (*path, key), found, seen)


def _children(value):
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


def _set(path, arrays, key, values):
    target, torch = STATE[key], _torch()
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


# ---- calls ----


def _value(spec, torch=None, dtype=None, strided=False, done=None, want=False):
    kind, *rest = spec
    if kind in ("array", "exact"):
        X = np.array(rest[0])
        if dtype and kind == "array" and X.dtype.kind == "f":
            X = X.astype(dtype)
        if strided and X.ndim > 1:
            X = np.repeat(X, 2, axis=-1)[..., ::2]
        if not torch:
            return X
        Y = torch.from_numpy(X) if not strided else torch.from_numpy(
            np.ascontiguousarray(X.swapaxes(-1, -2))).transpose(-1, -2) if X.ndim > 1 else (
            torch.from_numpy(X.copy()))
        if want and X.dtype.kind == "f":
            Y = Y.requires_grad_()
        return Y
    if kind == "kept":
        value = STATE[rest[0]]
        for step in rest[1:]:
            value = getattr(value, step) if isinstance(step, str) and hasattr(
                value, step) else value[step]
        return value
    if kind == "new":
        return _find(rest[0])(*rest[1:])
    if kind == "rng":
        if rest[1:] == [True]:
            return np.random.RandomState(rest[0])
        return np.random.default_rng(rest[0])
    if kind == "none":
        return None
    if kind == "dict":
        return {k: _value(v, torch, dtype) for k, v in rest[0].items()}
    if kind == "bag":
        return types.SimpleNamespace(**{k: _value(v, torch, dtype) for k, v in rest[0].items()})
    if kind == "tuple":
        return tuple(_value(v, torch, dtype) for v in rest[0])
    return rest[0]


def _call(path, arrays, spec):
    """One call; {"out": [[path, number of an array], ...], "wrote": names, "dtype": ...}.

    object, name   what is called: a method of an object, or a function of the file
    args, kwargs   specifications of values
    keep           a name for what is returned
    state          an object whose arrays come back, too
    torch, dtype, strided, train, seed
    upstream       torch only: gradients of the arguments are returned for this one
    slopes         torch only: those of the weights and arguments along directions, twice
    quiet          torch only: a module's rates of dropout are 0
    elsewhere      torch only: what happens on another device
    """
    torch = _torch() if spec.get("torch") else None
    np.random.seed(spec.get("seed", 0))
    random.seed(spec.get("seed", 0))
    if torch:
        torch.manual_seed(spec.get("seed", 0))
    owner = STATE[spec["object"]] if spec.get("object") else None
    if spec.get("fresh"):
        owner = copy.deepcopy(STATE.get(f"{spec['object']}*", owner))
    if _torch() and owner is not None and isinstance(owner, _torch().nn.Module):
        if spec.get("dtype", "float64") != "float64":
            owner = copy.deepcopy(owner).to(getattr(_torch(), spec["dtype"]))
        if spec.get("quiet"):
            owner = remote_torch.without_dropout(_torch(), copy.deepcopy(owner))
        owner.train(bool(spec.get("train")))
    elif owner is not None and (switch := getattr(
            owner, "train" if spec.get("train") else "eval", None)) and callable(switch):
        with contextlib.suppress(TypeError):
            switch()
    for attr, value in spec.get("attributes", {}).items():
        setattr(owner, attr, value)
    upstream = spec.get("upstream")
    make = dict(torch=torch, dtype=spec.get("dtype"), strided=spec.get("strided"),
                want=upstream is not None)
    args = [_value(a, **make) for a in spec.get("args", ())]
    kwargs = {k: _value(v, **make) for k, v in spec.get("kwargs", {}).items()}
    before = [(label, a, _copy(a)) for label, a in [*enumerate(args), *kwargs.items()]]
    name = spec.get("name")
    if owner is None:
        function = _find(name)
        if spec.get("autograd") and inspect.isclass(function):
            function = function.apply
    elif name in (None, "__call__"):
        function = owner if callable(owner) else owner.forward
    else:
        function = owner if name == "forward" and callable(owner) else getattr(owner, name)
    if spec.get("elsewhere"):
        return remote_torch.elsewhere(torch, owner, function, args, kwargs)
    quiet = torch.no_grad() if torch and upstream is None and not spec.get("autograd") else (
        contextlib.nullcontext())
    with quiet:
        out = function(*args, **kwargs)
    if spec.get("keep"):
        STATE[spec["keep"]] = out
    found = []
    _flatten(out, (), found, arrays)
    held = _state(path, arrays, spec["state"])["arrays"] if spec.get("state") else []
    wrote = [str(n) for n, a, old in before if old is not None and not _same(a, old)]
    answer = {"out": found, "state": held, "wrote": wrote}
    if upstream is not None:
        given = remote_torch.gradients(torch, out, upstream, [*args, *kwargs.values()])
        answer["gradients"] = [*range(len(arrays), len(arrays) + len(given))]
        arrays += given
    if spec.get("slopes"):
        def again():
            torch.manual_seed(spec.get("seed", 0))
            return function(*args, **kwargs)

        leaves = [(n, X) for n, X in [*enumerate(args), *kwargs.items()] if isinstance(
            X, torch.Tensor) and X.requires_grad]
        held = owner.named_parameters() if isinstance(owner, torch.nn.Module) else ()
        leaves += [(n, p) for n, p in held if p.requires_grad]
        answer["slopes"] = remote_torch.slopes(torch, again, upstream, leaves)
    return answer


def _copy(a):
    torch = _torch()
    if isinstance(a, np.ndarray):
        return a.copy()
    return a.detach().clone() if torch and isinstance(a, torch.Tensor) else None


def _same(a, old):
    if isinstance(a, np.ndarray):
        return a.shape == old.shape and np.array_equal(a, old, equal_nan=a.dtype.kind == "f")
    X, Y = a.detach().numpy(), old.numpy()
    return X.shape == Y.shape and np.array_equal(X, Y, equal_nan=X.dtype.kind == "f")


def _flatten(value, path, found, arrays, depth=0):
    torch = _torch()
    if torch and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiubc":
        found.append([list(map(str, path)), len(arrays)])
        arrays.append(np.array(value))
        return
    if depth < 4 and len(found) < WIDE:
        for key, inner in _children(value):
            _flatten(inner, (*path, key), found, arrays, depth + 1)


def _state(path, arrays, key):
    """All arrays that an object holds now: [(name, number), …]."""
    found, names = [], []
    _walk(STATE[key], (), found, set())
    for where, _, X, _ in found:
        names.append([".".join(map(str, where)), len(arrays)])
        arrays.append(X)
    return {"arrays": names}


def _pristine(path, arrays, key):
    """As if nothing had been called: the file is run again, the object built again."""
    made, values = STATE.get(("made", key)), STATE.get(("values", key))
    STATE.pop("module", None)
    _load(path, arrays, STATE["name"])
    if made:
        _build(path, [], key, *made)
        if values:
            _set(path, [], key, values)
    return {}


def _variant(path, arrays, text, steps):
    """The answers to steps as they would be if the file had another text."""
    kept, module, began = dict(STATE), sys.modules.get("patient"), time.process_time()
    try:
        with _limited(PATIENCE):
            made = types.ModuleType("patient")
            made.__file__ = str(path)
            sys.modules["patient"] = STATE["module"] = made
            random.seed(0)
            np.random.seed(0)
            exec(compile(text, str(path), "exec"), vars(made))
            for key in [key for key in kept if key[0] == "made"]:
                _build(path, [], key[1], *kept[key])
                if values := kept.get(("values", key[1])):
                    _set(path, [], key[1], values)
            answers = [_answered(path, arrays, *step) for step in steps]
    except Exception:  # it cannot be run, or takes too long: then it is no repair
        answers = []
    finally:
        STATE.clear()
        STATE.update(kept)
        sys.modules["patient"] = module
    return {"answers": answers, "seconds": time.process_time() - began}


def _answered(path, arrays, kind, *rest):
    try:
        return STEPS[kind](path, arrays, *rest)
    except TimeoutError:
        raise
    except Exception as error:  # an answer like others
        return {"error": told(error, path), **_place(error, path)}


@contextlib.contextmanager
def _limited(seconds):
    """TimeoutError in what takes longer, where the system can do that."""
    def late(*_):
        raise TimeoutError(f"more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


STEPS = {"load": _load, "build": _build, "set": _set, "call": _call, "state": _state,
         "pristine": _pristine, "variant": _variant}
