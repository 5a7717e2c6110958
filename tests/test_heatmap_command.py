"""`npattn heatmap`: every shape is drawn, every bad input is one line that names the argument."""

import re

import numpy as np
import pytest
from matplotlib import pyplot

from npattn.cli import main
from npattn.kernels.softmax import masked_softmax
from npattn.plots.page import attention_page

SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(autouse=True)
def agg():
    """No window, and no figure left open."""
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def weights(draw):
    return masked_softmax(draw(2, 3, 4, 5))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn_by(monkeypatch):
    """A list to which (args, kwargs) of each head_grid are added."""
    from npattn import plots

    calls, real = [], plots.head_grid
    monkeypatch.setattr(plots, "head_grid", lambda *a, **k: calls.append((a, k)) or real(*a, **k))
    return calls


def heatmap(*arguments):
    return main(["heatmap", *map(str, arguments)])


# ---------------------------------------------------------------- what is written


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", SIGNATURES)
@pytest.mark.parametrize("lead", [(0, 0), (0,), ()], ids=["2-D", "3-D", "4-D"])
def test_each_shape_is_drawn_in_each_format(here, weights, lead, suffix, capsys):
    np.save("w.npy", weights[lead])
    assert heatmap("--weights", "w.npy", "--out", f"figure{suffix}") == 0
    assert (here / f"figure{suffix}").read_bytes().startswith(SIGNATURES[suffix])
    assert capsys.readouterr().out == f"figure{suffix}\n"


@pytest.mark.thorough
def test_layers_are_rows_and_heads_are_columns(here, weights, monkeypatch):
    calls = drawn_by(monkeypatch)
    for given in (weights, weights[0], weights[0, 0]):
        np.save("w.npy", given)
        assert heatmap("--weights", "w.npy", "--title", "mine") == 0
    grids = [arguments[0] for arguments, _ in calls]
    assert [grid.shape for grid in grids] == [(2, 3, 4, 5), (1, 3, 4, 5), (1, 1, 4, 5)]
    np.testing.assert_array_equal(grids[0], weights)
    options = [options for _, options in calls]
    assert [o.get("row_titles") for o in options] == [["layer 1", "layer 2"], [""], [""]]
    heads = ["head 1", "head 2", "head 3"]
    assert [o.get("column_titles") for o in options] == [heads, heads, [""]]
    assert {o["title"] for o in options} == {"mine"}
    assert (here / "heatmap.png").exists()  # where no file is named


def test_the_page_alone_writes_no_figure(here, weights):
    np.save("w.npy", weights)
    assert heatmap("--weights", "w.npy", "--html", "page.html", "--title", "标题") == 0
    expected = attention_page(weights, title="标题")
    assert (here / "page.html").read_text(encoding="utf-8") == expected
    assert sorted(path.name for path in here.iterdir()) == ["page.html", "w.npy"]


def test_figure_and_page_with_labels_and_a_mask(here, weights, monkeypatch):
    calls = drawn_by(monkeypatch)
    mask = np.array([True, True, False, True, True])
    np.save("w.npy", weights)
    np.save("m.npy", mask)
    (here / "keys.txt").write_bytes(b"New York\r\n\r\n@home\r\nthe\r\n.\r\n")
    assert heatmap("--weights", "w.npy", "--mask", "m.npy", "--queries", " 我 喜欢  a b ",
                   "--keys", "@keys.txt", "--out", "f.svg", "--html", "p.html") == 0  # fmt: skip
    queries, keys = ["我", "喜欢", "a", "b"], ["New York", "", "@home", "the", "."]
    (((_, *labels), options),) = calls
    assert labels == [queries, keys]
    np.testing.assert_array_equal(options["mask"], np.broadcast_to(mask, weights.shape))
    page = attention_page(weights, queries, keys, mask=mask)
    assert (here / "p.html").read_text(encoding="utf-8") == page


