"""Look into one call: forward above backward, every number with what it is made of.

    npattn explore                                            attention, on four words
    npattn explore --call softmax                             or layer_norm
    npattn explore --arrays FILE.npz --queries "the cat" --keys "le chat" --lang zh
    npattn explore --gpt emma --block 1 --head 2              a head of npattn/gpt.py on a name

The page is one file without network access. Numbers can be dragged, terms of a formula left out.
--gpt first trains the GPT, in less than a minute; its loss on this name is what is differentiated.
FILE.npz holds arrays under the names of the arguments, two axes each: Q, K, V and, if wanted, mask
and dO for attention; S, mask and dP for softmax; X, gain, bias and dY for layer_norm.

From Python, and in a notebook: npattn.plots.explore(Q, K, V, mask, dO=dO)
"""

from pathlib import Path

from npattn.commands import InputError, require_file, utf8

HELP = "look into one call and its gradient, on a page to point at, to change and to break"

ARRAYS = {
    "attention": (("Q", "K", "V"), ("mask", "dO")),
    "softmax": (("S",), ("mask", "dP")),
    "layer_norm": (("X",), ("gain", "bias", "dY")),
}


def configure(parser):
    parser.add_argument(
        "--call", choices=ARRAYS, default="attention", help="which call (default: attention)"
    )
    parser.add_argument("--arrays", type=Path, metavar="FILE", help="an .npz file of its arguments")
    parser.add_argument("--gpt", metavar="NAME", help="what the GPT reads: letters a to z")
    for name in ("block", "head"):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"which {name} of the GPT, from 1 (default: 1)"
        )
    parser.add_argument(
        "--steps", type=int, default=1500, metavar="N", help="training steps of the GPT"
    )
    parser.add_argument("--scale", type=float, help="factor on the scores (default: 1/√Dk)")
    for name, what in (("queries", "queries, or of the rows"), ("keys", "keys")):
        parser.add_argument(f"--{name}", type=utf8, metavar="TEXT",
                            help=f'labels of the {what}: "the cat"')
    parser.add_argument("--title", type=utf8, metavar="TEXT", help="text above it all")
    parser.add_argument(
        "--lang", choices=("en", "zh"), default="en", help="language of the page (default: en)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("explore.html"), metavar="FILE",
        help="page to write (default: explore.html)",
    )


def run(options):
    require_file("--out", options.out, ".html", ".htm")
    page = _page(options) if options.gpt is None else _gpt_page(options)
    print(page.save(options.out))
    return 0


