"""Every notebook runs without an error or a warning, and shows what it showed when it was saved."""

import base64
import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WHY = "the notebooks need nbclient and ipykernel: pip install -e '.[notebooks]'"
nbformat = pytest.importorskip("nbformat", reason=WHY)

MOST_BYTES = 150_000  # of one figure
SECTIONS = re.compile(r"# .+ \(d2l: English 1\d\.\d.* · Chinese 1\d\.\d.*\)")
PATHS = re.compile(r"(?<![\w.])(/(home|root|tmp|usr|work|opt|var|Users)/|[A-Z]:\\)|site-packages")
VARIES = "varies"  # the tag of a cell that prints rounding errors or the words of other packages

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """What the cell prints and displays as text; of a figure only that there is one."""
    found = []
    for output in cell.outputs:
        shown = dict(output.get("data", {"text/plain": output.get("text")}))
        if "image/png" in shown:
            shown = {"image/png": "a figure"}
        if len(shown) > 1:
            del shown["text/plain"]  # what stands in for the richer kind
        found.append(shown)
    return found


@pytest.fixture(scope="module")
def execute():
    """notebooks/execute.py's function of that name."""
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=WHY)
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_it_runs_and_shows_what_was_saved(path, execute):
    saved, again = code_cells(read(path)), code_cells(execute(path))
    for old, new in zip(saved, again, strict=True):
        if VARIES in old.metadata.get("tags", ()):
            assert len(new.outputs) == len(old.outputs), old.id
        else:
            assert texts(new) == texts(old), old.id


def test_a_warning_is_an_error(tmp_path, execute):
    from nbclient.exceptions import CellExecutionError

    warns = nbformat.v4.new_code_cell("import warnings; warnings.warn('old', DeprecationWarning)")
    path = tmp_path / "warns.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[warns]), path)
    with pytest.raises(CellExecutionError, match="DeprecationWarning.*Traceback"):
        execute(path)


@every_notebook
def test_it_is_valid_and_its_title_names_the_sections(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert SECTIONS.fullmatch(notebook.cells[0].source.splitlines()[0])


@every_notebook
def test_all_cells_were_run_once_and_in_order(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert any(cell.outputs for cell in cells)


@every_notebook
def test_outputs_hold_no_error_no_path_of_a_machine_and_no_big_figure(path):
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", cell.id
            figure = output.get("data", {}).get("image/png", "")
            assert len(base64.b64decode(figure)) <= MOST_BYTES, cell.id
        assert not PATHS.search(str(texts(cell))), cell.id
