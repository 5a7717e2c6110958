"""The figures in figures/ are what `npattn figures` draws today."""

from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images
from PIL import Image

from npattn.cli import main
from npattn.experiments.figures import FIGURES
from npattn.plots import fonts

FOLDER = Path(__file__).parents[1] / "figures"
NEEDS_CJK = {"dates", "adaptation"}
SIZE = 160, 80  # pixels: seen from afar, versions that set text a little apart look alike
TOLERANCE = 12  # root mean square of 255


def test_the_folder_holds_every_figure_and_no_other():
    names = {f"{name}{suffix}" for name in FIGURES for suffix in (".png", ".svg")}
    assert {path.name for path in FOLDER.iterdir()} == names


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_does_in_the_folder(name, tmp_path):
    if name in NEEDS_CJK and not fonts.cjk_family():
        pytest.skip("no font with Chinese characters is installed")
    assert main(["figures", name, "--out", str(tmp_path)]) == 0
    paths = [tmp_path / f"{side}.png" for side in ("kept", "drawn")]
    for path, source in zip(paths, (FOLDER, tmp_path), strict=True):
        Image.open(source / f"{name}.png").convert("RGB").resize(SIZE, Image.BOX).save(path)
    assert compare_images(*map(str, paths), TOLERANCE) is None


def test_a_name_that_no_figure_has_is_refused(tmp_path, capsys):
    assert main(["figures", "mona-lisa", "--out", str(tmp_path / "new")]) == 2
    assert "no figure is called 'mona-lisa'; there are dates" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
