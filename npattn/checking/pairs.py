"""A forward and its backward as one object that a checker can call.

What every checker needs to know of the convention, and says only here:

    Y, cache = f(*args, **kwargs)          a plain tuple of two; or only Y, and then the backward
    gradients = f_backward(dY, cache)      takes (dY, Y). Several outputs are ((Y1, Y2), cache), or
                                           in a list, dict or dataclass: dY comes in the same form.

    methods of one object                  Y = layer.forward(X), dX = layer.backward(dY)
    f_backward is None                     loss, gradients = f(*args, **kwargs)

Differentiable are the positional arguments that are float arrays, or trees, dicts, lists and
dataclasses of float arrays only. Integers, booleans, None, Python numbers, configurations and all
keyword arguments are held fixed. An object whose methods f and f_backward are is copied for each
forward, so that no call sees what another has left on it.
A numpy Generator among the arguments is copied afresh for each call, so that dropout draws the
same units every time. Arguments are handed over as read-only copies.
"""

import copy
import functools
import inspect
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np

from npattn.checking.containers import (
    as_tree, from_tree, holds, is_container, is_float_array,
)
from npattn.checking.derivatives import random_weights
from npattn.checking.matching import describe, match
from npattn.trees import tree_items, tree_leaves, tree_map, tree_unflatten


_P = inspect.Parameter