def test_an_array_is_chosen_from_an_npz_file(here, weights, monkeypatch):
    calls = drawn_by(monkeypatch)
    np.savez("one.npz", only=weights[0, 0])
    np.savez_compressed("two.npz", encoder=weights[0], decoder=weights[1])
    assert heatmap("--weights", "one.npz") == 0
    assert heatmap("--weights", "two.npz", "--array", "decoder") == 0
    np.testing.assert_array_equal(calls[0][0][0], weights[:1, :1])
    np.testing.assert_array_equal(calls[1][0][0], weights[1:])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, bool])
def test_numbers_of_any_kind_are_drawn(here, dtype):
    np.save("w.npy", np.eye(3, dtype=dtype))
    assert heatmap("--weights", "w.npy") == 0


def test_negative_weights_are_within_the_colours(here, monkeypatch):
    calls = drawn_by(monkeypatch)
    np.save("w.npy", np.array([[-2.0, 1.0]]))
    assert heatmap("--weights", "w.npy") == 0
    assert calls[0][1]["vmin"] == -2.0


def test_weights_saved_from_torch_as_the_help_says(here, capsys):
    torch = pytest.importorskip("torch")
    with pytest.raises(SystemExit):
        heatmap("--help")
    (line,) = re.findall(r'np\.save\("weights.npy", .*\)', capsys.readouterr().out)
    weights = torch.softmax(torch.ones(3, 4, requires_grad=True), -1).to(torch.bfloat16)
    exec(line, {"np": np, "weights": weights})
    assert heatmap("--weights", "weights.npy") == 0


# ---------------------------------------------------------------- what is refused


def save_pickle(path):
    np.save(path, np.array([{"weights": 1}], dtype=object), allow_pickle=True)


def save_torch_like(path):
    """A zip file that holds no arrays, as torch.save writes."""
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"\x80\x02}")


