"""Blank notebooks: statements, functions to write, and cells that check them.

Notebooks that hold exercises are written with the answers in, in notebooks/solved. A cell whose tag
is `answer` defines answers; in the blank copy their bodies are taken out. One whose tag is `after`
needs them, and says so until they are written. blanks/ holds the blank copies.
"""

import ast
import json
import textwrap
from pathlib import Path

from npattn.exercises.files import start_code, stub
from npattn.exercises.registry import PATH, function_name, headings, load
from npattn.exercises.texts import texts

BLANKS = Path(__file__).with_name("blanks")
PATHS = {"05": PATH}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SOLVED = "This is the solved copy; [the blank one](../{name}) is to be filled in."
TO_DO = (
    "Write the body of each function, and run the cell that checks it: the verdict says which "
    "mistake it was. [The solved copy](solved/{name}) has answers and outputs."
)


def names_of(section):
    """The exercises of a section such as "11.3"; for "05" those of the path."""
    return PATHS.get(section) or tuple(
        name for name, heading in headings().items()
        if f"{heading.section.removeprefix('d2l ')}.".startswith(f"{section}."))


def notebook_text(section, lang="en"):
    """The blank notebook of a section, which runs from top to bottom before anything is written.

    Where notebooks/ has one, and in English, it is that one; else statements and functions alone.
    """
    found = [*BLANKS.glob(f"{section}-*.ipynb")] if lang == "en" else []
    return found[0].read_text(encoding="utf-8") if found else _made(section, lang)


def blanked(text, name):
    """The blank copy of a solved notebook.

    text  of the solved one
    name  of its file
    """
    cells = []
    for cell in json.loads(text)["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", ())
        if "answer" in tags:
            source = _without_answers(source)
        elif "after" in tags:
            source = _polite(source)
        source = source.replace(SOLVED.format(name=name), TO_DO.format(name=name))
        cells.append({**_cell(cell["cell_type"], source), "id": cell["id"]})
    return _text(cells)


def _without_answers(source):
    """The source with stubs in place of the functions that are exercises."""
    names = {function_name(name): name for name in headings()}
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            lines[node.lineno - 1 : node.end_lineno] = stub(load(names[node.name])).splitlines()
    return "\n".join(lines)


def _polite(source):
    """The source, which says what it needs where the functions above are not written yet."""
    return (
        f"try:\n{textwrap.indent(source, '    ')}\n"
        "except NotImplementedError:\n"
        '    print("This cell needs the functions above: write them first.")'
    )


def _made(section, lang):
    cells = [_cell("code", "from npattn.exercises import check, hint, solution, statement")]
    for name in names_of(section):
        exercise = load(name)
        words = texts(exercise, lang)
        cells += [
            _cell("markdown", f"## {words.title}\n\n{words.statement}"),
            _cell("code", start_code(exercise).rstrip()),
            _cell("code", f'check("{name}", {exercise.reference.__name__})'),
        ]
    return _text([{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)])


def _text(cells):
    book = {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _cell(kind, text):
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": text.splitlines(True), **more}
