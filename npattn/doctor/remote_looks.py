"""In the process of a file: what a thing in it is, and how it can be called."""

import contextlib
import inspect

from npattn.doctor.remote_objects import torch_there


def described(target):
    """Its kind, signature and methods, and the lines in which it stands."""
    torch, found = torch_there(), {}
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
    torch, found = torch_there(), {}
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
