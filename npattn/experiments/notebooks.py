"""The notebooks, each run in a fresh kernel, and the figures that their cells draw.

A cell that draws has a name, the `metadata.name` of the notebook format, and draws one figure.
That of the cell "columns" in 11.6-positions.ipynb is 11.6-columns; in figures/ it is a .png and
a .svg. A cell that draws a figure of the README has that figure's name, and there is one file.
"""

import io
import json
import os
import shutil
import tempfile
import warnings
from base64 import b64decode, b64encode
from pathlib import Path
from typing import NamedTuple

from npattn.experiments.figures import FIGURES
from npattn.files import replace_file
from npattn.plots.style import UNDATED

FOLDER = Path(__file__).parents[2] / "notebooks"  # of a clone; the package alone has none
SECONDS = 300  # for one cell: a limit, not an estimate
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # sums of one order, whatever the number of cores
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}


class NotebookError(Exception):
    """There are no notebooks, or a cell does not keep to what is said above."""


class Drawing(NamedTuple):
    """A figure as the contents of its two files; the fields are called like the suffixes."""

    png: bytes
    svg: bytes


def paths():
    """The notebooks; of one that is shipped blank the solved copy."""
    shipped = sorted(FOLDER.glob("*.ipynb"))
    solved = {path.name: path for path in (FOLDER / "solved").glob("*.ipynb")}
    return [solved.get(path.name, path) for path in shipped]


def figures():
    """{name: path of the notebook} of each figure that a notebook, and nothing else, draws."""
    return {
        name: path
        for path in paths()
        for name in figure_names(path)
        if name not in FIGURES
    }


def figure_names(path):
    """The names of the figures in a notebook, in their order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [figure_name(path, cell) for cell in cells if "name" in cell["metadata"]]


def figure_name(path, cell):
    """The name of the figure that a cell with a name draws."""
    name = cell["metadata"]["name"]
    return name if name in FIGURES else f"{path.name.split('-')[0]}-{name}"


def require():
    """Raise what keeps notebooks from being run: NotebookError or ImportError, in plain words."""
    if not FOLDER.is_dir():
        raise NotebookError(
            "The notebooks are not part of the installed package: clone the repository, and run "
            "pip install -e '.[notebooks]' there"
        )
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbformat  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Running notebooks needs {error.name}: pip install 'npattn[notebooks]'"
        ) from error


def execute(path):
    """Run a notebook in a kernel of its own, where a warning is an error.

    Nothing is kept that would differ from run to run: no times, no versions.

    Returns the notebook with its outputs, and its figures, {name: Drawing}.
    Raises what `require` raises; nbclient.exceptions.CellExecutionError, which shows the cell, if
    one raises or warns; NotebookError if a cell has a name or draws a figure, but not both.
    """
    require()
    import matplotlib.font_manager  # noqa: F401  builds its cache here rather than in a notebook
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", record_timing=False,
        coalesce_streams=True,
        extra_arguments=[
            "--log-level=ERROR",
            f"--IPKernelApp.extra_extensions={__name__}",  # load_ipython_extension, below
            "--IPKernelApp.reraise_ipython_extension_failures=True",
        ],
    )
    # The kernel is to find this very package, wherever it is started.
    package = os.pathsep.join(filter(None, (str(FOLDER.parent), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        client.execute(cwd=folder, env={**os.environ, **ENVIRONMENT, "PYTHONPATH": package})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    drawings = _take_drawings(path, notebook)
    nbformat.validate(notebook)
    return notebook, drawings


def save(drawing, folder, name):
    """Write the two files of a figure; returns their paths."""
    return [
        replace_file(folder / f"{name}.{suffix}", content)
        for suffix, content in drawing._asdict().items()
    ]


def load_ipython_extension(shell):
    """What a kernel does before the first cell: figures get two formats, warnings are errors."""
    from matplotlib import rcParams
    from matplotlib_inline.config import InlineBackend

    rcParams["svg.hashsalt"] = "npattn"  # names of its parts that do not change
    backend = InlineBackend.instance(parent=shell)
    backend.figure_formats = set(Drawing._fields)
    backend.print_figure_kwargs = {**backend.print_figure_kwargs, "metadata": UNDATED[".svg"]}
    warnings.simplefilter("error")
    # What the kernel's own machinery warns of, to itself, is not the notebook's affair.
    warnings.filterwarnings("ignore", module="ipykernel")


def _take_drawings(path, notebook):
    """The figures, {name: Drawing}. In the notebook they stay as PNG alone."""
    drawings = {}
    for cell in notebook.cells:
        shown = [o.data for o in cell.get("outputs", ()) if "image/png" in o.get("data", ())]
        if len(shown) != ("name" in cell.metadata):
            raise NotebookError(
                f"{path.name}: the cell that starts with {cell.source.splitlines()[0]!r} draws "
                f"{len(shown)} figures and its metadata are {dict(cell.metadata)}. A cell that "
                'draws must draw one figure and have a "name" there, and no other cell may'
            )
        for data in shown:
            png, svg = _plain(b64decode(data["image/png"])), data.pop("image/svg+xml")
            drawings[figure_name(path, cell)] = Drawing(png, svg.encode())
            data["image/png"] = b64encode(png).decode()
    return drawings


def _plain(png):
    """The image without the texts beside it, which name the program and its version."""
    from PIL import Image

    plain = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.save(plain, "png", dpi=image.info["dpi"])
    return plain.getvalue()
