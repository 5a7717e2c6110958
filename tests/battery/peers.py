"""Other people's gradient checkers on the same entries, each with its own defaults.

`plain(entry)` is what all of them can take: a function of arrays that gives one row of numbers, and
its backward. Each checker answers (verdict, message), the verdict being "right" or "wrong"; what it
raises that is no verdict passes through.
"""

import copy
import dataclasses
import warnings
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from npattn import gradcheck
from npattn.checking import gradcheck_layer


def plain(entry):
    """arrays, forward(*arrays) -> row, vjp(dY, *arrays) -> gradients of the arrays."""
    if entry.way == "layer":
        return _plain_layer(entry)
    leaves = []
    rebuild = _planted(entry.inputs, leaves)

    def forward(*arrays):
        result = entry.f(*rebuild(arrays))
        Y = result[0] if type(result) is tuple else result
        return _row(Y)

    def vjp(dY, *arrays):
        args = rebuild(arrays)
        result = entry.f(*args)
        if entry.way == "loss":
            return [np.asarray(dY[0] * g) for g in _arrays(result[1])]
        Y, cache = result if type(result) is tuple else (result, result)
        return _arrays(entry.backward(_shaped(dY, Y), cache))

    return leaves, forward, vjp


def _plain_layer(entry):
    options = dict(entry.options)
    params = options.pop("params", {})
    names = {"forward": "forward", "backward": "backward", **options}
    floats = [x for x in entry.inputs if x.dtype.kind == "f"]
    first = entry.f()
    arrays = [*floats, *(np.array(eval(f"o.{place}", {"o": first})) for place in params)]

    def run(given):
        layer = entry.f()
        given = [np.array(array) for array in given]
        for place, array in zip(params, given[len(floats):]):
            exec(f"o.{place} = v", {"o": layer, "v": array})
        rest = iter(given)
        inputs = [next(rest) if x.dtype.kind == "f" else x for x in entry.inputs]
        return layer, getattr(layer, names["forward"])(*inputs)

    def vjp(dY, *given):
        layer, Y = run(given)
        dX = getattr(layer, names["backward"])(_shaped(dY, Y))
        return [*_arrays(dX), *(np.array(eval(f"o.{p}", {"o": layer})) for p in params.values())]

    return arrays, lambda *given: _row(run(given)[1]), vjp


def _planted(tree, leaves):
    """Appends the float arrays of a tree to leaves; returns what builds the tree of others."""
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        leaves.append(np.array(tree, dtype=tree.dtype.newbyteorder("=")))
        place = len(leaves) - 1
        return lambda arrays: np.array(arrays[place])
    if dataclasses.is_dataclass(tree):
        fields = [field.name for field in dataclasses.fields(tree)]
        parts = [_planted(getattr(tree, name), leaves) for name in fields]
        return lambda arrays: type(tree)(*(part(arrays) for part in parts))
    if isinstance(tree, dict):
        parts = {key: _planted(value, leaves) for key, value in tree.items()}
        return lambda arrays: {key: part(arrays) for key, part in parts.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_planted(value, leaves) for value in tree]
        kind = tree._make if hasattr(tree, "_make") else type(tree)
        return lambda arrays: kind([part(arrays) for part in parts])
    return lambda arrays: tree


def _arrays(tree):
    """The arrays of a tree of gradients."""
    if tree is None:
        return []
    if dataclasses.is_dataclass(tree):
        return _arrays([getattr(tree, field.name) for field in dataclasses.fields(tree)])
    if isinstance(tree, dict):
        return _arrays(list(tree.values()))
    if isinstance(tree, (list, tuple)):
        return [array for part in tree for array in _arrays(part)]
    return [np.array(tree)]


def _row(Y):
    return np.concatenate([np.ravel(array) for array in _arrays(Y)])


def _shaped(dY, Y):
    """A row of numbers in the form of Y."""
    if not isinstance(Y, (tuple, list)):
        return np.array(dY).reshape(np.shape(Y))
    sizes = np.cumsum([np.size(part) for part in Y])[:-1]
    return type(Y)(_shaped(d, part) for d, part in zip(np.split(dY, sizes), Y))


def by_npattn(entry):
    if entry.way == "layer":
        report = gradcheck_layer(entry.f(), *entry.inputs, **entry.options)
    else:
        report = gradcheck(entry.f, entry.backward, *entry.inputs, **entry.options)
    return report.verdict, str(report)


