"""Draw the figures of the README and of the notebooks again, each as PNG and as SVG.

    npattn figures                       all of them, into the folder figures
    npattn figures dates 11.6-columns    only these two
    npattn figures --list                the names of all

The figure of a notebook is drawn where it is told: the notebook is run, in a copy, which needs
`pip install 'npattn[notebooks]'` and a clone of the repository. Without these the figures of the
README are drawn and the others said to be left out, and the exit code is 1.
"""

import difflib
import sys
from pathlib import Path

from npattn.commands import InputError, require_folder

HELP = "draw the figures again"


def configure(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), metavar="DIR", help="default: figures"
    )
    parser.add_argument("--list", action="store_true", help="print the names and draw nothing")


def run(options):
    from npattn.experiments import notebooks
    from npattn.experiments.figures import FIGURES

    told = notebooks.figures()
    if options.list:
        print(*FIGURES, *told, sep="\n")
        return 0
    names = options.names or [*FIGURES, *told]
    _require(names, [*FIGURES, *told], options.out)
    asked = {path: None for name, path in told.items() if name in names}
    lack = _lack(notebooks) if asked or not options.names else ""
    if lack and options.names:
        raise InputError(lack)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        if name in names:
            _draw(name, FIGURES[name], options.out)
    if lack:
        print(f"npattn figures: those of the notebooks are left out. {lack}", file=sys.stderr)
        return 1
    for path in asked:
        print(f"running {path.name}", file=sys.stderr)
        _, drawings = notebooks.execute(path)
        for name, drawing in drawings.items():
            if name in told and name in names:
                print(*notebooks.save(drawing, options.out, name), sep="\n")
    return 0


def _require(names, known, folder):
    """Names that there are, and a folder that can be."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "--list names them all"
            raise InputError(f"no figure is called {name!r}; {hint}")
    require_folder("--out", folder)


def _lack(notebooks):
    """What keeps the notebooks from being run, in words; "" if nothing does."""
    try:
        notebooks.require()
    except (ImportError, notebooks.NotebookError) as error:
        return str(error)
    return ""


def _draw(name, function, folder):
    """Draw a figure of the README and write its files."""
    from matplotlib import pyplot

    from npattn.plots import save_figure

    figure = function()
    for suffix in (".png", ".svg"):
        print(save_figure(figure, folder / f"{name}{suffix}"))
    pyplot.close(figure)
