"""The house style as a context, and files that come out the same each time.

The style itself is one matplotlib style file, style.mplstyle, beside this module.
"""

import contextlib
import io
from pathlib import Path

import numpy as np

from npattn.files import replace_file

STYLE_FILE = Path(__file__).with_name("style.mplstyle")
UNDATED = {  # what each format would otherwise write about the day and the program
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextlib.contextmanager
def house_style():
    """Draw in the style of this package: `with house_style(): ...`

    Settings of matplotlib are as before once the block ends.
    """
    import matplotlib.pyplot  # noqa: F401  imported inside, it would lose its interactive mode
    from matplotlib import style

    with style.context(str(STYLE_FILE)):
        yield


def save_figure(figure, path):
    """Write a figure to a .png, .svg or .pdf file; the same figure gives the same bytes.

    figure  a matplotlib Figure; of Axes, or an array of them, it is the figure that they are on
    path    where to; an existing file is replaced in one step, so that nobody ever reads half

    Returns the path as a pathlib.Path.
    Raises TypeError if figure is none, ValueError if the suffix is another one.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    suffix = path.suffix.lower()
    if not isinstance(figure, Figure) and np.size(figure):
        figure = getattr(np.ravel(np.asarray(figure, object))[0], "figure", figure)
    if not isinstance(figure, Figure):
        raise TypeError(
            f"figure must be a matplotlib Figure, or Axes, got "
            f"{type(figure).__name__}"
        )
    if suffix not in UNDATED:
        raise ValueError(
            f"path must end in one of {', '.join(UNDATED)} to say the format, got {path.name!r}"
        )
    drawn = io.BytesIO()
    with house_style():
        figure.savefig(drawn, format=suffix[1:], metadata=UNDATED[suffix])
    return replace_file(path, drawn.getvalue())
