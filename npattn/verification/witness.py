"""One kernel or system on both sides, from the same numbers: a row of the cross-check.

The random arguments and the random upstream gradient are rounded to torch's precision first, so
that the only difference is in the computing. NumPy then computes in float64, whatever torch does.
Where the two are further apart than usual, NumPy is asked once more, with every argument off by
one rounding: a sharp softmax magnifies that, and then torch may be as far off for no fault.
"""

import copy

import numpy as np

from npattn.checking.naming import axis_words
from npattn.checking.pairs import Pair, random_upstream
from npattn.trees import tree_leaves, tree_map
from npattn.verification.cases import CASES
from npattn.verification.comparison import Measured, compare, missed
from npattn.verification.kernels_in_torch import IN_TORCH
from npattn.verification.system import leaves, run_numpy


def check_kernel(found, *, seed, device, precision):
    """The `Row` of a kernel, `found` by find_pairs, at the arguments that CASES has for it."""
    from npattn.torch_bridge import torch

    name = found.name
    formulation = name.split()[0]  # "rotary in halves" is rotary with other arguments
    for table, key, what in (
        (CASES, name, "arguments to check it with"), (IN_TORCH, formulation, "torch formulation"),
    ):
        if key not in table:
            return missed(name, precision, f"{found.module} has no {what}")
    case = CASES[name](np.random.default_rng(seed))
    args = [_rounded(arg, precision) for arg in case.args]
    pair = _pair(found, case, args)
    Y, cache = pair.forward()
    dY = _upstream(Y, seed, precision)
    gradients, complaints = pair.gradients(dY, cache)
    if complaints:
        return missed(name, precision, "; ".join(complaints))

    def nudged():
        near = _pair(found, case, [_nudged(arg, precision, seed) for arg in args])
        Y, cache = near.forward()
        return tree_leaves(Y) + near.gradients(dY, cache)[0]

    tensors = [_to_torch(arg, device, precision) for arg in args]
    options = {key: _to_torch(value, device, precision) for key, value in case.options.items()}
    Y_torch = IN_TORCH[formulation](torch, *tensors, **options)
    inputs = [leaf for i in pair.places for leaf in tree_leaves(tensors[i])]
    words = axis_words(case.axes, pair.paths, pair.leaves)
    labels = [(f"d{path}", tuple(words.get(path, ()))) for path in pair.paths]
    there = _by_autograd(Y_torch, inputs, dY)
    return _compare(name, labels, tree_leaves(Y) + gradients, there, nudged, precision)


def check_system(system, *, seed, device, precision):
    """The `Row` of a system of SYSTEMS."""
    from npattn.torch_bridge import torch

    built = system.build(np.random.default_rng(seed), np.float64)
    arguments = {name: _rounded(value, precision) for name, value in built.items()}
    dY = _upstream(system.forward(*arguments.values())[0], seed, precision)
    Y, gradients = run_numpy(system, arguments, dY)

    def nudged():
        near = {name: _nudged(value, precision, seed) for name, value in arguments.items()}
        Y, gradients = run_numpy(system, near, dY)
        return [*Y, *gradients.values()]

    tensors = {path: _to_torch(X, device, precision) for path, X in leaves(arguments).items()}
    Y_torch = system.torch_run(torch, tensors)
    inputs = [tensors[path] for path in gradients]
    labels = [(f"d{path}", ()) for path in gradients]
    there = _by_autograd(Y_torch, inputs, dY)
    return _compare(system.name, labels, [*Y, *gradients.values()], there, nudged, precision)


def _pair(found, case, args):
    return Pair(found.forward, case.backward or found.backward, args, case.options)


def _by_autograd(Y, inputs, dY):
    """The leaves of Y and the gradients of `inputs`, as float64 arrays."""
    from npattn.torch_bridge import from_torch, to_torch, torch

    outputs = tree_leaves(Y)
    upstream = [to_torch(d).to(out) for d, out in zip(tree_leaves(dY), outputs, strict=True)]
    gradients = torch.autograd.grad(
        outputs, inputs, upstream, allow_unused=True, materialize_grads=True
    )
    return [from_torch(tensor).astype(np.float64) for tensor in (*outputs, *gradients)]


def _compare(name, labels, here, there, nudged, precision):
    """The `Row` of two lists of arrays, outputs first.

    labels  (name, words for the axes) of each gradient
    nudged  a function that returns `here` once more, from arguments that are off by one rounding
    """
    outputs = len(here) - len(labels)
    names = ["Y"] if outputs == 1 else [f"Y[{i}]" for i in range(outputs)]
    labels = [*((name, ()) for name in names), *labels]

    def measured(others):
        rows = zip(labels, here, others, strict=True)
        return [Measured(label, np.asarray(X), Z, words) for (label, words), X, Z in rows]

    row = compare(name, measured(there), precision)
    if row.ok:
        return row
    one_rounding = compare(name, measured(nudged()), precision).error
    return compare(name, measured(there), precision, one_rounding)


def _rounded(value, precision):
    """Float arrays of a tree as `precision` would hold them, in float64; all else as it is."""
    from npattn.torch_bridge import from_torch, to_torch

    return _map_floats(
        lambda X: from_torch(to_torch(X, dtype=precision.name)).astype(np.float64), value
    )


def _nudged(value, precision, seed):
    """Float arrays of a tree with every entry off by one rounding, up or down."""
    rng = np.random.default_rng([seed, 2])
    return _map_floats(
        lambda X: X * (1.0 + precision.epsilon * rng.choice([-2.0, 2.0], X.shape)), value
    )


def _map_floats(function, value):
    if not isinstance(value, (np.ndarray, tuple)):
        return value
    return tree_map(
        lambda X: function(X) if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X, value
    )


def _to_torch(value, device, precision):
    """A tree of arrays as tensors, a Generator as a copy that draws the same; all else as it is."""
    from npattn.torch_bridge import to_torch

    if isinstance(value, (np.ndarray, tuple)):
        return to_torch(value, device=device, dtype=precision.name, requires_grad=True)
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value


def _upstream(Y, seed, precision):
    drawn = random_upstream(Y, np.random.default_rng([seed, 1]))
    return _rounded(tree_map(np.asarray, drawn), precision)
