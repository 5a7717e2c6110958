"""Trees: the shape in which parameters, gradients and optimizer states travel.

    tree  =  a leaf (an array)  |  None  |  a tuple or NamedTuple of trees

A layer's parameters are a NamedTuple of arrays, a model's a NamedTuple of layers, a stack a plain
tuple. The gradient of a parameter tree is a tree of the same types, so that an update is a map:

    params = tree_map(lambda p, d: p - rate * d, params, dparams)

None marks an absent part (a layer without bias): it has no leaf and stays None. Leaves are visited
depth first, in the order of the fields; every function here keeps to that order.
"""


def tree_map(function, tree, *rest):
    """Apply `function` leaf by leaf and keep the structure.

    function  takes one leaf of `tree`, then the leaf at the same place of each tree in `rest`
    rest      trees of exactly the same structure and types as `tree`

    Returns a tree like `tree`. Raises ValueError where structures disagree, and names the place;
    TypeError for a list or dict, which would be ambiguous as a leaf.
    """
    return _map(function, (tree, *rest), tree, ())


def tree_items(tree, name=""):
    """The leaves with their paths: [(path, leaf), ...].

    A path reads like the Python that fetches the leaf: dots for fields, [i] for plain tuples, as in
    "encoder[0].attention.query.W". `name` is the path of the tree itself.
    """
    if tree is None:
        return []
    if _is_leaf(tree):
        return [(name, tree)]
    return [
        item
        for step, child in zip(_steps(tree), tree, strict=True)
        for item in tree_items(child, (name + step).lstrip("."))
    ]


def tree_leaves(tree):
    """The leaves in order, None skipped."""
    if tree is None:
        return []
    return [tree] if _is_leaf(tree) else [leaf for child in tree for leaf in tree_leaves(child)]


def tree_unflatten(tree, leaves):
    """A tree like `tree` with `leaves`, in `tree_leaves` order, in place of its own.

    Raises ValueError if there are not as many `leaves` as `tree` has.
    """
    leaves, places = list(leaves), len(tree_leaves(tree))
    if len(leaves) != places:
        raise ValueError(f"leaves must be as many as the tree has, {places}, got {len(leaves)}")
    return _filled(tree, iter(leaves))


def _filled(tree, queue):
    """tree_unflatten from an iterator."""
    if not isinstance(tree, tuple):
        return None if tree is None else next(queue)
    return _like(tree, [_filled(child, queue) for child in tree])


def _map(function, trees, root, place):
    """tree_map for subtrees of `root` and the rest; `place` is which child to take at each node."""
    first, kind = trees[0], _kind(trees[0])
    for tree in trees[1:]:
        if _kind(tree) != kind:
            raise ValueError(
                f"trees disagree at {_path(root, place) or 'the root'}: "
                f"{' against '.join(map(_describe, trees))}"
            )
    if first is None:
        return None
    if not isinstance(first, tuple):
        return function(*trees)
    children = [
        _map(function, parts, root, (*place, i)) for i, parts in enumerate(zip(*trees, strict=True))
    ]
    return _like(first, children)


def _like(node, children):
    """A tuple of the type of `node`."""
    return type(node)(*children) if hasattr(node, "_fields") else tuple(children)


def _path(root, place):
    """The path of what lies at `place` below `root`."""
    path = ""
    for i in place:
        path, root = path + _steps(root)[i], root[i]
    return path.lstrip(".")


def _steps(node):
    """How each child of a tuple is addressed: ".W" in a NamedTuple, "[0]" in a plain one."""
    if hasattr(node, "_fields"):
        return [f".{field}" for field in node._fields]
    return [f"[{i}]" for i in range(len(node))]


def _is_leaf(tree):
    if isinstance(tree, (list, dict)):
        raise TypeError(f"a tree is made of arrays, None and tuples, got a {type(tree).__name__}")
    return not isinstance(tree, tuple)


def _kind(tree):
    """What trees must share to be alike: the tuple's type and length, or whether they are None."""
    return tree is None if _is_leaf(tree) else (type(tree), len(tree))


def _describe(tree):
    if tree is None:
        return "None"
    return "an array" if _is_leaf(tree) else f"{type(tree).__name__} of {len(tree)}"
