"""Draw attention weights that were saved elsewhere.

    npattn heatmap --weights FILE.npy --queries "the cat sat" --keys "le chat" --out FILE.svg
    npattn heatmap --weights FILE.npz --layer 3 --mean heads --html FILE.html

FILE holds (queries, keys), (heads, queries, keys) or (layers, heads, queries, keys), axes of length
1 left aside; each layer is a row of panels and each head a column, all on one colour scale. Layers
and heads count from 1, here and in the titles, unless they are given names. --html writes an
interactive page, one file without network access. Labels are words between spaces, a JSON list, or
@FILE with a JSON list or one on each line; @@ is a word's own @. Byte-level tokens are readable.

From torch:   np.save("weights.npy", weights.detach().float().cpu().numpy())
all layers:   np.savez("weights.npz", *[w.detach().float().cpu() for w in outputs.attentions])
several:      np.savez("weights.npz", encoder=first_array, decoder=second_array)
"""

import json
import re
from pathlib import Path

from npattn.commands import InputError, require_file, utf8

HELP = "draw weights that were saved elsewhere, as a figure or an interactive page"

FIGURES, PAGES = (".png", ".svg", ".pdf"), (".html", ".htm")
FROM_TORCH = (
    "{argument} {path} is torch's own format, which only torch reads safely; convert it with "
    "python -c \"import numpy, torch; w = torch.load('{path}', map_location='cpu', "
    "weights_only=True); numpy.savez('weights.npz', *[a.detach().float() for a in "
    "(w if isinstance(w, (list, tuple)) else [w])])\""
)


def configure(parser):
    parser.add_argument(
        "--weights", type=Path, required=True, metavar="FILE", help="a .npy or .npz file"
    )
    parser.add_argument("--array", metavar="NAME", help="which array of an .npz file")
    for name, what in (
        ("queries", "rows"), ("keys", "columns"), ("layer-names", "layers"), ("head-names", "heads")
    ):
        parser.add_argument(
            f"--{name}", type=utf8, metavar="TEXT",
            help=f'labels of the {what}: "the cat sat", or @FILE'
        )
    for name in ("layer", "head"):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"one {name} alone; the first is 1"
        )
    parser.add_argument(
        "--mean", choices=("layers", "heads", "all"), help="the mean over the layers, heads or both"
    )
    parser.add_argument(
        "--vmax", type=float, metavar="X", help="value of the darkest colour (default: greatest)"
    )
    parser.add_argument(
        "--mask", type=Path, metavar="FILE",
        help="a .npy file of booleans that broadcasts to the weights; True = may attend",
    )
    parser.add_argument("--title", type=utf8, metavar="TEXT", help="text above it all")
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"figure to write, {', '.join(FIGURES)} (default without --html: heatmap.png)",
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", nargs="?", const=Path("heatmap.html"),
        help="interactive page to write (without FILE: heatmap.html)",
    )


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
    weights, mask, titles, page = _checked(options, weights, queries, keys, mask)
    if out is not None:
        axes = head_grid(
            weights, queries, keys, mask=mask, title=options.title, **titles,
            vmin=min(0.0, weights.min()), vmax=options.vmax,
        )  # fmt: skip
        print(save_figure(axes, out))
    if html is not None:
        print(replace_file(html, page.encode(errors="backslashreplace")))
    return 0


def _load(argument, path, name=None):
    """The array of an .npy file, the one called `name` of an .npz file, or a list of its layers."""
    import numpy as np

    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
            if not isinstance(array, np.ndarray):
                if any(Path(part).name == "data.pkl" for part in array.zip.namelist()):
                    raise InputError(FROM_TORCH.format(argument=argument, path=path))
                layers = _layers(name, array.files)
                if layers:
                    return [array[layer] for layer in layers]
                array = array[_choose(argument, path, name, array.files)]
            elif name is not None:
                raise InputError(f"--array {name} is for .npz files; {path} holds one array")
        if not isinstance(array, np.ndarray):  # a zip file of something else
            raise ValueError
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{argument} {path}: {error.strerror}") from error
    except Exception as error:  # numpy and zipfile have a dozen ways to reject a file
        raise InputError(
            f"{argument} {path} is damaged, or no .npy or .npz file of numbers, or it holds "
            "pickled objects; write it with np.save or np.savez from an array"
        ) from error
    return array


