"""A forward and its backward as one object that a checker can call.

What every checker needs to know of the convention, and says only here:

    Y, cache = f(*args, **kwargs)          a plain tuple of two; or only Y, and then the backward
    gradients = f_backward(dY, cache)      takes (dY, Y). Several outputs are ((Y1, Y2), cache).

Differentiable are the positional arguments that are float arrays, or trees of float arrays only.
Integers, booleans, None, Python numbers, configurations and all keyword arguments are held fixed.
Float arrays in a list or a dict are neither: who passes them means something, so they are refused.
A numpy Generator among the arguments is copied afresh for each call, so that dropout draws the
same units every time. Arguments are handed over as read-only copies.
"""

import copy
import functools
import inspect

import numpy as np

from npattn.checking.matching import describe, match
from npattn.trees import tree_items, tree_leaves, tree_map, tree_unflatten


class Pair:
    """f, f_backward and the arguments at which they are examined.

    paths   ["Q", "params.query.W", ...]  one for each differentiable leaf
    leaves  the arrays at these paths, read-only
    """

    def __init__(self, f, f_backward, args, kwargs, names=None):
        self.f, self.f_backward = f, f_backward
        self.names = list(names) if names is not None else argument_names(f, len(args))
        if len(self.names) != len(args):
            raise ValueError(f"names must be one per argument, {len(args)}, got {self.names}")
        self.args = [_fixed(arg) for arg in args]
        self.kwargs = {key: _fixed(value) for key, value in kwargs.items()}
        self.places = [i for i, arg in enumerate(args) if _differentiable(arg, self.names[i])]
        if not self.places:
            raise ValueError(
                f"nothing to differentiate: none of the arguments {', '.join(self.names)} is a "
                "float array (integer arrays are held fixed; convert them with .astype(float))"
            )
        items = [item for i in self.places for item in tree_items(self.args[i], self.names[i])]
        self.paths, self.leaves = [path for path, _ in items], [leaf for _, leaf in items]

    def forward(self, leaves=None):
        """Y, cache at the given arguments, or at other `leaves` and in double precision."""
        args, kwargs = self.args, self.kwargs
        if leaves is not None:
            args, kwargs, queue = [_double(arg) for arg in args], _double(kwargs), iter(leaves)
            for i in self.places:
                args[i] = tree_unflatten(args[i], [next(queue) for _ in tree_leaves(args[i])])
        result = self.f(*map(_fresh, args), **{key: _fresh(kwargs[key]) for key in kwargs})
        if type(result) is not tuple:
            return result, result
        if len(result) != 2:
            raise TypeError(f"f must return Y or (Y, cache), got a tuple of {len(result)}")
        return result

    def outputs(self, leaves):
        """All outputs at `leaves`, end to end in one vector (m,). Warnings come once, from f(X)."""
        with np.errstate(all="ignore"):
            return flat(self.forward(leaves)[0])

    def gradients(self, dY, cache):
        """What the backward returns, matched with `leaves`: ([array or None, ...], complaints).

        A gradient that cannot be compared (missing, of another shape or dtype) comes as None, and
        a complaint says why.
        """
        result, count = self.f_backward(dY, cache), len(self.places)
        wanted = ", ".join(f"d{self.names[i]}" for i in self.places)
        if count == 1:
            result = (result,)
        if type(result) is not tuple or len(result) != count:
            came = f"{len(result)} gradients" if type(result) is tuple else describe(result)
            complaint = f"the backward returned {came} instead of {count}: {wanted}"
            return [None] * len(self.leaves), [complaint]
        found, complaints = [], []
        for i, gradient in zip(self.places, result, strict=True):
            leaves, complaint = match(gradient, self.args[i], f"d{self.names[i]}")
            found += leaves
            complaints += complaint
        return found, complaints


def argument_names(f, count):
    """The names of the first `count` positional parameters of f, as its signature gives them."""
    parameters = _parameters(f).values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "args")
    return (names + [f"{rest}[{i}]" for i in range(count - len(names))])[:count]


def keeps_keywords(checker):
    """Decorator for checker(f, f_backward, *args, **keywords), which keeps some for itself.

    Raises ValueError where such a keyword is given although f waits for one of that name, too.
    """
    kept = inspect.signature(checker).parameters
    kept = {name for name, p in kept.items() if p.kind == p.KEYWORD_ONLY}

    @functools.wraps(checker)
    def checked(f, f_backward, *args, **keywords):
        bound = f.keywords if isinstance(f, functools.partial) else {}
        waiting = _parameters(f).keys() - argument_names(f, len(args)) - bound.keys()
        for name in sorted(keywords.keys() & kept & waiting):
            raise ValueError(
                f"{checker.__name__} and f both have a parameter {name}, and {keywords[name]!r} "
                f"would not reach f: give it by position, or as functools.partial(f, {name}=...)"
            )
        return checker(f, f_backward, *args, **keywords)

    return checked


def flat(tree):
    """The leaves of `tree`, end to end in one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in tree_leaves(tree)])


def random_upstream(Y, rng):
    """dY in the form of Y: random signs, magnitudes between 0.5 and 1.5, read-only.

    Never all ones: softmax's backward is 0 there, whatever is wrong with it. Never close to 0: an
    output that is not weighed is not examined.
    """

    def draw(leaf):
        leaf = np.asarray(leaf)
        if leaf.dtype.kind != "f":
            raise TypeError(f"f must return float arrays, got {leaf.dtype} of shape {leaf.shape}")
        values = rng.choice([-1.0, 1.0], leaf.shape) * rng.uniform(0.5, 1.5, leaf.shape)
        return _fixed(np.asarray(values, leaf.dtype)) if leaf.ndim else leaf.dtype.type(values)

    return tree_map(draw, Y)


def _parameters(f):
    try:
        return inspect.signature(f).parameters
    except (TypeError, ValueError):  # some compiled functions do not tell
        return {}


def _differentiable(arg, name):
    if isinstance(arg, (list, dict)) and _holds_floats(arg):
        raise TypeError(
            f"{name} is a {type(arg).__name__} that holds float arrays; make it a NamedTuple or a "
            "tuple to have them differentiated, or a keyword argument to hold them fixed"
        )
    if not isinstance(arg, (np.ndarray, tuple)):
        return False
    kinds = {
        leaf.dtype.str[1:] if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fc" else "other"
        for leaf in tree_leaves(arg)
    }
    if kinds <= {"other"}:
        return False
    if not kinds <= {"f4", "f8"}:
        raise TypeError(f"{name} must hold only float32 or float64 arrays, got {sorted(kinds)}")
    return True


def _holds_floats(value):
    """Whether there is a float array in lists, dicts and tuples, however nested."""
    if isinstance(value, (list, tuple, dict)):
        return any(map(_holds_floats, value.values() if isinstance(value, dict) else value))
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _fixed(value):
    """A read-only copy of an array or of a tree of arrays; anything else as it is."""
    if isinstance(value, tuple):
        return tree_map(_fixed, value)
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.setflags(write=False)
    return value


def _double(value):
    """float32 arrays widened, since a kernel may ask for one precision throughout."""
    if isinstance(value, dict):
        return {key: _double(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tree_map(_double, value)
    single = isinstance(value, np.ndarray) and value.dtype == np.float32
    return value.astype(np.float64) if single else value


def _fresh(value):
    """A Generator that will draw what the given one would draw next; anything else as it is."""
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value
