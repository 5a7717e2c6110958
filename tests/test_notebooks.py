"""Every notebook runs without an error or a warning, and shows what it showed when it was saved."""

import base64
import re
import runpy

import pytest
from pictures import FIGURES, TOLERANCE, difference

from npattn.experiments import notebooks
from npattn.weights import find_weights

NOTEBOOKS = notebooks.paths()
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


def drawn(path, cell):
    """The PNG that figures/ has of what the cell draws."""
    return (FIGURES / f"{notebooks.figure_name(path, cell)}.png").read_bytes()


def require_weights(path):
    """Skips where a notebook needs the weights of a real model and they are not installed."""
    for name in read(path).metadata.get("weights", ()):
        try:
            find_weights(name)
        except FileNotFoundError as error:
            pytest.skip(str(error))


@pytest.fixture
def execute():
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=WHY)
    return notebooks.execute


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_it_runs_and_shows_what_was_saved(path, execute):
    require_weights(path)
    notebook, drawings = execute(path)
    for old, new in zip(code_cells(read(path)), code_cells(notebook), strict=True):
        if VARIES in old.metadata.get("tags", ()):
            assert len(new.outputs) == len(old.outputs), old.id
        else:
            assert texts(new) == texts(old), old.id
    assert [*drawings] == notebooks.figure_names(path)
    for name, drawing in drawings.items():
        assert difference(drawing.png, (FIGURES / f"{name}.png").read_bytes()) <= TOLERANCE, name


@pytest.fixture
def run(tmp_path, execute):
    """run(source, name): what `execute` returns of a notebook with this one cell."""

    def run_one(source, name=None):
        cell = nbformat.v4.new_code_cell(source, metadata={"name": name} if name else {})
        path = tmp_path / "7.7-one-cell.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
        return execute(path)

    return run_one


def test_a_warning_is_an_error(run):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="DeprecationWarning.*Traceback"):
        run("import warnings; warnings.warn('old', DeprecationWarning)")


DRAW = "from matplotlib import pyplot; pyplot.figure().add_subplot().plot([1, 2]); pyplot.show()\n"


def test_a_figure_is_drawn_twice_and_kept_once_the_same_each_time(run):
    (notebook, first), (_, second) = run(DRAW, "line"), run(DRAW, "line")
    assert first == second and [*first] == ["7.7-line"]
    [drawing] = first.values()
    assert drawing.png.startswith(b"\x89PNG") and drawing.svg.startswith(b"<?xml")
    [output] = notebook.cells[0].outputs
    assert output.data.keys() == {"image/png", "text/plain"}
    assert base64.b64decode(output.data["image/png"]) == drawing.png


@pytest.mark.parametrize(
    ("source", "name"), [(DRAW, None), (2 * DRAW, "two"), ("print(1)", "none")], ids="abc"
)
def test_a_cell_draws_one_figure_and_has_a_name_or_neither(run, source, name):
    with pytest.raises(notebooks.NotebookError, match=r"7\.7-one-cell.ipynb: the cell that starts"):
        run(source, name)


def test_the_script_keeps_outputs_in_the_notebook_and_its_own_figures_in_the_folder(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "7.7-two-cells.ipynb"
    cells = [nbformat.v4.new_code_cell(metadata={"name": name}) for name in ("line", "anatomy")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    def execute(path):
        notebook = read(path)
        notebook.cells[0].execution_count = 3
        drawing = notebooks.Drawing(b"png", b"svg")
        return notebook, {name: drawing for name in notebooks.figure_names(path)}

    script = runpy.run_path(str(notebooks.FOLDER / "execute.py"))
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    monkeypatch.setattr(notebooks, "require", lambda: None)
    monkeypatch.setattr(notebooks, "execute", execute)
    monkeypatch.setitem(script["main"].__globals__, "FIGURES", tmp_path)
    script["main"]([])
    assert capsys.readouterr().out.split() == [str(path)]
    assert read(path).cells[0].execution_count == 3
    assert {path.name for path in tmp_path.iterdir()} == {path.name, "7.7-line.png", "7.7-line.svg"}


@every_notebook
def test_its_figures_have_names_of_their_own_and_are_those_in_the_folder(path):
    names = []
    for cell in code_cells(read(path)):
        figures = [text for text in texts(cell) if "image/png" in text]
        assert len(figures) == ("name" in cell.metadata), cell.id
        for output in cell.outputs:
            if "image/png" in output.get("data", ()):
                names.append(notebooks.figure_name(path, cell))
                shown = base64.b64decode(output.data["image/png"])
                assert difference(shown, drawn(path, cell)) <= TOLERANCE, cell.id
    assert names == notebooks.figure_names(path)
    assert len({*names}) == len(names)


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
