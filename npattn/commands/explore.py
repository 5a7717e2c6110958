"""Look into one call: forward above backward, every number with what it is made of.

    npattn explore                                            attention, on four words
    npattn explore --call softmax                             or layer_norm
    npattn explore --arrays FILE.npz --queries "the cat" --keys "le chat" --lang zh

The page is one file without network access. Numbers can be dragged, terms of a formula left out.
FILE.npz holds arrays under the names of the arguments, two axes each: Q, K, V and, if wanted, mask
and dO for attention; S, mask and dP for softmax; X, gain, bias and dY for layer_norm.

From Python, and in a notebook: npattn.plots.explore(Q, K, V, mask, dO=dO)
"""

from pathlib import Path

from npattn.commands import InputError, require_file

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
    parser.add_argument("--scale", type=float, help="factor on the scores (default: 1/√Dk)")
    for name, what in (("queries", "queries, or of the rows"), ("keys", "keys")):
        parser.add_argument(f"--{name}", metavar="TEXT", help=f'labels of the {what}: "the cat"')
    parser.add_argument("--title", metavar="TEXT", help="text above it all")
    parser.add_argument(
        "--lang", choices=("en", "zh"), default="en", help="language of the page (default: en)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("explore.html"), metavar="FILE",
        help="page to write (default: explore.html)",
    )


def run(options):
    require_file("--out", options.out, ".html", ".htm")
    page = _page(options)
    print(page.save(options.out))
    return 0


def _page(options):
    from npattn.plots import explorer

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
    except OSError:
        raise
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
