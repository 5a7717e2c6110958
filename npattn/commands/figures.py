"""Draw the figures of the README and the notebooks again, from what the package computes.

    npattn figures --out figures

Each is written as PNG and as SVG. With names, only those.
"""

from pathlib import Path

from npattn.commands import InputError

HELP = "draw the figures again"


def configure(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), metavar="DIR", help="default: figures"
    )


def run(options):
    from matplotlib import pyplot

    from npattn.experiments.figures import FIGURES
    from npattn.plots import save_figure

    unknown = [name for name in options.names if name not in FIGURES]
    if unknown:
        raise InputError(f"no figure is called {unknown[0]!r}; there are {', '.join(FIGURES)}")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out} is a file; name a folder")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or FIGURES:
        figure = FIGURES[name]()
        for suffix in (".png", ".svg"):
            print(save_figure(figure, options.out / f"{name}{suffix}"))
        pyplot.close(figure)
    return 0
