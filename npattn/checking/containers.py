"""Parameters as people keep them, in dicts, lists and dataclasses, turned into trees and back.

    tree = as_tree({"W": W, "b": b})       a NamedTuple with the fields W and b
    from_tree(tree, {"W": W, "b": b})      a dict of the same keys again

A container is turned only if all that it holds, however nested, are float arrays or None.
"""

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


def as_tree(value):
    """The tree (tuples and NamedTuples) of the arrays in `value`."""
    children = _children(value)
    if children is None:
        return value
    trees = [as_tree(child) for _, child in children]
    names = [name for name, _ in children]
    if isinstance(value, tuple):
        return type(value)(*trees) if hasattr(value, "_fields") else tuple(trees)
    if names and all(isinstance(name, str) and name.isidentifier() for name in names):
        return _named(type(value).__name__, tuple(names))(*trees)
    return tuple(trees)


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
    return dataclasses.replace(like, **dict(zip((n for n, _ in children), values, strict=True)))


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
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
