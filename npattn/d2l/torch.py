"""A small stand-in for torch: the names that the two chapters use, over NumPy.

    from npattn.d2l import en as d2l, torch, nn

A `Tensor` is a NumPy array with torch's methods: d2l's classes and functions take it and return
it. Numbers are float64 unless a dtype is given, as the parameters of d2l's layers are; a float32
array beside them is raised to float64. There is no autograd: a gradient is `layer.backward(dY)`.
Any other name raises an error that says what to write.
"""

import numpy as np

from npattn.d2l._tensors import NO_AUTOGRAD, Tensor

__all__ = [
    "Tensor", "abs", "arange", "bmm", "bool", "cat", "cos", "exp", "eye", "float", "float32",
    "float64", "int32", "int64", "long", "manual_seed", "matmul", "max", "normal", "ones", "pow",
    "rand", "randn", "repeat_interleave", "reshape", "sin", "softmax", "sort", "tanh", "tensor",
    "unsqueeze", "zeros", "zeros_like",
]

abs, bmm, cos, exp, matmul = np.abs, np.matmul, np.cos, np.exp, np.matmul
pow, sin, tanh, zeros_like = np.power, np.sin, np.tanh, np.zeros_like
bool, float32, float64, int32, int64 = np.bool_, np.float32, np.float64, np.int32, np.int64
float, long = float32, int64
_rng = [np.random.default_rng(0)]


def tensor(data, dtype=None, device=None):
    """The numbers of a list, a list of arrays or an array, as a new Tensor."""
    return np.array(data, dtype=dtype).view(Tensor)


def ones(*shape, dtype=float64, device=None):
    """Ones, of a shape given as one tuple or as numbers; so is that of the next three."""
    return np.ones(_shape(shape), dtype).view(Tensor)


def zeros(*shape, dtype=float64, device=None):
    """Zeros."""
    return np.zeros(_shape(shape), dtype).view(Tensor)


def rand(*shape):
    """Numbers uniform in [0, 1)."""
    return np.asarray(_rng[0].random(_shape(shape))).view(Tensor)


def randn(*shape):
    """Standard normal numbers."""
    return np.asarray(_rng[0].standard_normal(_shape(shape))).view(Tensor)


def normal(mean, std, size):
    """Normal numbers of the given mean and standard deviation."""
    return _rng[0].normal(mean, std, size).view(Tensor)


def manual_seed(seed):
    """Start the random numbers anew: the same seed gives the same numbers, not those of torch."""
    _rng[0] = np.random.default_rng(seed)


def eye(n):
    """The identity matrix (n, n)."""
    return np.eye(n).view(Tensor)


def arange(*limits, dtype=None, device=None):
    """Numbers at equal distances, the last limit left out."""
    return np.arange(*limits, dtype=dtype).view(Tensor)


def sort(X, dim=-1):
    """The entries in rising order, and where they stood."""
    return tensor(np.sort(X, dim)), tensor(np.argsort(X, dim))


def max(X, other):
    """The greater of each two entries."""
    return np.maximum(X, other)


def softmax(X, dim):
    """Weights that sum to 1 along the axis dim."""
    E = np.exp(X - np.max(X, axis=dim, keepdims=True))
    return E / np.sum(E, axis=dim, keepdims=True)


def cat(tensors, dim=0, axis=None):
    """Arrays one after the other along an axis."""
    return tensor(np.concatenate([np.asarray(X) for X in tensors], dim if axis is None else axis))


def unsqueeze(X, dim):
    """X with a further axis of length 1."""
    return tensor(np.expand_dims(X, dim))


def reshape(X, shape):
    """The entries of X in another shape."""
    return tensor(X).reshape(shape)


def repeat_interleave(X, repeats, dim=None):
    """Each entry, or each slice along dim, several times in a row."""
    return tensor(np.asarray(X).repeat(repeats, dim))


def _shape(shape):
    return shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("optim", "autograd", "no_grad"):
        raise AttributeError(f"npattn.d2l.torch has no {name!r}: {NO_AUTOGRAD}")
    raise AttributeError(
        f"npattn.d2l.torch has no {name!r}: it holds what the attention chapters use, which is "
        f"{', '.join(__all__)}. Tensors are NumPy arrays: write np.… as NumPy calls it"
    )
