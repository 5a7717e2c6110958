"""The documentation site: it builds without a warning, misses nothing, and needs no network."""

import importlib
import json
import os
import re
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from npattn.files import replace_file

ROOT = Path(__file__).parents[1]
SECONDS = 1500  # a limit on a busy machine; two free cores need one minute
NEEDS = ("sphinx", "myst_nb", "furo", "latex2mathml")


@pytest.fixture
def own(monkeypatch):
    """The modules that build the site."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/site"))
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    yield importlib.import_module
    for name in ("build", "docstrings"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built by the command that people type, once for all workers."""
    for name in NEEDS:
        pytest.importorskip(name, reason="the site needs pip install -e '.[docs]'")
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, told = root / "site", root / "site.json"
    try:
        (root / "site.lock").mkdir()
    except FileExistsError:
        end = time.monotonic() + SECONDS
        while not told.exists() and time.monotonic() < end:
            time.sleep(0.5)
    else:
        command = [sys.executable, ROOT / "docs/build.py", folder]
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=root)
        replace_file(told, json.dumps([run.returncode, run.stdout + run.stderr]).encode())
    code, words = json.loads(told.read_text())
    assert code == 0, words[-3000:]
    return folder


@pytest.mark.docs
def test_a_folder_that_holds_other_things_is_left_as_it_is(own, tmp_path):
    pytest.importorskip("sphinx", reason="the site needs pip install -e '.[docs]'")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit, match="no site of an earlier build"):
        own("build").main(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.docs
def test_every_public_name_stands_in_the_reference(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    listed = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    ends = {name.rpartition(".")[2] for name in listed}
    for room in ("", ".nn", ".d2l.en", ".d2l.zh", ".d2l.nn", ".plots", ".checking", ".training"):
        module = importlib.import_module(f"npattn{room}")
        assert {*module.__all__} <= ends, room
    for page in ("softmax", "attention", "masks", "layer_norm"):
        assert f"npattn.kernels.{page}" in listed


@pytest.mark.docs
def test_every_page_notebook_and_figure_is_there(site):
    for pattern in ("docs/*.md", "notebooks/**/*.ipynb", "README.zh.md", "CHANGELOG.md"):
        for path in ROOT.glob(pattern):
            assert (site / path.relative_to(ROOT)).with_suffix(".html").exists(), path
    gallery = (site / "figures/index.html").read_text(encoding="utf-8")
    shown = {*re.findall(r'<img [^>]*src="([^"]+)\.png"', gallery)}
    figures = {path.stem for path in (ROOT / "figures").glob("*.png")} - {"explore"}
    assert figures == shown
    assert all((site / "figures" / f"{name}.{kind}").exists()
               for name in figures for kind in ("png", "svg"))
    order = (site / "reading.html").read_text(encoding="utf-8")
    assert order.index("kernels/softmax.py") < order.index("models/multihead.py")
    assert (site / "index.html").exists()


@pytest.mark.docs
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_the_window_and_are_quiet(site, browser, width, scheme):
    size = dict(width=width, height=844, deviceScaleFactor=1, mobile=width < 500)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for page in ("index", "docs/names.zh", "reference/npattn.kernels.attention", "figures/index"):
        browser.get((site / f"{page}.html").as_uri())
        wide, asked = browser.execute_script(
            """return [document.documentElement.scrollWidth,
              performance.getEntriesByType("resource").map((entry) => entry.name)];"""
        )
        assert wide <= width, page
        assert not [name for name in asked if not name.startswith(("file:", "data:"))], page
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.docs
@pytest.mark.parametrize("words, found", [
    ("attention_backward", "npattn.kernels.attention"), ("练习", "README.zh"),
    ("complex step", "checking"),
])
def test_the_search_needs_no_server(site, browser, words, found):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{(site / 'search.html').as_uri()}?q={words}")
    results = WebDriverWait(browser, 60).until(
        lambda b: b.find_elements("css selector", "#search-results li a")
    )
    assert any(found in link.get_attribute("href") for link in results)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_link_that_leads_nowhere_and_a_script_from_elsewhere_are_found(own, tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a>'
                                     '<a href="#here">a</a><a href="https://example.org">c</a>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="a.html#there">a</a><a href="c.html">'
                                     '<script src="https://example.org/x.js"></script>')
    (tmp_path / "c.css").write_text("@font-face { src: url('//example.org/f.woff') }")
    assert sorted(own("build").faulty_links(tmp_path)) == [
        "b.html loads https://example.org/x.js", "b.html: a.html#there leads nowhere",
        "b.html: c.html leads nowhere", "c.css loads //example.org/f.woff",
    ]


def test_a_docstring_keeps_its_columns_and_its_text(own):
    lines = own("docstrings").as_rst([
        "Softmax of S, not `S*` or a|b_:", "two lines of prose.", "", "S    (..., Tk)  scores",
        "axis an axis", "", ">>> softmax(0)", "1.0", "",
    ])  # fmt: skip
    assert lines == [
        r"Softmax of S, not ``S*`` or a\|b\_: two lines of prose.", "", ".. code-block:: text", "",
        "   S    (..., Tk)  scores", "   axis an axis", "", ".. code-block:: pycon", "",
        "   >>> softmax(0)", "   1.0", "",
    ]
