"""Run notebooks from top to bottom, in a copy of this folder, and keep what they print and draw.

    python notebooks/execute.py [NOTEBOOK ...]      all of them unless some are named

A cell that raises or warns is an error. Nothing is kept that would differ from run to run: no
times, no versions. Needs `pip install -e '.[notebooks]'`.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

import matplotlib.font_manager  # noqa: F401, builds its cache here rather than in a notebook
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS = 300  # for one cell: a limit, not an estimate
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # sums of one order, whatever the number of cores
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
# What the kernel's own machinery warns of, to itself, is not the notebook's affair.
STRICT = (
    "import warnings; warnings.simplefilter('error'); "
    "warnings.filterwarnings('ignore', module='ipykernel')"
)


def execute(path):
    """The notebook at `path` with the outputs of a run of its own in a fresh kernel.

    Raises nbclient.exceptions.CellExecutionError, which shows the cell, if one raises or warns.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, ENVIRONMENT):
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={STRICT}"],
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main(names):
    for path in map(Path, names) if names else sorted(FOLDER.glob("*.ipynb")):
        notebook = execute(path)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
