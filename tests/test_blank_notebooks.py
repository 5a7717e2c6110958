"""Notebooks that hold exercises ship blank, with a solved copy beside."""

import ast
import json

import pytest

from npattn import cli
from npattn.exercises.blank import BLANKS, blanked, names_of
from npattn.exercises.registry import PATH, function_name, headings
from npattn.experiments import notebooks

SOLVED = sorted((notebooks.FOLDER / "solved").glob("*.ipynb"))
FUNCTIONS = {function_name(name): name for name in headings()}

every_notebook = pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)


def cells(path):
    """[(Python, tags), ...] of the code cells."""
    return [
        ("".join(line for line in cell["source"] if not line.startswith("%")),
         {*cell["metadata"].get("tags", ())})
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def sources(path):
    return [source for source, _ in cells(path)]


def defined(source):
    """The exercises of which a cell defines the answer."""
    nodes = ast.parse(source).body
    return [FUNCTIONS[node.name] for node in nodes if getattr(node, "name", "") in FUNCTIONS]


def test_the_notebook_of_the_path_and_those_of_chapter_11_ship_blank():
    assert [path.name.split("-")[0] for path in SOLVED] == [
        "05", *(f"11.{number}" for number in range(1, 9))]


@every_notebook
def test_the_command_writes_the_blank_copy_that_is_shipped(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = path.name.split("-")[0]
    assert cli.main(["exercise", "notebook", section, "--lang", "en"]) == 0
    made = (tmp_path / f"{section}-blank.ipynb").read_text(encoding="utf-8")
    assert made == (notebooks.FOLDER / path.name).read_text(encoding="utf-8")
    assert made == (BLANKS / path.name).read_text(encoding="utf-8")
    assert made == blanked(path.read_text(encoding="utf-8"), path.name)


@every_notebook
def test_a_blank_copy_differs_from_the_solved_one_in_its_answers_only(path):
    blank, solved = sources(notebooks.FOLDER / path.name), sources(path)
    changed = [(one, other) for one, other in zip(blank, solved, strict=True) if one != other]
    answers = [name for one, _ in changed for name in defined(one)]
    assert answers and all(defined(one) or "need" in one for one, _ in changed)
    assert set(answers) >= set(PATH if path.name.startswith("05") else ())
    assert set(answers) & set(names_of(path.name.split("-")[0]))
    for one, _ in changed:
        assert not defined(one) or "    # TODO: yours\n    raise NotImplementedError" in one


@every_notebook
def test_no_other_cell_than_those_marked_needs_the_answers(path):
    answers = set()
    for source, tags in cells(path):
        used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        assert tags & {"answer", "after"} or "check(" in source or not used & answers, source
        answers |= {function_name(name) for name in defined(source) if "answer" in tags}


@every_notebook
def test_every_check_of_a_blank_copy_says_that_nothing_is_written(path):
    space, told = {}, []
    exec("import numpy as np; from npattn.exercises import check, hint, statement", space)
    for source in sources(notebooks.FOLDER / path.name):
        if "raise NotImplementedError" in source or source.startswith("check("):
            *body, last = ast.parse(source + "\n" * 2 + "None" * ("check(" not in source)).body
            exec(compile(ast.Module(body, []), path.name, "exec"), space)
            told += [str(eval(ast.unparse(last), space))] * ("check(" in source)
    assert told and all("nothing is written yet" in verdict for verdict in told)


def test_the_blank_notebook_of_the_path_runs_from_top_to_bottom():
    for name in ("nbclient", "ipykernel", "nbformat"):
        pytest.importorskip(name, reason="runs a notebook: pip install -e '.[notebooks]'")
    [path] = notebooks.FOLDER.glob("05-*.ipynb")
    notebook, _ = notebooks.execute(path)
    text = str([cell.get("outputs") for cell in notebook.cells])
    assert "This cell needs the functions above: write them first." in text
    assert text.count("nothing is written yet") >= len(PATH)