def _layers(name, names):
    """The names in order, where they are one word and a number: arr_0, arr_1, … of np.savez."""
    parts = [re.fullmatch(r"(.*?)(\d+)", each) for each in names]
    if name is not None or len(names) < 2 or None in parts or len({p[1] for p in parts}) > 1:
        return None
    return [part[0] for part in sorted(parts, key=lambda part: int(part[2]))]


def _choose(argument, path, name, names):
    """The name of the array to take from an .npz file."""
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return name
    asked = "choose one with --array NAME" if name is None else f"there is no --array {name}"
    raise InputError(f"{argument} {path}: {asked}; it holds {', '.join(names) or 'nothing'}")


def _tokens(argument, text):
    """The labels: a JSON list, words of the text, or what the file holds that it names after @."""
    if text is None:
        return None
    if not text.startswith("@") or text.startswith("@@"):
        listed = _json_list(text)
        return [re.sub("^@@", "@", word) for word in text.split()] if listed is None else listed
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{argument} {text}: the file is not UTF-8 text") from error
    listed = _json_list(lines)
    return lines.removesuffix("\n").split("\n") if listed is None else listed


def _json_list(text):
    """The strings of a JSON list of strings; None for any other text."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):  # brackets without end
        return None
    if isinstance(listed, list) and all(isinstance(token, str) for token in listed):
        return listed
    return None


def _checked(options, weights, queries, keys, mask):
    """Weights and mask (layers, heads, Tq, Tk), titles of the panels, the page if one is wanted."""
    from npattn.plots import checks, given
    from npattn.plots.page import attention_page

    try:
        read = given.read(weights, queries, keys, mask, (2, 3, 4))
        weights = read.weights.reshape((1, 1, *read.weights.shape)[-4:])
        for name, labels, count in zip(
            ("queries", "keys"), (queries, keys), weights.shape[-2:], strict=True
        ):
            checks.labels(name, labels, count, name)
        mask = None if read.mask is None else read.mask.reshape(weights.shape)
        low = min(0.0, weights.min())
        if options.vmax is not None and not low < options.vmax < float("inf"):
            raise ValueError(f"vmax must be finite and above {low:g}, got {options.vmax:g}")
        checks.limits(weights, low, options.vmax)
        names = _names(options, weights.shape)
        weights, mask, names = _selected(options, weights, mask, names)
        page = options.html and attention_page(
            weights, queries, keys, mask=mask, title=options.title, vmax=options.vmax,
            layer_names=names[0], head_names=names[1],
        )
    except (TypeError, ValueError) as error:  # which begins with the name of the argument
        raise InputError(f"--{error}") from error
    return weights, mask, _titles(names), page


def _names(options, shape):
    """The names of the layers and of the heads, as they were given or counted from 1."""
    names = []
    for word, count in zip(("layer", "head"), shape, strict=False):
        argument = f"--{word}-names"
        given = _tokens(argument, getattr(options, f"{word}_names"))
        if given is not None and len(given) != count:
            raise InputError(f"{argument} must name each of the {count} {word}s, got {len(given)}")
        names.append([f"{word} {n + 1}" for n in range(count)] if given is None else given)
    return names


def _selected(options, weights, mask, names):
    """One layer, one head, the mean over all of them, or everything as it is."""
    names = list(names)
    for axis, word in enumerate(("layer", "head")):
        number, count = getattr(options, word), weights.shape[axis]
        if number is not None:
            if not 1 <= number <= count:
                raise InputError(f"--{word} must be one of 1 to {count}, got {number}")
            weights = weights.take([number - 1], axis)
            mask = None if mask is None else mask.take([number - 1], axis)
            names[axis] = names[axis][number - 1 : number]
        elif options.mean in (f"{word}s", "all"):
            weights = weights.mean(axis, keepdims=True)
            mask = None if mask is None else mask.any(axis, keepdims=True)
            names[axis] = [f"mean of {count} {word}s"]
    return weights, mask, names


def _titles(names):
    """Titles of the panels; none for the only layer or head that there is."""
    rows, columns = names
    return {
        "row_titles": [""] if rows == ["layer 1"] else rows,
        "column_titles": [""] if columns == ["head 1"] else columns,
    }
