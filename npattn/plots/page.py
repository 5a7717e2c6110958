"""Attention weights as one interactive web page, a single file that never uses a network.

A query is a row and a key a column, as in `heatmap`. Layer and head can be chosen, or the mean over
all of them, and an overview shows them all. The value and the tokens of a cell show under the
pointer, a finger or the arrow keys, and the row of one query as bars.
Weights are in the page as 32-bit floats, masks as bits, so that 12 layers of 12 heads over 100
tokens make 8 MB. All layers and heads share one colour scale.

The page is page.html with page.css and the scripts of SCRIPTS, beside this module. A token can hold
any text: it travels as JSON without a "<", and the scripts only ever show it as text.
"""

import base64
import json
from pathlib import Path

import numpy as np

from npattn.files import replace_file
from npattn.plots import checks, given
from npattn.plots.tokens import readable

LARGEST = 2**24  # weights; their page has 90 MB
PARTS = "weights", "layout", "matrix", "marks", "overview", "choice"
SCRIPTS = [f"page_{part}.js" for part in PARTS]


def attention_page(
    weights, queries=None, keys=None, *, mask=None, title=None, xlabel="keys", ylabel="queries",
    vmax=None, layer_names=None, head_names=None,
):  # fmt: skip
    """The text of an HTML page that shows attention weights, for a browser.

    weights  (Tq, Tk), (heads, Tq, Tk) or (layers, heads, Tq, Tk)
    queries  Tq labels for the rows; None numbers them
    keys     Tk labels for the columns; None numbers them
    mask     bool, broadcastable to weights; True means "may attend". Other cells are hatched
    title    text above it all and in the title of the window
    xlabel   name of the axis of the keys
    ylabel   name of the axis of the queries
    vmax     value of the darkest colour; None means the greatest weight
    layer_names, head_names  one for each; None means "layer 1", "head 1", …

    `weights` can also be what npattn.plots.given reads: layers in a tuple, tensors, a DataFrame.
    The colours span 0, or the least weight if that is negative, to vmax.
    Raises TypeError or ValueError, naming the argument, where dtypes, counts or shapes are wrong,
    and ValueError for more weights than a browser takes well.
    """
    weights, keep, queries, keys, word = given.read(weights, queries, keys, mask, (2, 3, 4))
    if weights.size > LARGEST:
        raise ValueError(
            f"weights must be at most {LARGEST:,} for a page, got {weights.size:,}, "
            f"shape {weights.shape}; select some layers or heads"
        )
    *_, Tq, Tk = weights.shape
    low, high = checks.limits(weights, min(0.0, float(weights.min())), vmax)
    layers, heads = shape = (1, 1, *weights.shape)[-4:-2]
    content = {
        "title": None if title is None else str(title),
        "shape": (*shape, Tq, Tk),
        "layers": _names("layer", layer_names, layers),
        "heads": _names("head", head_names, heads),
        "xlabel": str(xlabel),
        "ylabel": str(ylabel),
        "word": word.replace("\n", " "),
        "low": low,
        "high": high,
        "queries": _labels("queries", queries, Tq),
        "keys": _labels("keys", keys, Tk),
        "weights": _base64(weights.astype("<f4")),
        "mask": None if keep is None else _base64(np.packbits(keep, bitorder="little")),
    }
    page = _part("page.html").replace("{style}", _part("page.css"))
    page = page.replace("{script}", "\n\n".join(map(_part, SCRIPTS)))
    return page.replace("{data}", json.dumps(content).replace("<", r"\u003c"))


def save_page(path, weights, queries=None, keys=None, **options):
    """Write `attention_page` of the same arguments to an .html file, which is replaced in one step.

    Returns the path as a pathlib.Path.
    Raises ValueError if the suffix is another one, and what `attention_page` raises.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path must end in .html, got {path.name!r}")
    page = attention_page(weights, queries, keys, **options)
    return replace_file(path, page.encode(errors="backslashreplace"))


def _names(word, names, count):
    """The names of layers or heads, counted from 1 where none are given."""
    names = [f"{word} {n + 1}" for n in range(count)] if names is None else [
        str(name) for name in checks.listed(f"{word}_names", names)]
    if len(names) != count:
        raise ValueError(f"{word}_names must name each of the {count} {word}s, got {len(names)}")
    return names


def _labels(name, tokens, count):
    """The tokens as they are, once counted; None for None."""
    if tokens is None:
        return None
    tokens = readable(checks.listed(name, tokens))
    checks.labels(name, tokens, count, name)
    return tokens


def _base64(array):
    return base64.b64encode(array.tobytes()).decode()


def _part(name):
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()
