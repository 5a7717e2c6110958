"""The explorer page as text: what it holds, what it refuses, and that it needs nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npattn
from npattn import gpt, plots
from npattn.cli import main
from npattn.commands.explore import _trained, head_of_gpt
from npattn.kernels.attention import attention, attention_backward
from npattn.plots.explorer import page
from npattn.plots.explorer.source import PLACES, source_lines

NASTY = ['</script><script>hacked=1</script>', '"<img src=x onerror=hacked=1>', "it's <!-- & \\"]


@pytest.fixture
def call(draw, draw_mask):
    """Arguments of `explore`: every axis of a different length, query 0 dead."""
    return dict(Q=draw(3, 2), K=draw(4, 2), V=draw(4, 5), mask=draw_mask(3, 4), dO=draw(3, 5))


def content(text):
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(inside)


# ---------------------------------------------------------------- what it holds


def test_the_page_holds_every_number_to_the_last_bit(call):
    found = content(plots.explore(**call, queries="abc", keys="defg", title="到哪里").html)
    for name in ("Q", "K", "V", "dO"):
        np.testing.assert_array_equal(found["given"][name], call[name])
    np.testing.assert_array_equal(found["mask"], call["mask"])
    assert found["given"]["scale"] == [[1 / np.sqrt(2)]]
    assert found["sizes"] == {"Tq": 3, "Dk": 2, "Tk": 4, "Dv": 5}
    assert found["labels"] == {"Tq": list("abc"), "Tk": list("defg")}
    assert found["title"] == "到哪里"


def test_without_mask_upstream_and_labels_all_is_allowed_and_the_loss_is_the_sum(draw):
    found = content(plots.explore(draw(3, 2), draw(4, 2), draw(4, 5)).html)
    assert np.all(found["mask"]) and np.shape(found["mask"]) == (3, 4)
    np.testing.assert_array_equal(found["given"]["dO"], np.ones((3, 5)))
    assert found["labels"] == {"Tq": None, "Tk": None}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, int, bool])
def test_numbers_of_any_kind_are_taken(dtype):
    Q = np.array([[1, 0], [0, 1]], dtype)
    assert content(plots.explore(Q, Q, Q).html)["given"]["Q"] == [[1.0, 0.0], [0.0, 1.0]]


def test_softmax_and_layer_norm_have_pages_of_their_own(draw):
    softmax = content(plots.explore_softmax(draw(2, 3), np.array([True, False, True])).html)
    assert softmax["call"] == "softmax" and softmax["mask"] == [[True, False, True]] * 2
    norm = content(plots.explore_layer_norm(draw(2, 3), tokens="ab").html)
    assert norm["call"] == "layer_norm" and norm["mask"] is None
    assert norm["given"]["gain"] == [[1.0] * 3] and norm["given"]["bias"] == [[0.0] * 3]


def test_the_same_call_gives_the_same_page(call):
    assert plots.explore(**call).html == plots.explore(**call).html


@pytest.mark.parametrize("lang", page.LANGUAGES)
def test_each_language_has_every_word_and_leaves_no_gap(call, lang):
    text = plots.explore(**call, lang=lang).html
    assert re.findall(r"\{(?:word [^}]*|lang|style|script|data)\}", text) == []
    table = json.loads((page.HERE / "words.json").read_text(encoding="utf-8"))
    for name, (english, chinese) in table.items():
        assert english and chinese
        gaps = [sorted(re.findall(r"\{\d\}", words)) for words in (english, chinese)]
        assert gaps[0] == gaps[1], name


def test_every_word_that_the_page_says_is_in_the_table_and_none_is_idle():
    table = json.loads((page.HERE / "words.json").read_text(encoding="utf-8"))
    parts = [*page.SCRIPTS, "page.html"]
    code = "\n".join((page.HERE / name).read_text(encoding="utf-8") for name in parts)
    said = set(re.findall(r'word\("([^"]+)"', code)) | set(re.findall(r"\{word ([^}]+)\}", code))
    assert said - set(table) == set()
    by_name = {name for name in table if f'"{name}"' in code} | said
    spelled = {"mask", "title gpt", *(f"title {call}" for call in PLACES)}  # names from elsewhere
    assert set(table) - by_name - spelled == set()


# ---------------------------------------------------------------- source lines


@pytest.mark.parametrize("call", PLACES)
def test_source_lines_are_those_of_the_files(call):
    root = Path(npattn.__file__).parent
    for found in source_lines(call).values():
        lines = (root / found["file"]).read_text(encoding="utf-8").splitlines()
        assert found["lines"] and all(lines[n - 1] == text for n, text in found["lines"])


@pytest.mark.parametrize("call", PLACES)
def test_every_line_of_a_call_has_a_source_line(call):
    formulas = (page.HERE / "formulas.js").read_text(encoding="utf-8")
    for name in source_lines(call):
        assert f'name: "{name}"' in formulas
    names = set(re.findall(r'name: "([^"]+)"', formulas))
    assert names == {name for places in PLACES.values() for name in places}


def test_lines_say_what_the_formulas_say():
    """Not just any line: the product, the softmax and the sum that the formula beside it shows."""
    found = {call: {name: " ".join(text for _, text in place["lines"])
                    for name, place in source_lines(call).items()} for call in PLACES}
    attention, norm = found["attention"], found["layer_norm"]
    assert "@" in attention["S"] and "K.swap" in attention["S"] and "scale" in attention["S"]
    assert "softmax(S" in attention["P"] and "dO" in attention["dP"] and "dO" in attention["dV"]
    assert re.search(r"A @ V|\(A, V\)", attention["O"])
    assert "row_sums" in attention["δ"] and "row_sums" in attention["dS"]
    assert "dS" in attention["dQ"] and "K" in attention["dQ"] and "scale" in attention["dQ"]
    assert "dS" in attention["dK"] and "Q" in attention["dK"] and "scale" in attention["dK"]
    assert "sqrt" in norm["r"] and "gain" in norm["Y"] and "rstd" in norm["dX"]
    assert "exp" in found["softmax"]["P"]


def test_a_line_that_is_not_there_is_missed_loudly(monkeypatch):
    monkeypatch.setitem(PLACES["softmax"], "P", [("softmax", "masked_softmax nowhere", "")])
    with pytest.raises(LookupError, match="no line computes P: .*nowhere"):
        source_lines("softmax")


# ---------------------------------------------------------------- no harm, no network


def test_no_label_leaves_its_place(call):
    nasty = plots.explore(**call, queries=NASTY, keys=[*NASTY, "{data}"], title=NASTY[0])
    assert content(nasty.html)["labels"] == {"Tq": NASTY, "Tk": [*NASTY, "{data}"]}
    plain = plots.explore(**call).html
    assert nasty.html.lower().count("</script") == plain.lower().count("</script")
    assert "<img" not in nasty.html and "<!-- &" not in nasty.html


def test_the_page_asks_for_nothing_from_elsewhere(call):
    text = plots.explore(**call).html
    assert "default-src 'none'" in text
    for word in ("http:", "https:", "src=", "url(", "@import", "<link", "fetch(", "innerHTML",
                 "eval(", "Function(", "import("):
        assert word not in text


def test_the_page_needs_no_matplotlib():
    code = (
        "import sys; from npattn.plots import explore; explore([[1.0]], [[1.0]], [[1.0]]).html; "
        "print('matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_notebook_shows_it_in_a_frame_of_its_own(call):
    shown = plots.explore(**call, queries=NASTY, title=NASTY[1])._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts"') and shown.endswith("</iframe>")
    assert shown.count("<") == 2  # the page itself is escaped


def test_save_writes_the_page_or_leaves_the_file_as_it_was(tmp_path, call):
    explorer = plots.explore(**call)
    path = explorer.save(tmp_path / "call.html")
    assert path.read_text(encoding="utf-8") == explorer.html
    with pytest.raises(ValueError, match=r"path must end in .html, got 'call.png'"):
        explorer.save(tmp_path / "call.png")
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (dict(Q=np.ones((2, 3, 2))), ValueError, r"Q must have 2 axes, got shape \(2, 3, 2\)"),
        (dict(Q=np.ones((3, 2), complex)), TypeError, "Q must be an array of real .*complex"),
        (dict(K=[["a"]]), TypeError, "K must be an array of real numbers"),
        (dict(K=np.ones((4, 3))), ValueError, "Dk is 2 in Q but 3 in K .*K must be .Tk, Dk"),
        (dict(V=np.ones((3, 5))), ValueError, "Tk is 4 in K but 3 in V"),
        (dict(V=np.ones((4, 17))), ValueError, "V must be at most 16 long.*own cell.*Dv = 17"),
        (dict(V=np.full((4, 5), np.nan)), ValueError, r"V must be finite, but V\[0, 0\] is nan"),
        (dict(V=np.full((4, 5), 1e7)), ValueError, "V must hold numbers up to 1e.06 in size"),
        (dict(V=np.ones((4, 0))), ValueError, "V is empty"),
        (dict(dO=np.ones((3, 4))), ValueError, "Dv is 5 in V but 4 in dO"),
        (dict(mask=np.ones((3, 4))), TypeError, "mask must be a boolean array.*float64"),
        (dict(mask=np.ones((2, 4), bool)), ValueError, r"mask \(2, 4\) does not broadcast"),
        (dict(scale="x"), TypeError, "scale must be an array of real numbers"),
        (dict(scale=np.inf), ValueError, "scale must be finite"),
        (dict(queries="ab"), ValueError, "queries must have one label for each of the 3 .*got 2"),
        (dict(keys="ab"), ValueError, "keys must have one label for each of the 4 .*got 2"),
        (dict(lang="fr"), ValueError, "lang must be one of en, zh, got 'fr'"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(call, changed, error, message):
    with pytest.raises(error, match=message):
        plots.explore(**call | changed)


def test_layer_norm_refuses_no_eps_and_a_gain_of_another_width():
    with pytest.raises(ValueError, match="eps must be more than 0, got 0"):
        plots.explore_layer_norm(np.ones((2, 3)), eps=0)
    with pytest.raises(ValueError, match="D is 3 in X but 2 in gain"):
        plots.explore_layer_norm(np.ones((2, 3)), np.ones(2))


# ---------------------------------------------------------------- the command, the committed page


@pytest.mark.parametrize("call", PLACES)
def test_the_command_writes_a_page_for_each_call(tmp_path, capsys, call):
    out = tmp_path / "page.html"
    assert main(["explore", "--call", call, "--lang", "zh", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert content(out.read_text(encoding="utf-8"))["call"] == call


def test_the_command_reads_arrays_and_labels(tmp_path, call):
    np.savez(tmp_path / "a.npz", **call)
    out = tmp_path / "page.html"
    assert main(["explore", "--arrays", str(tmp_path / "a.npz"), "--queries", "le chat dort",
                 "--scale", "0.25", "--out", str(out)]) == 0
    found = content(out.read_text(encoding="utf-8"))
    np.testing.assert_array_equal(found["given"]["K"], call["K"])
    assert found["labels"] == {"Tq": ["le", "chat", "dort"], "Tk": None}
    assert found["given"]["scale"] == [[0.25]]


@pytest.mark.parametrize(("block", "head"), [(0, 0), (0, 3), (1, 2)])
def test_a_head_of_the_gpt_has_the_gradients_that_the_gpt_finds_itself(rng, block, head):
    theta, name = gpt.start(rng), "emma"
    given = head_of_gpt(theta, name, block, head)
    assert given["queries"] == given["keys"] == list(".emma")
    read = {key: given[key] for key in ("Q", "K", "V", "mask", "scale")}
    dQ, _, dV = attention_backward(given["dO"], attention(**read)[1])
    # the whole backward of the GPT, of the loss on these five letters alone
    W, G = gpt.unpack(theta), gpt.unpack(np.zeros(theta.size))
    text = np.array([[gpt.LETTERS.index(c) for c in ".emma".ljust(gpt.T + 1, ".")]])
    Z, cache = gpt.gpt(W, text[:, :-1])
    dZ = (gpt.softmax(Z) - gpt.one_hot(text[:, 1:])) / 5
    dZ[5:] = 0
    gpt.gpt_backward(dZ, cache, G)
    X = cache[2][block][1][0][:5]  # what the attention of this block reads
    width = gpt.D // gpt.H
    columns = slice(head * width, (head + 1) * width)
    np.testing.assert_allclose(X.T @ dQ, G.Wq[block][:, columns], atol=1e-14)
    np.testing.assert_allclose(X.T @ dV, G.Wv[block][:, columns], atol=1e-14)


def test_the_command_shows_a_head_of_the_gpt(tmp_path):
    out = tmp_path / "page.html"
    assert main(["explore", "--gpt", "emma", "--block", "2", "--head", "3", "--steps", "3",
                 "--out", str(out)]) == 0
    found = content(out.read_text(encoding="utf-8"))
    assert found["title"] == "The GPT reads “emma”: block 2, head 3"
    wanted = head_of_gpt(_trained(3), "emma", block=1, head=2)
    np.testing.assert_allclose(found["given"]["Q"], wanted["Q"], rtol=1e-12)
    assert found["labels"]["Tq"] == list(".emma")
    assert np.any(np.array(found["given"]["dO"]) != 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpt", "Emma"], "--gpt must be 1 to 15 letters a to z, got 'Emma'"),
        (["--gpt", "a" * 16], "--gpt must be 1 to 15 letters"),
        (["--gpt", "emma", "--head", "5"], "--head must be 1 to 4, got 5"),
        (["--gpt", "emma", "--block", "0"], "--block must be 1 to 2, got 0"),
        (["--gpt", "emma", "--scale", "4"], "--scale is not for --gpt"),
        (["--gpt", "emma", "--call", "softmax"], "--call softmax is not for --gpt"),
        (["--head", "1"], "--head is for --gpt NAME"),
        (["--out", "page.png"], "--out page.png must end in .html"),
        (["--queries", "a b"], "queries must have one label for each of the 4"),
        (["--call", "softmax", "--scale", "2"], "--scale is for attention"),
        (["--arrays", "missing.npz"], "missing.npz: No such file"),
        (["--arrays", "text.npz"], "--arrays text.npz is no .npz file of numbers"),
        (["--arrays", "x.npz"], "--arrays x.npz has no Q, K, V; attention needs Q, K, V.*holds X"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path, monkeypatch, capsys, arguments, message,
):
    monkeypatch.chdir(tmp_path)
    Path("text.npz").write_text("no numbers")
    np.savez("x.npz", X=np.ones((2, 2)))
    assert main(["explore", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not Path("explore.html").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("explore.html", []),
        ("explore.zh.html", ["--lang", "zh"]),
        ("explore-softmax.html", ["--call", "softmax"]),
        ("explore-layer-norm.html", ["--call", "layer_norm"]),
    ],
)
def test_the_pages_in_figures_are_those_that_the_command_writes(tmp_path, name, arguments):
    committed = Path(npattn.__file__).parents[1] / "figures" / name
    out = tmp_path / name
    assert main(["explore", *arguments, "--out", str(out)]) == 0
    assert committed.read_text(encoding="utf-8") == out.read_text(encoding="utf-8"), (
        f"make it anew: npattn explore {' '.join(arguments)} --out figures/{name}"
    )
