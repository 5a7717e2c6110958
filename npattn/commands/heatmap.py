"""Draw attention weights that were saved elsewhere.

    npattn heatmap --weights FILE.npy --queries "the cat sat" --keys "le chat" --out FILE.svg
    npattn heatmap --weights FILE.npz --array NAME --html FILE.html

FILE holds (queries, keys), (heads, queries, keys) or (layers, heads, queries, keys); each layer is
a row of panels and each head a column, all on one colour scale. --html writes an interactive page,
one file without network access. Labels are words between spaces, or @FILE with one on each line.

From torch:   np.save("weights.npy", weights.detach().float().cpu().numpy())
several:      np.savez("weights.npz", encoder=first_array, decoder=second_array)
"""

from pathlib import Path

from npattn.commands import InputError, require_file

HELP = "draw weights that were saved elsewhere, as a figure or an interactive page"

FIGURES, PAGES = (".png", ".svg", ".pdf"), (".html", ".htm")


def configure(parser):
    parser.add_argument(
        "--weights", type=Path, required=True, metavar="FILE", help="a .npy or .npz file"
    )
    parser.add_argument("--array", metavar="NAME", help="which array of an .npz file")
    for name, what in (("queries", "rows"), ("keys", "columns")):
        parser.add_argument(
            f"--{name}", metavar="TEXT", help=f'labels of the {what}: "the cat sat", or @FILE'
        )
    parser.add_argument(
        "--mask", type=Path, metavar="FILE",
        help="a .npy file of booleans that broadcasts to the weights; True = may attend",
    )
    parser.add_argument("--title", metavar="TEXT", help="text above it all")
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"figure to write, {', '.join(FIGURES)} (default without --html: heatmap.png)",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="interactive page to write")


def run(options):
    from npattn.files import replace_file
    from npattn.plots import head_grid, save_figure

    out, html = options.out, options.html
    if out is None and html is None:
        out = Path("heatmap.png")
    require_file("--out", out, *FIGURES)
    require_file("--html", html, *PAGES)
    weights = _load("--weights", options.weights, options.array)
    mask = None if options.mask is None else _load("--mask", options.mask)
    queries, keys = _tokens("--queries", options.queries), _tokens("--keys", options.keys)
    weights, page = _checked(weights, queries, keys, mask, options.title, html is not None)
    if out is not None:
        axes = head_grid(
            weights, queries, keys, mask=mask, title=options.title, **_titles(*weights.shape[:2]),
            vmin=min(0.0, weights.min()),
        )  # fmt: skip
        print(save_figure(axes[0, 0].figure, out))
    if html is not None:
        print(replace_file(html, page.encode()))
    return 0


def _load(argument, path, name=None):
    """The array of an .npy file, or the one called `name` of an .npz file."""
    import numpy as np

    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
            if not isinstance(array, np.ndarray):
                array = array[_choose(argument, path, name, array.files)]
            elif name is not None:
                raise InputError(f"--array {name} is for .npz files; {path} holds one array")
        if not isinstance(array, np.ndarray):  # a zip file of something else
            raise ValueError
    except (InputError, OSError):
        raise
    except Exception as error:  # numpy and zipfile have a dozen ways to reject a file
        raise InputError(
            f"{argument} {path} is damaged, or no .npy or .npz file of numbers, or it holds "
            "pickled objects; write it with np.save or np.savez from an array"
        ) from error
    return array


def _choose(argument, path, name, names):
    """The name of the array to take from an .npz file."""
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return name
    asked = "choose one with --array NAME" if name is None else f"there is no --array {name}"
    raise InputError(f"{argument} {path}: {asked}; it holds {', '.join(names) or 'nothing'}")


def _tokens(argument, text):
    """The labels: words of the text, or lines of the file that it names after an @."""
    if text is None or not text.startswith("@"):
        return text and text.split()
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{argument} {text}: the file is not UTF-8 text") from error
    return lines.removesuffix("\n").split("\n")


def _checked(weights, queries, keys, mask, title, page):
    """The weights as floats (layers, heads, Tq, Tk), and the page if one is wanted."""
    from npattn.kernels.shapes import require_mask
    from npattn.plots import checks
    from npattn.plots.page import attention_page

    try:
        weights = checks.numbers("weights", weights, (2, 3, 4))
        for name, labels, count in zip(
            ("queries", "keys"), (queries, keys), weights.shape[-2:], strict=True
        ):
            checks.labels(name, labels, count, name)
        if mask is not None:
            require_mask(mask, weights.shape, "weights")
        page = attention_page(weights, queries, keys, mask=mask, title=title) if page else None
    except (TypeError, ValueError) as error:  # which begins with the name of the argument
        raise InputError(f"--{error}") from error
    return weights.reshape((1, 1, *weights.shape)[-4:]), page


def _titles(layers, heads):
    """Titles of the panels, none for a single one."""
    if layers == heads == 1:
        return {"column_titles": [""]}
    return {"row_titles": [f"layer {n + 1}" for n in range(layers)] if layers > 1 else None}
