"""Floating point at the door of a pair: no warnings, and halves computed in float32.

    @quiet                                    forward or backward without warnings
    @half_in, @half_out                       the same, and they take float16 and bfloat16

A backward that says what its cache is, `cache: AttendCache`, is given no other; an argument of
another kind is named. What runs within a quiet function is quiet, too.

A half has 11 or 8 significant bits, too few for sums of many terms; processors keep their sums in
float32, too. So the output and the gradients are rounded once, at the end. bfloat16 is a type of
the package ml_dtypes, and is known by its name.
"""

import functools
from contextvars import ContextVar

import numpy as np

from npattn.kernels.foreign import REFUSALS, foreign_argument, foreign_cache

HALVES = "float16", "bfloat16"

_is_quiet = ContextVar("_is_quiet", default=False)  # whether a caller is; it is fast to ask


def quiet(f):
    """f without floating-point warnings: masked numbers may be anything, underflow is harmless.

    A NaN that counts is still in the result.
    """
    kind = f.__annotations__.get("cache")

    @functools.wraps(f)
    def quiet_f(*args, **options):
        if kind and not isinstance(cache := options.get("cache", *args[1:2]), kind):
            raise foreign_cache(f, kind, cache)
        if _is_quiet.get():
            return f(*args, **options)
        before = _is_quiet.set(True)
        try:
            with np.errstate(all="ignore"):
                return f(*args, **options)
        except REFUSALS as error:
            if said := foreign_argument(f, args, options, error):
                raise TypeError(said) from error
            raise
        finally:
            _is_quiet.reset(before)

    return quiet_f


def half_in(f):
    """A quiet forward f(Q, ...) that takes halves. Its cache has a field `half`."""
    f = quiet(f)

    @quiet
    def half_f(Q, *args, **options):
        if (half := Q.dtype) not in HALVES:
            return f(Q, *args, **options)
        options = {name: _convert(X, half, np.float32) for name, X in options.items()}
        Y, cache = f(*_convert((Q, *args), half, np.float32), **options)
        return _convert(Y, np.float32, half), cache._replace(half=half)

    @functools.wraps(f)
    def forward(Q, *args, **options):
        return (half_f if getattr(Q, "itemsize", None) == 2 else f)(Q, *args, **options)

    return forward


def half_out(f_backward):
    """Its backward: the gradients are halves if the arguments of the forward were."""
    f = quiet(f_backward)

    @quiet
    def half_f(dY, cache, *args, **options):
        dY = _convert(dY, cache.half, np.float32)
        return _convert(f(dY, cache, *args, **options), np.float32, cache.half)

    @functools.wraps(f)
    def backward(dY, cache, *args, **options):
        return (half_f if getattr(cache, "half", None) else f)(dY, cache, *args, **options)

    return backward


def _convert(tree, old, new):
    """Arrays of the dtype `old` as `new`, in tuples likewise; anything else as it is."""
    if isinstance(tree, tuple):
        converted = [_convert(X, old, new) for X in tree]
        return type(tree)(*converted) if hasattr(tree, "_fields") else tuple(converted)
    return tree.astype(new) if getattr(tree, "dtype", None) == old else tree
