"""Run the notebooks, and keep their outputs in them and their figures in figures/.

    python notebooks/execute.py [NOTEBOOK …]

Each runs in a fresh kernel, where a warning is an error. Needs `pip install -e '.[notebooks]'`.
Of those that hold exercises the solved copy is run, and the blank one is made from it.
"""

import sys
from pathlib import Path

from npattn.exercises.blank import BLANKS, blanked
from npattn.experiments import notebooks

FIGURES = notebooks.FOLDER.parent / "figures"


def main(names):
    notebooks.require()
    import nbformat

    told = notebooks.figures()
    for path in map(Path, names) if names else notebooks.paths():
        notebook, drawings = notebooks.execute(path)
        nbformat.write(notebook, path)
        if path.parent.name == "solved":
            blank = blanked(path.read_text(encoding="utf-8"), path.name)
            for folder in (notebooks.FOLDER, BLANKS):
                (folder / path.name).write_text(blank, encoding="utf-8")
        for name, drawing in drawings.items():
            if name in told:  # no figure of the README
                notebooks.save(drawing, FIGURES, name)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
