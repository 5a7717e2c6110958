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
    rows, complaints = [], []
    for d, (path, leaf) in zip(found, items, strict=True):
        foreign = hasattr(d, "__array__") and not isinstance(d, (np.ndarray, np.generic))
        if hasattr(d, "__array__"):
            d = np.asarray(d.detach().cpu() if hasattr(d, "detach") else d)
        good = describe(d) == describe(leaf)
        if foreign:  # torch and JAX compute in float32 unless told not to
            good = d.dtype.kind == "f" and d.shape == leaf.shape
        rows.append(d if good else None)
        complaints += [f"{path} is {describe(d)}, should be {describe(leaf)}"] * (not good)
    return rows, complaints


def describe(value):
    """What came, in the words of a complaint."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return "None (is a return missing?)" if value is None else f"a {type(value).__name__}"
