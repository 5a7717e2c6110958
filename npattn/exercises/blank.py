"""A blank notebook: statements, functions to write, and cells that check them."""

import json

from npattn.exercises.files import start_code
from npattn.exercises.registry import PATH, headings, load
from npattn.exercises.texts import texts

PATHS = {"05": PATH}


def names_of(section):
    """The exercises of a section such as "11.3"; for "05" those of the path."""
    return PATHS.get(section) or tuple(
        name for name, heading in headings().items()
        if f"{heading.section.removeprefix('d2l ')}.".startswith(f"{section}."))


def notebook_text(section, lang="en"):
    """The notebook of a section, which runs from top to bottom before anything is written."""
    cells = [_cell("code", "from npattn.exercises import check, hint, solution, statement")]
    for name in names_of(section):
        exercise = load(name)
        words = texts(exercise, lang)
        cells += [
            _cell("markdown", f"## {words.title}\n\n{words.statement}"),
            _cell("code", start_code(exercise).rstrip()),
            _cell("code", f'check("{name}", {exercise.reference.__name__})'),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _cell(kind, text):
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": text.splitlines(True), **more}