class Pair:
    """f, f_backward and the arguments at which they are examined.

    paths   ["Q", "params.query.W", ...]  one for each differentiable leaf
    leaves  the arrays at these paths, read-only
    """

    def __init__(self, f, f_backward, args, kwargs, names=None):
        if not callable(f) or not (f_backward is None or callable(f_backward)):
            raise TypeError(f"f and f_backward must be functions, got {f!r} and {f_backward!r}")
        self.f, self.f_backward = f, f_backward
        self.names = list(names) if names is not None else argument_names(f, len(args))
        if len(self.names) != len(args) or not all(isinstance(n, str) for n in self.names):
            raise ValueError(f"names must be one per argument, {len(args)}, got {self.names}")
        owner = getattr(f, "__self__", None)
        self.owner = None if owner is None or inspect.ismodule(owner) else owner
        self.like = [arg if _is_floats(arg) else None for arg in args]
        args = [as_tree(arg) if like is not None else arg for arg, like in zip(args, self.like)]
        args = [_known(arg, name) for arg, name in zip(args, self.names, strict=True)]
        self.args = [_fixed(arg) for arg in args]
        self.kwargs = {key: _fixed(value) for key, value in kwargs.items()}
        self.places = [i for i, arg in enumerate(args) if _differentiable(arg, self.names[i])]
        if not self.places:
            raise ValueError(
                f"nothing to differentiate: {', '.join(map(_kind, self.names, args)) or 'no args'};"
                " give float arrays (X.astype(float), np.array(2.0)) or containers of nothing else"
            )
        items = [tree_items(self.args[i], self.names[i]) for i in self.places]
        ends = [0, *accumulate(map(len, items))]
        self._slices = [*zip(self.places, map(slice, ends, ends[1:]))]  # of the leaves, by argument
        self.paths, self.leaves = map(list, zip(*chain(*items)))
        self._given = [array.copy() for array in _arrays(self.args)]
        self.writable, self._handed = False, [self.args]
        self._single = None  # whether f takes float32 alone; None: not known yet
        self._form = None  # of outputs: the list, dict or dataclass that they came in

    def allow_writing(self):
        """Hands over writable copies from now on, for code that refuses read-only arrays."""
        self.writable = True

    def written_to(self):
        """Whether an argument has changed, be it read-only: np.add.at can do that."""
        return not all(all(map(_equal, _arrays(args), self._given)) for args in self._handed)

    def forward(self, leaves=None, widen=True):
        """Y, cache at the given arguments, or at other `leaves`, in double precision if `widen`."""
        args, kwargs = list(self.args), self.kwargs
        if self.writable and leaves is None:
            args = [tree_map(_writable, arg) if isinstance(arg, tuple) else _writable(arg)
                    for arg in args]
            self._handed.append(args[:])
        elif leaves is not None:
            if self._single:
                leaves = [_narrowed(a, b) for a, b in zip(leaves, self.leaves, strict=True)]
            elif widen:
                args, kwargs = list(self._doubles[0]), self._doubles[1]
            for i, own in self._slices:
                args[i] = tree_unflatten(args[i], leaves[own])
        for i, like in enumerate(self.like):
            args[i] = args[i] if like is None else from_tree(args[i], like)
        f, owner = self.f, None
        if self.owner is not None:
            owner = _copied(self.owner)
            f = getattr(owner, self.f.__name__)
        result = f(*map(_fresh, args), **{key: _fresh(kwargs[key]) for key in kwargs})
        if owner is not None and getattr(self.f_backward, "__self__", None) is self.owner:
            Y, cache = result if type(result) is tuple and len(result) == 2 else (result, result)
            return self._formed(Y), _Owned(owner, cache)
        if type(result) is not tuple:
            return self._formed(result), result
        if len(result) != 2:
            raise TypeError(f"f must return Y or (Y, cache), got a tuple of {len(result)}")
        return self._formed(result[0]), result[1]

    def _formed(self, Y):
        """The output as a tree, as which it is compared."""
        self._form = Y if is_container(Y) else None
        return Y if self._form is None else as_tree(Y)

    @functools.cached_property
    def _doubles(self):
        """The arguments in double precision."""
        kwargs = {key: _fixed(value) for key, value in _double(self.kwargs).items()}
        return [_fixed(_double(arg)) for arg in self.args], kwargs

    def outputs(self, leaves):
        """All outputs at `leaves`, end to end in one vector (m,). Warnings come once, from f(X)."""
        with np.errstate(all="ignore"):
            try:
                Y = flat(self.forward(leaves)[0])
            except Exception:
                if self._single is not None or all(x.dtype != np.float32 for x in self.leaves):
                    raise
                self._single = True  # a module of float32 weights refuses doubles
                return flat(self.forward(leaves)[0])
            self._single = bool(self._single)
            return Y

    def gradients(self, dY, cache):
        """What the backward returns, matched with `leaves`: ([array or None, ...], complaints).

        A gradient that cannot be compared (missing, of another shape or dtype) comes as None, and
        a complaint says why. The arrays are copies: a backward may hand out what it goes on using.
        """
        result, count = self.raw_gradients(dY, cache), len(self.places)
        wanted = ", ".join(f"d{self.names[i]}" for i in self.places)
        if count == 1:
            result = (result,)
        elif isinstance(result, list):
            result = tuple(result)
        if type(result) is not tuple or len(result) != count:
            came = f"{len(result)} gradients" if type(result) is tuple else describe(result)
            complaint = f"the backward returned {came} instead of {count}: {wanted}"
            return [None] * len(self.leaves), [complaint]
        found, complaints = [], []
        for i, gradient in zip(self.places, result, strict=True):
            name, like = f"d{self.names[i]}", self.args[i] if self.like[i] is None else self.like[i]
            try:
                leaves, complaint = match(as_tree(gradient, like, name), self.args[i], name)
            except ValueError as error:  # other keys
                leaves, complaint = [None] * len(tree_leaves(self.args[i])), [str(error)]
            found += [None if leaf is None else np.array(leaf) for leaf in leaves]
            complaints += complaint
        return found, complaints

    def gradient_leaves(self, dY, cache):
        """What a backward returns of which `gradients` has no complaints, in the order of `leaves`.
        """
        result = self.raw_gradients(dY, cache)
        result = result if len(self.places) > 1 else (result,)
        trees = (as_tree(d, self.like[i]) for i, d in zip(self.places, result, strict=True))
        return [leaf for tree in trees for leaf in tree_leaves(tree)]

    def raw_gradients(self, dY, cache):
        """What the backward returns, as it returns it. dY is a tree, or has the form of f's output.
        """
        if self._form is not None:
            dY = from_tree(as_tree(dY, self._form, "dY"), self._form)
        if self.f_backward is None:  # cache is the gradient of a loss
            scaled = tree_map(lambda d: np.asarray(d * dY, np.result_type(d)), as_tree(cache))
            return from_tree(scaled, cache)
        if isinstance(cache, _Owned):
            f_backward, cache = getattr(cache.owner, self.f_backward.__name__), cache.cache
        else:
            f_backward = self.f_backward
        return f_backward(dY) if _takes_one(f_backward) else f_backward(dY, cache)


class _Owned(NamedTuple):
    """The copy of an object on which a forward has left its state, and what it returned."""

    owner: object
    cache: object


