"""The checker for hand-written backwards in JAX.

    square = jax.custom_vjp(lambda X: X * X);  square.defvjp(forward, backward)
    gradcheck_jax(square, X)

Everything runs in double precision, whatever JAX is configured to. The function itself is
differentiated by the complex step where it is analytic code, and by central differences elsewhere;
the backward is what jax.vjp calls. JAX is imported when this is called.
"""

import numpy as np

from npattn.checking.gradcheck import Misbehaviour, gradcheck, title_of
from npattn.checking.pairs import argument_names, flat


def gradcheck_jax(function, *inputs, name=None, names=None, **options):
    """Check the gradients that jax.vjp finds through a `jax.custom_vjp`.

    function  of arrays, returns an array or several, in tuples, lists and dicts
    inputs    arrays, also in dicts, lists and tuples; those of floating arrays are differentiated
    options   as in `gradcheck`

    Returns a `Report`; it is a failure, too, if fwd returns another value than the function.
    """
    import jax

    enable_x64 = getattr(jax, "enable_x64", None)
    if enable_x64 is None:  # JAX before 0.8
        from jax.experimental import enable_x64
    leaves, structure, every = jax.tree.leaves, jax.tree.structure, jax.tree.map
    values = [every(_array, X) for X in inputs]
    floats = [i for i, X in enumerate(values) if leaves(X) and all(map(_is_floats, leaves(X)))]

    def at(args, floating):
        args = list(args)
        for i, X in zip(floats, floating, strict=True):
            args[i] = X
        return function(*args)

    def carried(args):
        return [every(jax.numpy.asarray, args[i]) for i in floats]

    def f(*args):
        with enable_x64(True):
            return _arrays(at(args, carried(args)), leaves), args

    def f_backward(dY, args):
        with enable_x64(True):
            Y, pull = jax.vjp(lambda *X: at(args, X), *carried(args))
            there, here = flat(_arrays(Y, leaves)), flat(f(*args)[0])
            if not np.allclose(there, here, rtol=1e-9, atol=1e-12 * np.abs(here).max(initial=0.0)):
                raise Misbehaviour("fwd returns another value than the function itself")
            dY = [*map(jax.numpy.asarray, dY if isinstance(dY, tuple) else (dY,))]
            found = every(np.array, pull(jax.tree.unflatten(structure(Y), dY)))
        return tuple(found) if len(found) != 1 else found[0]

    names = list(names) if names is not None else argument_names(function, len(inputs))
    name = name or title_of(function)
    return gradcheck(f, f_backward, *values, name=name, names=names, **options)


def _array(X):
    """Floating arrays, JAX's as well, as float64 arrays; anything else as it is."""
    if hasattr(X, "__array__") and not isinstance(X, np.generic):
        X = np.asarray(X)
        return X.astype(np.float64) if X.dtype.kind == "f" else X
    return X


def _is_floats(X):
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"


def _arrays(Y, leaves):
    """The array of an output, or a tuple of those in a tuple, list or dict, however nested."""
    found = tuple(map(np.array, leaves(Y)))
    return found[0] if hasattr(Y, "__array__") else found
