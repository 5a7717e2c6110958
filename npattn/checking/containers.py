"""Parameters as people keep them, in dicts, lists and dataclasses, turned into trees and back.

    tree = as_tree({"W": W, "b": b})       a NamedTuple with the fields W and b
    from_tree(tree, {"W": W, "b": b})      a dict of the same keys again

A container is turned only if all that it holds, however nested, are float arrays or None.
"""

import copy
import dataclasses
import functools
from collections import namedtuple

import numpy as np


def is_container(value):
    """Whether value is a dict, a list or a dataclass, or a tuple that holds one."""
    if isinstance(value, tuple):
        return any(map(is_container, value))
    return isinstance(value, (dict, list)) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def holds(value, test):
    """Whether `test` is true of everything in value that is no container and not None."""
    children = _children(value)
    if children is None:
        return value is None or test(value)
    return all(holds(child, test) for _, child in children)


def as_tree(value, like=None, name=""):
    """The tree (tuples and NamedTuples) of the arrays in `value`, in the form of that of `like`.

    like  a container that says form and order: dicts are read by their keys, lists and tuples by
          place. None is value itself. What is no container of this kind is returned as it is
    name  what an error calls value

    Raises ValueError for a dict of other keys.
    """
    like = value if like is None else like
    children = _children(like)
    if children is None or not _alike(value, like):
        return value
    names = [name for name, _ in children]
    if isinstance(like, dict):
        if value.keys() != like.keys():
            raise ValueError(f"{name} has the keys {list(value)}, should have {names}")
        parts = [value[key] for key in names]
    else:
        parts = [part for _, part in _children(value)]
    trees = [
        as_tree(part, child, f"{name}.{key}")
        for part, (key, child) in zip(parts, children, strict=True)
    ]
    if isinstance(like, tuple):
        return type(like)(*trees) if hasattr(like, "_fields") else tuple(trees)
    if names and all(isinstance(name, str) and name.isidentifier() for name in names):
        return _named(type(like).__name__, tuple(names))(*trees)
    return tuple(trees)


def _alike(value, like):
    """Whether the parts of value can be those of like: dicts and plain sequences by their kind."""
    if isinstance(like, dict):
        return isinstance(value, dict)
    if isinstance(like, list) or type(like) is tuple:
        return type(value) in (list, tuple) and len(value) == len(like)
    return type(value) is type(like)


def from_tree(tree, like):
    """The arrays of `tree` in a container like the one that `as_tree` was given."""
    children = _children(like)
    if children is None:
        return tree
    values = [from_tree(part, child) for part, (_, child) in zip(tree, children, strict=True)]
    if isinstance(like, dict):
        return dict(zip(like, values, strict=True))
    if isinstance(like, list):
        return values
    if isinstance(like, tuple):
        return type(like)(*values) if hasattr(like, "_fields") else tuple(values)
    filled = copy.copy(like)
    for (name, _), part in zip(children, values, strict=True):
        object.__setattr__(filled, name, part)  # also what is frozen, or no argument of __init__
    return filled


def _children(value):
    """[(name, part), ...] of a container, None of anything else."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return None


@functools.lru_cache(256)
def _named(name, fields):
    return namedtuple(name, fields, rename=True)


def is_float_array(value):
    """Whether value is a NumPy array of floating numbers, of whatever width."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