def argument_names(f, count):
    """The names of the first `count` positional parameters of f, as its signature gives them."""
    parameters = _parameters(f).values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "args")
    return (names + [f"{rest}[{i}]" for i in range(count)])[:count]


def keeps_keywords(checker):
    """Decorator for checker(f, f_backward, *args, **keywords), which keeps some for itself.

    Raises ValueError where such a keyword is given although f waits for one of that name, too;
    TypeError for a keyword that neither has.
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
        known = _parameters(f)
        takes_any = not known or any(p.kind == p.VAR_KEYWORD for p in known.values())
        for name in sorted(keywords.keys() - kept - known.keys()) if not takes_any else ():
            raise TypeError(
                f"{name} is no parameter of f and no option of {checker.__name__}, which has "
                f"{', '.join(sorted(kept))}"
            )
        return checker(f, f_backward, *args, **keywords)

    return checked


def flat(tree):
    """The leaves of `tree`, end to end in one vector."""
    if type(tree) is np.ndarray:
        return tree.flatten()
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
        values = random_weights(leaf.shape, rng)
        return _fixed(np.asarray(values, leaf.dtype)) if leaf.ndim else leaf.dtype.type(values)

    return tree_map(draw, Y)


def _kind(name, arg):
    """What an argument is, where none is a float array."""
    array = isinstance(arg, np.ndarray)
    return f"{name} is {f'an array of {arg.dtype}' if array else f'a {type(arg).__name__}'}"


def _takes_one(f):
    """Whether f waits for dY alone: it has one parameter by position, and no *args."""
    kinds = [p.kind for p in _parameters(f).values()]
    kinds = [kind for kind in kinds if kind not in (_P.KEYWORD_ONLY, _P.VAR_KEYWORD)]
    return len(kinds) == 1 and kinds[0] != _P.VAR_POSITIONAL


def _copied(owner):
    try:
        return copy.deepcopy(owner)
    except Exception:  # what cannot be copied is used as it is
        return owner


def _known(arg, name):
    """The argument, its arrays in the machine's byte order. Raises TypeError for what is like
    an array but is none: masked arrays, matrices, tensors.
    """
    if isinstance(arg, tuple) and arg:
        fields = getattr(arg, "_fields", range(len(arg)))
        parts = [
            _known(part, f"{name}.{field}") if isinstance(part, (np.ndarray, tuple)) else part
            for field, part in zip(fields, arg, strict=True)
        ]
        return type(arg)(*parts) if hasattr(arg, "_fields") else tuple(parts)
    if isinstance(arg, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; convert it with {name}.filled(0.0)")
    if type(arg) is np.matrix:
        raise TypeError(f"{name} is a np.matrix; convert it with np.asarray({name})")
    if isinstance(arg, np.ndarray):
        return arg if arg.dtype.isnative else arg.astype(arg.dtype.newbyteorder("="))
    if hasattr(arg, "__array__") and not isinstance(arg, np.generic):
        kind = f"{type(arg).__module__.split('.')[0]} {type(arg).__name__}"
        way = f"{name}.detach().numpy()" if hasattr(arg, "detach") else f"np.asarray({name})"
        raise TypeError(f"{name} is a {kind}; convert it with {way}")
    return arg


def _is_floats(value):
    """Whether value is a dict, list or dataclass of float arrays."""
    if not is_container(value) or not holds(value, is_float_array):
        return False
    return bool(tree_leaves(as_tree(value)))


def _parameters(f):
    try:
        return inspect.signature(f).parameters
    except (TypeError, ValueError):  # some compiled functions do not tell
        return {}


def _differentiable(arg, name):
    if isinstance(arg, (list, dict)) and _holds_floats(arg):
        raise TypeError(
            f"{name} is a {type(arg).__name__} that holds float arrays beside other things; put "
            "the arrays into one of their own to have them differentiated, or make it a keyword "
            "argument to hold them fixed"
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


def _narrowed(leaf, like):
    """The real leaf in the precision of the given one."""
    return leaf if np.iscomplexobj(leaf) else leaf.astype(like.dtype)


def _writable(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _arrays(value):
    """All arrays in tuples, however nested."""
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in _arrays(item)]
    return [value] if isinstance(value, np.ndarray) else []


def _equal(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


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
