"""In the process of a file: one call, its arguments, and what comes back."""

import contextlib
import copy
import inspect

import numpy as np

from npattn.doctor import remote_torch
from npattn.doctor.remote_objects import (
    STATE, WIDE, children, find, seed_all, state, torch_there, value_of,
)


def call(path, arrays, spec):
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
    torch, upstream = torch_there() if spec.get("torch") else None, spec.get("upstream")
    seed_all(spec.get("seed", 0), torch)
    owner = _owner(spec)
    make = dict(torch=torch, dtype=spec.get("dtype"), strided=spec.get("strided"),
                want=upstream is not None)
    args = [value_of(a, **make) for a in spec.get("args", ())]
    kwargs = {k: value_of(v, **make) for k, v in spec.get("kwargs", {}).items()}
    given = [*enumerate(args), *kwargs.items()]
    before = [(label, a, _copy(a)) for label, a in given]
    function = _function(spec, owner)
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
    held = state(path, arrays, spec["state"])["arrays"] if spec.get("state") else []
    wrote = [str(n) for n, a, old in before if old is not None and not _same(a, old)]
    answer = {"out": found, "state": held, "wrote": wrote}
    if upstream is not None:
        gradients = remote_torch.gradients(torch, out, upstream, [a for _, a in given])
        answer["gradients"] = [*range(len(arrays), len(arrays) + len(gradients))]
        arrays += gradients
    if spec.get("slopes"):
        def again():
            torch.manual_seed(spec.get("seed", 0))
            return function(*args, **kwargs)

        leaves = _leaves(torch, given, owner)
        answer["slopes"] = remote_torch.slopes(torch, again, upstream, leaves)
    return answer


def _owner(spec):
    """The object of a call, in the dtype and mode that it asks for; None where there is none."""
    torch, owner = torch_there(), STATE[spec["object"]] if spec.get("object") else None
    if spec.get("fresh"):
        owner = copy.deepcopy(STATE.get(f"{spec['object']}*", owner))
    if torch and owner is not None and isinstance(owner, torch.nn.Module):
        if spec.get("dtype", "float64") != "float64":
            owner = copy.deepcopy(owner).to(getattr(torch, spec["dtype"]))
        if spec.get("quiet"):
            owner = remote_torch.without_dropout(torch, copy.deepcopy(owner))
        owner.train(bool(spec.get("train")))
    elif owner is not None and (switch := getattr(
            owner, "train" if spec.get("train") else "eval", None)) and callable(switch):
        with contextlib.suppress(TypeError):
            switch()
    for attr, value in spec.get("attributes", {}).items():
        setattr(owner, attr, value)
    return owner


def _function(spec, owner):
    """What is called: a function of the file, the object itself, or a method of it."""
    name = spec.get("name")
    if owner is None:
        function = find(name)
        return function.apply if spec.get("autograd") and inspect.isclass(function) else function
    if name in (None, "__call__"):
        return owner if callable(owner) else owner.forward
    return owner if name == "forward" and callable(owner) else getattr(owner, name)


def _leaves(torch, given, owner):
    """(name, tensor) of all arguments and weights that have gradients."""
    leaves = [(n, X) for n, X in given if isinstance(X, torch.Tensor) and X.requires_grad]
    held = owner.named_parameters() if isinstance(owner, torch.nn.Module) else ()
    return leaves + [(n, p) for n, p in held if p.requires_grad]


def _copy(a):
    torch = torch_there()
    if isinstance(a, np.ndarray):
        return a.copy()
    return a.detach().clone() if torch and isinstance(a, torch.Tensor) else None


def _numbers(value):
    """Whether nested lists hold numbers alone, as an array that is written in plain Python."""
    return all(_numbers(v) if isinstance(v, list) else isinstance(v, (int, float)) for v in value)


def _same(a, old):
    if isinstance(a, np.ndarray):
        return a.shape == old.shape and np.array_equal(a, old, equal_nan=a.dtype.kind == "f")
    X, Y = a.detach().numpy(), old.numpy()
    return X.shape == Y.shape and np.array_equal(X, Y, equal_nan=X.dtype.kind == "f")


def _flatten(value, path, found, arrays, depth=0):
    torch = torch_there()
    if torch and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, list) and value and _numbers(value):
        value = np.array(value)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiubc":
        found.append([list(map(str, path)), len(arrays)])
        arrays.append(np.array(value))
        return
    if depth < 4 and len(found) < WIDE:
        for key, inner in children(value):
            _flatten(inner, (*path, key), found, arrays, depth + 1)
