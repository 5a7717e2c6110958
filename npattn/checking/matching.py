"""Does a gradient have the form of the argument that it belongs to?"""

import numpy as np

from npattn.trees import tree_items, tree_leaves, tree_map


def match(gradient, arg, name):
    """The leaves of one gradient, None where it cannot be compared, and the complaints."""
    items = tree_items(arg, name)
    if isinstance(arg, tuple):
        try:
            tree_map(lambda leaf, d: None, arg, gradient)
        except (TypeError, ValueError) as error:
            complaint = f"{name} should be a {type(arg).__name__} like {name[1:]}: {error}"
            return [None] * len(items), [complaint]
        found = tree_leaves(gradient)
    else:
        found = [gradient]
    found = [np.asarray(d) if isinstance(d, np.generic) else d for d in found]
    usable = [describe(d) == describe(leaf) for d, (_, leaf) in zip(found, items, strict=True)]
    rows = list(zip(usable, found, items, strict=True))
    return [d if good else None for good, d, _ in rows], [
        f"{path} is {describe(d)}, should be {describe(leaf)}"
        for good, d, (path, leaf) in rows
        if not good
    ]


def describe(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return "None (is a return missing?)" if value is None else f"a {type(value).__name__}"
