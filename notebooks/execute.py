"""Run the notebooks, and keep their outputs in them and their figures in figures/.

    python notebooks/execute.py [NOTEBOOK …]

Each runs in a fresh kernel, where a warning is an error. Needs `pip install -e '.[notebooks]'`.
"""

import sys
from pathlib import Path

from npattn.experiments import notebooks

FIGURES = notebooks.FOLDER.parent / "figures"


def main(names):
    notebooks.require()
    import nbformat

    told = notebooks.figures()
    for path in map(Path, names) if names else sorted(notebooks.FOLDER.glob("*.ipynb")):
        notebook, drawings = notebooks.execute(path)
        nbformat.write(notebook, path)
        for name, drawing in drawings.items():
            if name in told:  # no figure of the README
                notebooks.save(drawing, FIGURES, name)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
