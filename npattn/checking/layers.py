"""The checker for layers that keep state: forward stores on self, backward reads it.

    class Affine:
        def forward(self, X):   self.X = X;  return X @ self.W + self.b
        def backward(self, dY):
            self.dW = self.X.T @ dY
            return dY @ self.W.T

    gradcheck_layer(Affine(), X, params={"W": "dW"})

Each call works on a fresh copy of the layer, so that no call sees what another has left behind.
"""

import copy
from collections.abc import Mapping

import numpy as np

from npattn.checking.gradcheck import gradcheck


def gradcheck_layer(layer, *inputs, params=None, forward="forward", backward="backward", **options):
    """Check what a layer's backward returns, and the gradients that it leaves on the layer.

    layer     an object; it is copied, and not changed
    inputs    the arguments of forward; float arrays are differentiated
    params    {"W": "dW", "norm.gain": "norm.dgain", "params['W']": "grads['W']"}: where the layer
              keeps a parameter, and where its backward leaves the gradient, set or added with +=
    forward   the name of the method: Y = layer.forward(*inputs), or (Y, anything)
    backward  the name of the method: dX = layer.backward(dY), one gradient for each float input,
              or None where there is none to return
    options   as in `gradcheck`

    Returns a `Report`. Raises AttributeError or KeyError that names a place which does not exist.
    """
    if not isinstance(params or {}, Mapping):
        raise TypeError(f"params must be like {{'W': 'dW'}}, got {params!r}")
    for option, method in (("forward", forward), ("backward", backward)):
        if not (isinstance(method, str) and callable(getattr(layer, method, None))):
            raise AttributeError(f"{option} must name a method of {type(layer).__name__}, "
                                 f"got {method!r}")
    params, count = dict(params or {}), len(inputs)
    floats = [i for i, X in enumerate(inputs) if np.asarray(X).dtype.kind == "f"]
    values = [np.asarray(read(layer, path)) for path in params]

    def f(*args):
        fresh = copy.deepcopy(layer)
        for path, value in zip(params, args[count:], strict=True):
            write(fresh, path, np.array(value))
        for path in params.values():
            _clear(fresh, path)
        Y = getattr(fresh, forward)(*args[:count])
        return (Y[0] if type(Y) is tuple else Y), fresh

    def f_backward(dY, fresh):
        fresh = copy.deepcopy(fresh)
        dX = getattr(fresh, backward)(dY)
        dX = dX if type(dX) is tuple else (dX,) * bool(floats)
        gradients = (*dX[:len(floats)], *(read(fresh, path) for path in params.values()))
        return gradients if len(gradients) != 1 else gradients[0]

    names = [f"X{i}" if count > 1 else "X" for i in range(count)] + [*map(_plain, params)]
    options.setdefault("name", type(layer).__name__)
    options.setdefault("names", names)
    return gradcheck(f, f_backward, *inputs, *values, **options)


def read(owner, path):
    """What stands at a path such as "W", "norm.gain" or "params['W']"."""
    for step in _steps(path):
        owner = owner[step[0]] if isinstance(step, tuple) else getattr(owner, step)
    return owner


def write(owner, path, value):
    """Puts value at the path."""
    *way, last = _steps(path)
    for step in way:
        owner = owner[step[0]] if isinstance(step, tuple) else getattr(owner, step)
    if isinstance(last, tuple):
        owner[last[0]] = value
    else:
        setattr(owner, last, value)


def _clear(owner, path):
    """Sets a gradient that is there already to 0, for layers that add to it."""
    try:
        old = read(owner, path)
    except (AttributeError, KeyError, IndexError, TypeError):
        return
    if isinstance(old, np.ndarray):
        write(owner, path, np.zeros_like(old))


def _steps(path):
    """["norm", ("W",)] for "norm['W']": a text for an attribute, a tuple for a key or an index."""
    steps = []
    for part in path.replace("]", "").split("."):
        name, *keys = part.split("[")
        steps += [name] * bool(name)
        steps += [(int(k),) if k.lstrip("-").isdigit() else (k.strip("'\""),) for k in keys]
    return steps


def _plain(path):
    return path.replace("'", "").replace('"', "")
