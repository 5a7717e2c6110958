"""One system beside an independent torch formulation: what it is, and how to run it.

To run one in NumPy and in torch with autograd, and compare:

    arguments = system.build(rng, dtype)                 {"X": array, "params": tree, "mask": ...}
    Y, cache  = system.forward(*arguments.values())      this package's pair
    dY        = random_upstream(Y, rng)                  from npattn.checking.pairs
    Y, grads  = run_numpy(system, arguments, dY)         grads {"X": dX, "params.query.W": ..., ...}
    t         = tensors made of leaves(arguments)        {path: tensor}, floats requiring gradients
    Y         = system.torch_run(torch, t)               a tensor or a tuple of tensors

Gradients are named by path, as in `npattn.trees`, and cover every float leaf of the arguments;
bool and integer arguments are fixed. torch comes in as an argument: this page works without it.
"""

from collections.abc import Callable
from typing import NamedTuple

from npattn.trees import tree_items, tree_map


class System(NamedTuple):
    """One system; see the module's docstring for how to run it."""

    name: str
    source: str          # the kind of article where readers meet it
    build: Callable      # (rng, dtype) -> {name: tree}, in the order of forward's arguments
    forward: Callable    # (*arguments) -> Y, cache
    backward: Callable   # (dY, cache) -> a gradient per differentiable argument
    torch_run: Callable  # (torch, {path: tensor}) -> Y, a tensor or a tuple of tensors


def leaves(arguments):
    """{path: array} of all arguments, fixed ones included."""
    return dict(item for name, tree in arguments.items() for item in tree_items(tree, name))


def run_numpy(system, arguments, dY):
    """Y, a tuple of arrays, and {path: gradient}, by the package's own pair."""
    Y, cache = system.forward(*arguments.values())
    gradients = system.backward(dY, cache)
    names = [name for name, tree in arguments.items() if _is_differentiable(tree)]
    gradients = gradients if len(names) > 1 else (gradients,)
    return _as_tuple(Y), leaves(dict(zip(names, gradients, strict=True)))


def _as_tuple(Y):
    return Y if isinstance(Y, tuple) else (Y,)


def _is_differentiable(tree):
    return any(X.dtype.kind == "f" for _, X in tree_items(tree))


def normal(rng, dtype, *shape):
    """Standard normal numbers of that type and shape."""
    return rng.normal(size=shape).astype(dtype)


def shaken(params, rng):
    """Parameters with their biases and gains moved, so that none is 0 or 1."""
    def moved(p):
        return p + 0.1 * rng.normal(size=p.shape).astype(p.dtype) if p.ndim == 1 else p

    return tree_map(moved, params)
