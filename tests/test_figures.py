"""figures/ holds what `npattn figures` draws today, and the command does as it is told."""

import itertools
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from PIL import Image
from pictures import FIGURES as FOLDER
from pictures import TOLERANCE, difference

from npattn.cli import main
from npattn.experiments import notebooks
from npattn.experiments.figures import FIGURES

TOLD = notebooks.figures()
NAMES = [*FIGURES, *TOLD]
PAGES = {  # of `npattn explore`, see test_explore.py, and a picture of the first one
    "explore.html", "explore.zh.html", "explore-softmax.html", "explore-layer-norm.html",
    "explore.png",
}

every_figure = pytest.mark.parametrize("name", NAMES)


def test_the_folder_holds_every_figure_twice_the_pages_and_nothing_else():
    figures = {f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg")}
    assert {path.name for path in FOLDER.iterdir()} == figures | PAGES


def test_the_readme_and_the_docs_show_what_is_drawn_for_them():
    shown = {
        name
        for page in (*FOLDER.parent.glob("README*.md"), *FOLDER.parent.glob("docs/*.md"))
        for name in re.findall(r"figures/([^)]+)\.png\)", page.read_text(encoding="utf-8"))
    }
    assert {*FIGURES} <= shown <= {*NAMES, "explore"}


@pytest.mark.thorough
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_the_readme_looks_as_it_does_in_the_folder(name, tmp_path):
    assert main(["figures", name, "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png", f"{name}.svg"}
    kept, drawn = ((folder / f"{name}.png").read_bytes() for folder in (FOLDER, tmp_path))
    assert difference(kept, drawn) <= TOLERANCE


@pytest.mark.thorough
def test_no_two_figures_look_alike():
    # If they did, one in the place of the other would not be noticed.
    pngs = {name: (FOLDER / f"{name}.png").read_bytes() for name in NAMES}
    for first, second in itertools.combinations(NAMES, 2):
        assert difference(pngs[first], pngs[second]) > TOLERANCE, (first, second)


@pytest.mark.sampled(4)
@every_figure
def test_both_files_show_the_same_page_and_neither_a_day_nor_a_version(name):
    png, svg = ((FOLDER / f"{name}.{suffix}").read_bytes() for suffix in ("png", "svg"))
    page = ElementTree.fromstring(svg).attrib
    with Image.open(FOLDER / f"{name}.png") as image:
        inches = [side / dpi for side, dpi in zip(image.size, image.info["dpi"], strict=True)]
        assert not image.text
    assert [float(page[side].removesuffix("pt")) / 72 for side in ("width", "height")] == (
        pytest.approx(inches, rel=0.1)
    )
    assert not re.search(rb"<dc:date>|Matplotlib v|20\d\d-\d\d-\d\dT", svg)
    assert b"tEXt" not in png


# ---------------------------------------------------------------- the command


def test_a_name_that_no_figure_has_is_refused(tmp_path, capsys):
    out = tmp_path / "new"
    assert main(["figures", "mona-lisa", "--out", str(out)]) == 2
    assert "no figure is called 'mona-lisa'; --list names them all" in capsys.readouterr().err
    assert main(["figures", "dates", "11.6-colums", "--out", str(out)]) == 2
    assert "no figure is called '11.6-colums'; did you mean 11.6-columns" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["figures", "anatomy", "--out", str(tmp_path / "file")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_list_names_all_and_draws_none(tmp_path, capsys):
    assert main(["figures", "--list", "--out", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.split() == NAMES
    assert not (tmp_path / "new").exists()


@pytest.fixture
def only_anatomy(monkeypatch):
    """A README with a single figure."""
    for name in FIGURES.keys() - {"anatomy"}:
        monkeypatch.delitem(FIGURES, name)


@pytest.mark.thorough
@pytest.mark.usefixtures("only_anatomy")
def test_without_the_tools_for_notebooks_their_figures_are_said_to_be_left_out(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    assert main(["figures", "--out", str(tmp_path)]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"anatomy.png", "anatomy.svg"}
    said = "left out. Running notebooks needs ipykernel: pip install 'npattn[notebooks]'"
    assert said in capsys.readouterr().err
    assert main(["figures", "anatomy", "--out", str(tmp_path)]) == 0
    assert main(["figures", "anatomy", "11.6-columns", "--out", str(tmp_path / "new")]) == 2
    assert "pip install 'npattn[notebooks]'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.thorough
@pytest.mark.usefixtures("only_anatomy")
def test_without_a_clone_the_figures_of_notebooks_are_said_to_be_left_out(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "none")
    assert main(["figures", "--out", str(tmp_path)]) == 1
    said = "left out. The notebooks are not part of the installed package"
    assert said in capsys.readouterr().err
    assert main(["figures", "11.6-columns", "--out", str(tmp_path)]) == 2


def test_a_figure_of_a_notebook_is_drawn_by_its_notebook_alone(tmp_path, capsys, monkeypatch):
    pages = {"2.1-two.ipynb": ["left", "right"], "2.2-more.ipynb": ["left", "anatomy"]}
    for page, names in pages.items():
        cells = [{"metadata": {"name": name}} for name in names]
        (tmp_path / page).write_text(json.dumps({"cells": [{"metadata": {}}, *cells]}))
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    assert [*notebooks.figures()] == ["2.1-left", "2.1-right", "2.2-left"]

    def execute(path):
        ran.append(path.name)
        names = notebooks.figure_names(path)
        return None, {name: notebooks.Drawing(name.encode(), b"<svg/>") for name in names}

    ran = []
    monkeypatch.setattr(notebooks, "execute", execute)
    monkeypatch.setattr(notebooks, "require", lambda: None)
    out = tmp_path / "out"
    assert main(["figures", "2.1-right", "--out", str(out)]) == 0
    files = {out / "2.1-right.png": b"2.1-right", out / "2.1-right.svg": b"<svg/>"}
    assert capsys.readouterr().out.split() == [*map(str, files)]
    assert {path: path.read_bytes() for path in out.iterdir()} == files
    assert ran == ["2.1-two.ipynb"]


def test_the_command_can_be_asked_before_notebooks_can_be_run():
    """Neither matplotlib nor a tool for notebooks is imported to list names."""
    code = (
        "import sys; from npattn.cli import main; main(['figures', '--list']); "
        "sys.exit(bool({'matplotlib', 'nbclient', 'nbformat'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