FILES = {
    "good.npy": lambda path: np.save(path, np.eye(3)),
    "vector.npy": lambda path: np.save(path, np.ones(3)),
    "batch.npy": lambda path: np.save(path, np.ones((2, 3, 1, 2, 2, 2))),
    "empty.npy": lambda path: np.save(path, np.ones((0, 3))),
    "nan.npy": lambda path: np.save(path, np.array([[1.0, np.nan]])),
    "inf.npy": lambda path: np.save(path, np.array([[-np.inf, 0.0]])),
    "text.npy": lambda path: np.save(path, np.array([["a"]])),
    "complex.npy": lambda path: np.save(path, np.ones((2, 2), complex)),
    "pickle.npy": save_pickle,
    "torch.pt": save_torch_like,
    "notes.txt": lambda path: path.write_text("0.5 0.5\n"),
    "nothing.npy": lambda path: path.touch(),
    "cut.npy": lambda path: (np.save(path, np.eye(9)), path.write_bytes(path.read_bytes()[:200])),
    "cut.npz": lambda path: (np.savez(path, a=np.eye(9)), path.write_bytes(path.read_bytes()[:99])),
    "two.npz": lambda path: np.savez(path, encoder=np.eye(3), decoder=np.eye(3)),
    "none.npz": lambda path: np.savez(path),
    "latin.txt": lambda path: path.write_bytes(b"caf\xe9\nle\nun\n"),
    "numbers.npy": lambda path: np.save(path, np.eye(3)),
    "wide.npy": lambda path: np.save(path, np.ones((1, 7), bool)),
    "folder.png": lambda path: path.mkdir(),
    "folder": lambda path: path.mkdir(),
}
GOOD = ("--weights", "good.npy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "no.npy"], r"npattn heatmap: --weights no.npy: No such file"),
        (["--weights", "folder"], r"npattn heatmap: --weights folder: Is a directory"),
        (["--weights", "vector.npy"], r"--weights must have 2 or 3 or 4 axes, got shape \(3,\)"),
        (["--weights", "batch.npy"], r"--weights must .* \(2, 3, 2, 2, 2\); if .*weights\[:, 0\]"),
        (["--weights", "empty.npy"], r"--weights is empty: shape \(0, 3\)"),
        (["--weights", "nan.npy"], r"--weights must be finite, but weights\[0, 1\] is nan"),
        (["--weights", "inf.npy"], r"--weights must be finite, but weights\[0, 0\] is -inf"),
        (["--weights", "text.npy"], "--weights must be an array of real numbers, got dtype <U1"),
        (["--weights", "complex.npy"], "--weights must be an array of real numbers"),
        (["--weights", "pickle.npy"], r"--weights pickle\.npy is damaged.*pickled objects; write"),
        (["--weights", "torch.pt"], r"torch\.pt is torch's own format.*weights_only=True"),
        (["--weights", "notes.txt"], r"--weights notes\.txt is damaged, or no \.npy"),
        (["--weights", "nothing.npy"], r"--weights nothing\.npy is damaged"),
        (["--weights", "cut.npy"], r"--weights cut\.npy is damaged"),
        (["--weights", "cut.npz"], r"--weights cut\.npz is damaged"),
        (["--weights", "none.npz"], r"--weights none\.npz: choose .*; it holds nothing"),
        (["--weights", "two.npz"], "choose one with --array NAME; it holds encoder, decoder"),
        (["--weights", "two.npz", "--array", "x"], "there is no --array x; it holds encoder, deco"),
        ([*GOOD, "--array", "x"], r"--array x is for \.npz files; good\.npy holds one array"),
        ([*GOOD, "--queries", "a b"], "--queries must have one label for each of the 3 .* got 2"),
        ([*GOOD, "--keys", ""], "--keys must have one label for each of the 3 keys .* got 0"),
        ([*GOOD, "--keys", "@no.txt"], r"npattn heatmap: no\.txt: No such file"),
        ([*GOOD, "--keys", "@latin.txt"], r"--keys @latin\.txt: the file is not UTF-8 text"),
        ([*GOOD, "--mask", "no.npy"], r"npattn heatmap: --mask no.npy: No such file"),
        ([*GOOD, "--mask", "numbers.npy"], "--mask must be a boolean array .* got float64"),
        ([*GOOD, "--mask", "wide.npy"], r"--mask \(1, 7\) does not broadcast to weights \(3, 3\)"),
        ([*GOOD, "--out", "good.npy"], r"--out good\.npy must end in \.png or \.svg or \.pdf"),
        ([*GOOD, "--html", "good.npy"], r"--html good\.npy must end in \.html or \.htm"),
        ([*GOOD, "--out", "folder.png"], r"--out folder\.png is a folder; name a file"),
        ([*GOOD, "--out", "no/f.png"], r"--out no/f\.png: there is no folder no"),
        ([*GOOD, "--out", "f.png", "--html", "no/p.html"], r"--html no/p\.html: there is no fold"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(here, arguments, message, capsys):
    for name in FILES:
        if name in " ".join(arguments):
            FILES[name](here / name)
    before = {path: path.is_file() and path.read_bytes() for path in here.iterdir()}
    assert heatmap(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert re.search(message, line), line
    assert {path: path.is_file() and path.read_bytes() for path in here.iterdir()} == before


def test_a_file_stays_as_it_was_where_writing_fails(here, monkeypatch, capsys):
    from npattn import files

    np.save("w.npy", np.eye(2))
    (here / "page.html").write_text("mine")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    for option, path in (("--html", "page.html"), ("--out", "figure.png")):
        assert heatmap("--weights", "w.npy", option, path) == 2
        assert capsys.readouterr().err == f"npattn heatmap: {path}: No space left on device\n"
    assert (here / "page.html").read_text() == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["page.html", "w.npy"]


def test_html_alone_writes_a_page_of_the_usual_name(here, weights):
    np.save("w.npy", weights)
    assert main(["heatmap", "--weights", "w.npy", "--html"]) == 0
    assert [path.name for path in here.iterdir() if path.name != "w.npy"] == ["heatmap.html"]