def by_torch(entry, fast=False):
    import torch

    arrays, forward, vjp = plain(entry)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.arrays = [tensor.detach().numpy() for tensor in tensors]
            return torch.from_numpy(forward(*ctx.arrays))

        @staticmethod
        def backward(ctx, dY):
            gradients = vjp(dY.numpy().copy(), *ctx.arrays)
            return tuple(torch.from_numpy(np.array(g)) for g in gradients)

    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
    try:
        torch.autograd.gradcheck(Function.apply, tensors, fast_mode=fast)
    except import_module("torch.autograd.gradcheck").GradcheckError as error:
        return "wrong", str(error)
    except RuntimeError as error:
        if "shape" in str(error) or "gradient" in str(error):
            return "wrong", str(error)
        raise
    return "right", ""


def by_torch_fast(entry):
    return by_torch(entry, fast=True)


def by_jax(entry):
    """check_grads of a custom_vjp calls this with jax.vjp; so the function need not be JAX's."""
    import jax
    from jax.test_util import check_vjp

    arrays, forward, vjp = plain(entry)

    def forward_and_vjp(*given):
        given = [np.asarray(array) for array in given]
        return forward(*given), lambda dY: tuple(vjp(np.asarray(dY), *given))

    with jax.enable_x64(True):
        try:
            check_vjp(lambda *given: forward(*map(np.asarray, given)), forward_and_vjp,
                      tuple(arrays))
        except AssertionError as error:
            return "wrong", str(error)
    return "right", ""


def by_autograd(entry):
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    arrays, forward, vjp = plain(entry)
    f = primitive(forward)
    defvjp(f, *(lambda Y, *given, i=i: lambda dY: vjp(dY, *given)[i] for i in range(len(arrays))))
    state = np.random.get_state()
    np.random.seed(0)  # it draws from the global generator
    try:
        check_grads(f, tuple(range(len(arrays))), modes=["rev"], order=1)(*arrays)
    except AssertionError as error:
        return "wrong", str(error)
    finally:
        np.random.set_state(state)
    return "right", ""


def by_scipy(entry):
    """It returns one norm; 1e-5 of the gradient's own norm is taken for right."""
    from scipy.optimize import check_grad

    arrays, forward, vjp = plain(entry)
    shapes = [array.shape for array in arrays]
    sizes = np.cumsum([array.size for array in arrays])[:-1]
    dY = np.random.default_rng(0).standard_normal(forward(*arrays).shape)

    def split(x):
        parts = zip(np.split(x, sizes), arrays)
        return [part.reshape(array.shape).astype(array.dtype) for part, array in parts]

    def gradient(x):
        found = vjp(dY.astype(arrays[0].dtype), *split(x))
        if [g.shape for g in found] != shapes:
            raise ValueError(f"gradients of shapes {[g.shape for g in found]}, not {shapes}")
        return np.concatenate([g.ravel() for g in found])

    x = np.concatenate([array.ravel() for array in arrays]).astype(float)
    error = check_grad(lambda x: float(dY @ forward(*split(x))), gradient, x)
    verdict = "right" if error <= 1e-5 * np.linalg.norm(gradient(x)) else "wrong"
    return verdict, f"{error:.3g}"


CHECKERS = {
    "npattn": by_npattn,
    "torch gradcheck": by_torch,
    "torch gradcheck, fast mode": by_torch_fast,
    "jax check_vjp": by_jax,
    "HIPS autograd check_grads": by_autograd,
    "scipy check_grad": by_scipy,
}
PACKAGES = {"npattn": "numpy", "torch": "torch", "jax": "jax", "HIPS": "autograd", "scipy": "scipy"}


def missing(checker):
    """None, or why a checker cannot be asked."""
    package = PACKAGES[checker.split()[0]]
    if find_spec(package) is None:
        return f"{checker}: {package} is not installed (pip install {package})"
    return None


def ask(checker, entry):
    """(verdict, message), the verdict being "refused" where it raises something else."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return CHECKERS[checker](copy.copy(entry))
        except Exception as error:  # noqa: BLE001: whatever it is, the entry was not judged
            return "refused", f"{type(error).__name__}: {error}"
