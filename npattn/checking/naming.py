"""Entries of gradients in words: dK[batch 0, head 2, key 3, dim 1]."""

# what the axes of a parameter mean, by the last step of its path
PARAMETERS = {"W": "in out", "b": "out", "gain": "dim", "bias": "dim", "embedding": "id dim"}


def axis_words(axes, paths, leaves):
    """The words for the axes of each leaf: {path: ["batch", "head", ...]}.

    axes  {path: "batch head key dim"}, one word per axis; PARAMETERS are known without; other
          leaves show bare numbers

    Raises ValueError for a path that is no differentiable leaf, or for too many or few words;
    TypeError for axes in another form.
    """
    axes = {} if axes is None else axes
    if not isinstance(axes, dict) or not all(isinstance(text, str) for text in axes.values()):
        raise TypeError(f"axes must be like {{'K': 'batch key dim'}}, got {axes!r}")
    shapes = {path: leaf.shape for path, leaf in zip(paths, leaves, strict=True)}
    given = {path: text.split() for path, text in axes.items()}
    for path, names in given.items():
        if path not in shapes:
            raise ValueError(f"axes names {path!r}, but the leaves are {', '.join(paths)}")
        if len(names) != len(shapes[path]):
            raise ValueError(
                f"axes gives {len(names)} words for {path} of shape {shapes[path]}: {names}"
            )
    usual = {path: PARAMETERS.get(path.split(".")[-1], "").split() for path in paths}
    fitting = {path: names for path, names in usual.items() if len(names) == len(shapes[path])}
    return fitting | given


def entry_name(path, index, words=None):
    """The name of one entry of the gradient of `path`. A gradient without axes has no index."""
    if not index:
        return f"d{path}"
    words = [f"{word} " for word in words] if words else [""] * len(index)
    labels = [f"{word}{i}" for word, i in zip(words, index, strict=True)]
    return f"d{path}[{', '.join(labels)}]"
