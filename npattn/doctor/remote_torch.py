"""In the process of its own, what only torch has: its gradients, and another device.

Nothing here judges. `call` stands for one call of the code, made ready: `call()` gives its output.
"""

import copy
import importlib

import numpy as np

STEPS = (1e-4, 5e-5)  # of the differences along one direction


def tensors(torch, value, found):
    """All tensors in what a call returned, in their order."""
    if isinstance(value, torch.Tensor):
        found.append(value)
    elif isinstance(value, dict):
        for v in value.values():
            tensors(torch, v, found)
    elif isinstance(value, (tuple, list)):
        for v in value:
            tensors(torch, v, found)
    return found


def _total(torch, out, upstream):
    """The sum of outputs times their upstream gradients: a number that can be differentiated."""
    leaves = tensors(torch, out, [])
    return sum((leaves[number] * torch.from_numpy(np.array(dY)).to(leaves[number].dtype)).sum()
               for number, dY in upstream)


def gradients(torch, out, upstream, args):
    """autograd's gradients of the arguments that ask for one, as arrays."""
    given = [a for a in args if isinstance(a, torch.Tensor) and a.requires_grad]
    found = torch.autograd.grad(_total(torch, out, upstream), given, allow_unused=True)
    return [(g if g is not None else torch.zeros_like(a)).detach().numpy()
            for g, a in zip(found, given, strict=True)]


def slopes(torch, call, upstream, leaves):
    """[[name, autograd's slope, that of differences, the same with a smaller step], …].

    leaves  [(name, tensor), …], each moved along one direction; they are left as they were
    """
    total = _total(torch, call(), upstream)
    found = torch.autograd.grad(total, [X for _, X in leaves], allow_unused=True)
    told = []
    for i, ((name, X), G) in enumerate(zip(leaves, found, strict=True)):
        R = torch.from_numpy(np.random.default_rng([i, 11]).standard_normal(tuple(X.shape)))
        own = 0.0 if G is None else float((G * R).sum())
        told.append([name, own, *(_difference(torch, call, upstream, X, R, h) for h in STEPS)])
    return told


def _difference(torch, call, upstream, X, R, h):
    """The slope along R, of fourth order."""
    old, values = X.detach().clone(), []
    with torch.no_grad():
        for k in (-2, -1, 1, 2):
            X.copy_(old + k * h * R)
            values.append(float(_total(torch, call(), upstream)))
        X.copy_(old)
    a, b, c, d = values
    return (a - 8 * b + 8 * c - d) / (12 * h)


def without_dropout(torch, module):
    """The module with all rates of dropout at 0."""
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, float) and ("drop" in name or isinstance(
                    part, torch.nn.modules.dropout._DropoutNd)):
                vars(part)[name] = 0.0
    return module


def elsewhere(torch, owner, function, args, kwargs):
    """{"kept": whether the output is where the arguments are}, of a call on another device.

    No device is needed: torch computes with tensors that have a shape and a place, and no numbers;
    the other place is its `meta`.
    """
    fake = importlib.import_module("torch._subclasses.fake_tensor")
    config = importlib.import_module("torch._functorch.config")
    place, owner = torch.device("meta"), copy.deepcopy(owner)
    with config.patch(fake_tensor_allow_meta=True), fake.FakeTensorMode(
            allow_non_fake_inputs=True) as mode, torch.no_grad():
        def moved(value):
            if isinstance(value, torch.Tensor):
                return fake.FakeTensor(mode, value.detach().to("meta"), place)
            if isinstance(value, dict):
                return {k: moved(v) for k, v in value.items()}
            return type(value)(map(moved, value)) if type(value) in (list, tuple) else value

        args, kwargs = moved(list(args)), moved(kwargs)
        if isinstance(owner, torch.nn.Module):
            held = moved({**dict(owner.named_parameters()), **dict(owner.named_buffers())})
            out = torch.func.functional_call(owner, held, tuple(args), kwargs)
        else:
            out = function(*args, **kwargs)
        found = tensors(torch, out, [])
        return {"kept": all(Y.device.type == "meta" for Y in found)} if found else {}


def unregistered(torch, target):
    """Attributes of a module that hold modules or parameters in a plain list or dict."""
    if not isinstance(target, torch.nn.Module):
        return []
    known = {id(m) for m in target.modules()} | {id(p) for p in target.parameters()}
    found = []
    for module in target.modules():
        for name, value in vars(module).items():
            parts = value.values() if isinstance(value, dict) else value
            if name.startswith("_") or not isinstance(value, (list, tuple, dict)):
                continue
            if any(isinstance(p, (torch.nn.Module, torch.nn.Parameter)) and id(p) not in known
                   for p in parts):
                found.append(name)
    return found