def _page(options):
    from npattn.plots import explorer

    for name in ("block", "head"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for --gpt NAME")
    given = _example(options.call) if options.arrays is None else _load(options)
    labels = {"queries": options.queries, "keys": options.keys}
    labels = {name: text.split() for name, text in labels.items() if text is not None}
    if options.call == "layer_norm":
        if "keys" in labels:
            raise InputError("--keys is not for layer_norm: --queries labels its rows")
        labels = {"tokens": labels.pop("queries", None)}
    elif options.arrays is None:
        labels = {"queries": WORDS, "keys": WORDS} | labels
    if options.scale is not None:
        if options.call != "attention":
            raise InputError(f"--scale is for attention, not for {options.call}")
        given["scale"] = options.scale
    explore = {
        "attention": explorer.explore,
        "softmax": explorer.explore_softmax,
        "layer_norm": explorer.explore_layer_norm,
    }[options.call]
    try:
        return explore(**given, **labels, title=options.title, lang=options.lang)
    except (TypeError, ValueError) as error:  # which begins with the name of the argument
        raise InputError(str(error)) from error


def _gpt_page(options):
    from npattn.plots import explorer
    from npattn.plots.explorer.page import words_in

    for name in ("arrays", "scale", "queries", "keys"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is not for --gpt, which brings its own")
    if options.call != "attention":
        raise InputError(f"--call {options.call} is not for --gpt, which shows attention")
    if options.steps < 1:
        raise InputError(f"--steps must be at least 1, got {options.steps}")
    block, head = _counted(options)
    try:
        head_of_gpt(None, options.gpt)  # refused before the training, not after it
        given = head_of_gpt(_trained(options.steps), options.gpt, block - 1, head - 1)
    except ValueError as error:
        raise InputError(f"--{error}") from error
    title = words_in(options.lang)["title gpt"].format(options.gpt, block, head)
    return explorer.explore(**given, title=options.title or title, lang=options.lang)


def _counted(options):
    """The block and the head that are asked for, from 1."""
    from npattn import gpt

    given = {"block": (options.block, gpt.L), "head": (options.head, gpt.H)}
    for name, (value, count) in given.items():
        if value is not None and not 1 <= value <= count:
            raise InputError(f"--{name} must be 1 to {count}, got {value}")
    return [1 if value is None else value for value, _ in given.values()]


def head_of_gpt(theta, name, block=0, head=0):
    """One head of npattn/gpt.py while it reads a name: the arguments of `npattn.plots.explore`.

    theta  its parameters, one long vector as in gpt.py; None only checks the rest
    name   letters a to z, at most 15; the GPT reads a point before it
    block  which block, counted from 0
    head   which head of that block, counted from 0

    dO is the gradient of the loss on this name and the point after it, averaged over its letters.
    Raises ValueError, naming the argument, for a name, block or head that the GPT has not.
    """
    import numpy as np

    from npattn import gpt

    read = "." + name
    n = len(read)
    if not name or set(name) - set(gpt.LETTERS[1:]) or n > gpt.T:
        raise ValueError(f"gpt must be 1 to {gpt.T - 1} letters a to z, got {name!r}")
    for argument, value, count in (("block", block, gpt.L), ("head", head, gpt.H)):
        if not 0 <= value < count:
            raise ValueError(f"{argument} must be 0 to {count - 1}, got {value}")
    if theta is None:
        return None
    W, G = gpt.unpack(theta), gpt.unpack(np.zeros(theta.size))
    text = np.array([[gpt.LETTERS.index(c) for c in read.ljust(gpt.T + 1, ".")]])
    Z, (*_, caches, norm, _, _) = gpt.gpt(W, text[:, :-1])
    dZ = (gpt.softmax(Z) - gpt.one_hot(text[:, 1:])) / n
    dZ[n:] = 0.0  # what comes after the name is not asked for
    dX = gpt.layer_norm_backward(dZ @ W.E, norm)[0]
    for later in reversed(range(block + 1, gpt.L)):
        dX = gpt.block_backward(dX, caches[later], G, later)
    _, (_, *QKV, _, _, _, _, _, Wo), norm2, feed = caches[block]
    dM = dX + gpt.layer_norm_backward(gpt.feed_forward_backward(dX, feed)[0], norm2)[0]
    Q, K, V, dO = (X[0, head, :n] for X in (*QKV, gpt.heads(dM @ Wo.T)))
    labels = list(read)
    return {"Q": Q, "K": K, "V": V, "mask": np.tri(n, dtype=bool), "dO": dO, "scale": gpt.scale,
            "queries": labels, "keys": labels}


def _trained(steps, rate=0.01):
    """The parameters after the training of gpt.py, with its seed."""
    import numpy as np

    from npattn import gpt

    rng = np.random.default_rng(0)
    theta, m, v = gpt.start(rng), 0, 0
    for step in range(1, steps + 1):
        _, grad = gpt.gradient(theta, gpt.draw(rng, gpt.B))
        theta, m, v = gpt.adam(theta, grad, m, v, step, rate * (1 - step / (steps + 1)))
    return theta


WORDS = "the cat sat down".split()


def _example(call):
    """Numbers of one digit after the point, that can be followed in the head; a causal mask."""
    import numpy as np

    rng = np.random.default_rng(3)
    mask = np.tri(4, dtype=bool)

    def draw(*shape):
        return rng.standard_normal(shape).round(1)

    if call == "attention":
        return {"Q": draw(4, 2), "K": draw(4, 2), "V": draw(4, 3), "mask": mask, "dO": draw(4, 3)}
    if call == "softmax":
        return {"S": draw(4, 4), "mask": mask, "dP": draw(4, 4)}
    return {"X": draw(3, 4), "gain": draw(4), "bias": draw(4), "dY": draw(3, 4)}


def _load(options):
    import numpy as np

    needed, more = ARRAYS[options.call]
    try:
        with np.load(options.arrays, allow_pickle=False) as file:
            given = {name: file[name] for name in (*needed, *more) if name in file.files}
            names = file.files
    except OSError as error:
        raise InputError(f"--arrays {options.arrays}: {error.strerror}") from error
    except Exception as error:  # numpy and zipfile have a dozen ways to reject a file
        raise InputError(
            f"--arrays {options.arrays} is no .npz file of numbers; write it with "
            f"np.savez({options.arrays.stem!r}, {', '.join(f'{n}={n}' for n in needed)})"
        ) from error
    missing = [name for name in needed if name not in given]
    if missing:
        raise InputError(
            f"--arrays {options.arrays} has no {', '.join(missing)}; {options.call} needs "
            f"{', '.join(needed)}, and it holds {', '.join(names) or 'nothing'}"
        )
    return given
