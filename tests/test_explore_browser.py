"""The explorer page in headless Chromium: its numbers against NumPy, and all ways to handle it."""

import time

import numpy as np
import pytest

from npattn import plots
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.layer_norm import LayerNormParams, layer_norm, layer_norm_backward
from npattn.kernels.softmax import masked_softmax, softmax_backward

pytestmark = pytest.mark.browser

NASTY = ['</script><script>hacked=1</script>', '"<img src=x onerror=hacked=1>', "it's <!-- & \\"]
WORDS = "the cat sat".split()
SIZES = {"desktop": dict(width=1280, height=900, deviceScaleFactor=1, mobile=False),
         "phone": dict(width=390, height=844, deviceScaleFactor=2, mobile=True)}


@pytest.fixture
def show(browser, tmp_path):
    """show(explorer) opens the page; at the end nothing was asked for and nothing went wrong."""

    def open_page(explorer, size="desktop", scheme="light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZES[size])
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size == "phone"})
        browser.get(explorer.save(tmp_path / "page.html").as_uri())
        return browser

    yield open_page
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.fixture
def call(draw):
    """Three words that look back, dO of both signs; Dv = Tk so that every transpose fits."""
    return dict(Q=draw(3, 2), K=draw(3, 2), V=draw(3, 3), dO=draw(3, 3),
                mask=np.tri(3, dtype=bool), queries=WORDS, keys=WORDS)


def values(browser):
    found = browser.execute_script("return [values, state.mask]")
    return {name: np.array(rows, float) for name, rows in found[0].items()} | {"mask": found[1]}


def text(browser, id):
    return browser.execute_script("return document.getElementById(arguments[0]).innerText", id)


def td(browser, name, i, j):
    cell = browser.find_element("css selector", f'[data-cell="{name} {i} {j}"]')
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", cell)
    return cell


def actions(browser):
    from selenium.webdriver import ActionChains

    return ActionChains(browser, 0)


def press(browser, *keys):
    from selenium.webdriver import Keys

    for key in keys:
        actions(browser).send_keys(getattr(Keys, key, key)).perform()


def with_shift(browser, key):
    from selenium.webdriver import Keys

    actions(browser).key_down(Keys.SHIFT).send_keys(getattr(Keys, key)).key_up(Keys.SHIFT).perform()


def touch(browser, name, i, j, by=0):
    """A finger on a cell that moves `by` pixels to the right and leaves."""
    x, y = browser.execute_script(
        """const { left, top, width, height } = arguments[0].getBoundingClientRect();
        return [left + width / 2, top + height / 2];""", td(browser, name, i, j),
    )  # fmt: skip
    moves = [x + by * part / 4 for part in range(5)] if by else [x]
    for n, at in enumerate(moves):
        kind = "touchMove" if n else "touchStart"
        browser.execute_cdp_cmd("Input.dispatchTouchEvent",
                                {"type": kind, "touchPoints": [{"x": at, "y": y}]})
    if by:
        time.sleep(0.4)  # at rest before it leaves: a fling would swallow the next tap
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    if by:
        time.sleep(0.4)


def soon(holds):
    """A tap is told from a drag a little later: wait until `holds()`, at most 5 seconds."""
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def by_numpy(Q, K, V, dO, mask, scale=None):
    """Every matrix of the page from the kernels, and those that these keep to themselves."""
    O, cache = attention(Q, K, V, np.asarray(mask), scale=scale)
    dQ, dK, dV = attention_backward(dO, cache)
    dP = dO @ V.T
    return dict(
        S=Q @ K.T * cache.scale, P=cache.P, O=O, dP=dP, dQ=dQ, dK=dK, dV=dV,
        δ=(dP * cache.P).sum(-1, keepdims=True), dS=softmax_backward(dP, cache.P),
    )


def assert_same(found, right):
    for name, array in right.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=name)


def assert_follows(browser):
    """What is shown is what NumPy makes of the given numbers, and the complex step agrees."""
    found = values(browser)
    given = {name: found[name] for name in ("Q", "K", "V", "dO", "mask")}
    assert_same(found, by_numpy(**given, scale=found["scale"].item()))
    assert text(browser, "verdict").startswith("All ")


# ---------------------------------------------------------------- every formula against NumPy


@pytest.mark.parametrize("seed", range(8))
def test_attention_is_that_of_numpy_with_masks_and_dead_rows(show, seed):
    rng = np.random.default_rng(seed)
    Tq, Tk, Dk, Dv = rng.integers(1, 7, 4)
    size = 10.0 ** rng.integers(-2, 3)
    mask = rng.random((Tq, Tk)) < 0.6
    mask[rng.integers(Tq)] = False
    Q, K, V, dO = (size * rng.standard_normal(shape) for shape in
                   ((Tq, Dk), (Tk, Dk), (Tk, Dv), (Tq, Dv)))
    scale = rng.choice([None, -1.3, 0.0, 2.5])
    browser = show(plots.explore(Q, K, V, mask, dO=dO, scale=scale))
    found = values(browser)
    assert_same(found, by_numpy(Q, K, V, dO, mask, scale))
    dead = ~mask.any(-1)
    for name in ("P", "O", "dS", "dQ"):
        assert (found[name][dead] == 0).all()
    assert_witness(browser, found)


def assert_witness(browser, found):
    """The complex step of the browser gives the same gradients."""
    steps = browser.execute_script("return witness(call, trees, values)")
    assert steps
    for name, rows in steps.items():
        scale = max(1.0, abs(found[name]).max())
        np.testing.assert_allclose(rows, found[name], rtol=0, atol=1e-11 * scale, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_softmax_is_that_of_numpy(show, seed):
    rng = np.random.default_rng(seed)
    S, dP = 30 * rng.standard_normal((2, 4, 5))
    mask = rng.random((4, 5)) < 0.6
    mask[1] = False
    browser = show(plots.explore_softmax(S, mask, dP=dP))
    found, P = values(browser), masked_softmax(S, mask)
    dS = softmax_backward(dP, P)
    assert_same(found, dict(P=P, dS=dS, δ=(dP * P).sum(-1, keepdims=True)))
    assert_witness(browser, found)


@pytest.mark.parametrize("seed", range(3))
def test_layer_norm_is_that_of_numpy(show, seed):
    rng = np.random.default_rng(seed)
    X, dY = rng.standard_normal((2, 3, 5))
    X[1] = X[1, 0]  # a constant row: its variance is 0
    gain, bias = rng.standard_normal((2, 5))
    browser = show(plots.explore_layer_norm(X, gain, bias, dY=dY, eps=1e-2))
    Y, cache = layer_norm(X, LayerNormParams(gain, bias), eps=1e-2)
    dX, (dgain, dbias) = layer_norm_backward(dY, cache)
    right = {"Y": Y, "dX": dX, "dgain": dgain[None], "dbias": dbias[None], "X̂": cache.Xhat,
             "r": cache.rstd, "dX̂": dY * gain}
    found = values(browser)
    assert_same(found, right)
    assert_witness(browser, found)


def test_sixteen_on_every_axis_follow_a_drag_and_are_proved(show, draw):
    browser = show(plots.explore(*draw(3, 16, 16), np.tri(16, dtype=bool), dO=draw(16, 16)))
    median = browser.execute_script(
        """const times = Array.from({ length: 15 }, (_, n) => {
          const begin = performance.now();
          change(["Q", 3, 2], n / 7);
          return performance.now() - begin;
        });
        return times.sort((a, b) => a - b)[7];"""
    )
    print(f"{median:.0f} ms for a change")
    assert median < 200
    browser.set_script_timeout(60)
    browser.execute_async_script(
        """const done = arguments[0], wait = () => expected ? done() : setTimeout(wait, 50);
        wait();"""
    )
    assert_follows(browser)


# ---------------------------------------------------------------- pointing


def test_pointing_shows_the_formula_with_its_numbers_and_lights_its_cells(show):
    eye = np.eye(2)
    browser = show(plots.explore(2 * eye, eye + 1, eye, dO=eye, scale=0.5, queries="ab", keys="cd"))
    actions(browser).move_to_element(td(browser, "S", 0, 1)).perform()
    assert text(browser, "detail-title") == "S query “a”, key “d” = 1.0000"
    assert "Sij = scale Σk Qik Kjk" in text(browser, "story")
    assert "0.50 × (2.00 × 1.00 + 0 × 2.00) = 1.0000" in text(browser, "story")
    lit = browser.execute_script(
        """return [...document.querySelectorAll("td.lit")].map((td) =>
          [td.dataset.cell, td.dataset.note ?? ""]);"""
    )
    assert sorted(lit) == [["K 1 0", "100 %"], ["K 1 1", "0 %"], ["Q 0 0", "100 %"],
                           ["Q 0 1", "0 %"]]
    actions(browser).move_to_element(browser.find_element("id", "title")).perform()
    assert text(browser, "detail-title") == "Point at a number"


def test_the_path_of_a_gradient_goes_back_to_dO_and_its_shares_add_up(show, call):
    browser = show(plots.explore(**call))
    actions(browser).move_to_element(td(browser, "dQ", 2, 1)).perform()
    assert "dQ[2, 1] ← 3 of dS ← 1 of δ ← 3 of dP ← 3 of dO" in text(browser, "story")
    for name, i, j in (("dQ", 2, 1), ("dK", 1, 0), ("dV", 0, 2), ("dS", 2, 0)):
        shares = browser.execute_script(
            "return pathOf(call, trees, values, ...arguments).shares", name, i, j)
        entry = values(browser)[name][i, j]
        for other in set(shares) - {"δ"} - ({"dP"} if name == "dV" else set()):
            assert np.sum(shares[other]) == pytest.approx(entry, abs=1e-12), other
        lit = browser.execute_script(
            "settle(arguments); return document.querySelectorAll('.lit[data-cell^=dO]').length",
            name, i, j)  # fmt: skip
        assert lit == np.count_nonzero(shares["dO"])
        browser.execute_script("settle(null)")


def test_masked_cells_and_dead_rows_are_told(show, call):
    call["mask"] = np.array([[True, False, False], [False] * 3, [True] * 3])
    browser = show(plots.explore(**call))
    actions(browser).move_to_element(td(browser, "P", 0, 1)).perform()
    assert "The mask does not allow this key: exactly 0." in text(browser, "story")
    actions(browser).move_to_element(td(browser, "P", 1, 1)).perform()
    assert "This query may attend to nothing: its row is 0." in text(browser, "story")
    dead = browser.execute_script("return document.querySelectorAll('tr.dead').length")
    assert dead == 1


# ---------------------------------------------------------------- changing


def test_dragging_a_number_changes_all_that_follows(show, call):
    browser = show(plots.explore(**call))
    for n, (name, i, j) in enumerate((("Q", 1, 0), ("K", 2, 1), ("V", 0, 2), ("dO", 2, 1))):
        way = (-1) ** n * 40
        actions(browser).drag_and_drop_by_offset(td(browser, name, i, j), way, 0).perform()
        assert values(browser)[name][i, j] == pytest.approx(call[name][i, j] + way / 100, abs=1e-9)
        assert_follows(browser)


def test_what_is_computed_cannot_be_dragged(show, call):
    browser = show(plots.explore(**call))
    before = values(browser)
    for name in ("S", "P", "O", "dQ"):
        actions(browser).drag_and_drop_by_offset(td(browser, name, 1, 0), 40, 0).perform()
        press(browser, "7")
    after = values(browser)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_numbers_are_typed_and_stepped_by_keyboard_alone(show, call):
    browser = show(plots.explore(**call))
    browser.execute_script("document.querySelector('[data-cell=\"Q 0 0\"]').focus()")
    press(browser, "DOWN", "RIGHT", "-", "1", ".", "5", "ENTER")
    assert values(browser)["Q"][1, 1] == -1.5
    assert text(browser, "spoken") == "Q, query “cat”, column 1: −1.5000."
    with_shift(browser, "UP")
    with_shift(browser, "UP")
    with_shift(browser, "DOWN")
    assert values(browser)["Q"][1, 1] == -1.4
    press(browser, "8", "ESCAPE")
    assert values(browser)["Q"][1, 1] == -1.4
    press(browser, "1", "e", "9", "ENTER")
    assert "no number up to 1000000" in text(browser, "spoken")
    assert values(browser)["Q"][1, 1] == -1.4
    press(browser, "END", "HOME", "UP", "UP")
    assert browser.switch_to.active_element.get_attribute("data-cell") == "Q 0 0"
    press(browser, "TAB")
    assert browser.switch_to.active_element.get_attribute("data-cell") == "dQ 0 0"
    assert text(browser, "spoken").startswith("dQ, query “the”, column 0: ")
    assert "It comes from 1 of scale, 3 of dS, 3 of K." in text(browser, "spoken")
    assert_follows(browser)


def test_the_mask_is_switched_by_click_and_by_key_down_to_a_dead_row(show, call):
    browser = show(plots.explore(**call))
    td(browser, "mask", 0, 0).click()
    assert not np.any(values(browser)["mask"][0])
    assert (values(browser)["O"][0] == 0).all()
    assert_follows(browser)
    press(browser, "RIGHT", "SPACE")
    assert values(browser)["mask"][0] == [False, True, False]
    cell = browser.switch_to.active_element
    assert (cell.aria_role, cell.get_attribute("aria-checked")) == ("checkbox", "true")
    assert text(browser, "spoken") == "mask, query “the”, key “cat”: " \
        "The query may attend to this key."
    assert_follows(browser)


def test_the_slider_sets_the_scale_and_reset_puts_all_back(show, call):
    browser = show(plots.explore(**call))
    before = values(browser)
    slider = browser.find_element("css selector", "#knob input")
    actions(browser).drag_and_drop_by_offset(slider, 50, 0).perform()
    assert values(browser)["scale"].item() > before["scale"].item()
    assert_follows(browser)
    press(browser, "LEFT", "LEFT")
    assert_follows(browser)
    browser.execute_script("toggle(0, 0); change(['V', 0, 0], 9)")
    browser.find_element("id", "reset").click()
    after = values(browser)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_softmax_and_layer_norm_follow_a_drag_too(show, draw):
    browser = show(plots.explore_softmax(draw(3, 4)))
    actions(browser).drag_and_drop_by_offset(td(browser, "S", 1, 0), 30, 0).perform()
    found = values(browser)
    np.testing.assert_allclose(found["P"], masked_softmax(found["S"]), atol=1e-12)
    browser = show(plots.explore_layer_norm(draw(3, 4), dY=draw(3, 4)))
    for name in ("X", "gain", "bias", "dY"):
        actions(browser).drag_and_drop_by_offset(td(browser, name, 0, 1), 30, 0).perform()
    found = values(browser)
    Y, cache = layer_norm(found["X"], LayerNormParams(found["gain"][0], found["bias"][0]))
    np.testing.assert_allclose(found["Y"], Y, atol=1e-9)
    np.testing.assert_allclose(found["dX"], layer_norm_backward(found["dY"], cache)[0], atol=1e-9)
    assert text(browser, "verdict").startswith("All ")


# ---------------------------------------------------------------- terms that are left out


def broken(term, Q, K, V, dO, mask, **_):
    """dV, dP, dS, dQ, dK with one term left out."""
    right = by_numpy(Q, K, V, dO, mask)
    scale, P, dV = 1 / np.sqrt(Q.shape[1]), right["P"], right["dV"]
    if term == "dV transpose":
        dV = P @ dO
    dP = dO @ (V if term == "dP transpose" else V.T)
    dS = dP - (0 if term == "row sum" else (dP * P).sum(-1, keepdims=True))
    dS = dS if term == "dS weights" else P * dS
    dQ = dS @ K * (1 if term == "dQ scale" else scale)
    dK = (dS if term == "dK transpose" else dS.T) @ Q * (1 if term == "dK scale" else scale)
    return dict(dV=dV, dP=dP, dS=dS, dQ=dQ, dK=dK)


TERMS = ["dV transpose", "dP transpose", "row sum", "dS weights", "dQ scale", "dK scale",
         "dK transpose"]


def test_the_page_offers_exactly_these_terms(show, call):
    browser = show(plots.explore(**call))
    assert set(browser.execute_script("return termsIn.map((part) => part.term)")) == set(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_left_out_marks_just_the_cells_that_go_wrong(show, call, term):
    browser = show(plots.explore(**call))
    button = browser.find_element("css selector", f'.term[data-term="{term}"]')
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", button)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    found, wrong = values(browser), broken(term, **call)
    right = by_numpy(**{name: call[name] for name in ("Q", "K", "V", "dO", "mask")})
    assert_same(found, wrong)
    differ = {f"{name} {i} {j}" for name, array in wrong.items()
              for i, j in np.argwhere(~np.isclose(array, right[name], rtol=1e-9, atol=1e-12))}
    marked = browser.execute_script(
        "return [...document.querySelectorAll('td.wrong')].map((td) => td.dataset.cell)")
    assert differ and set(marked) == differ
    verdict = text(browser, "verdict")
    assert verdict.startswith(f"{len(differ)} of {sum(a.size for a in wrong.values())} entries")
    name, i, j = sorted(differ)[0].split()
    actions(browser).move_to_element(td(browser, name, int(i), int(j))).perform()
    assert "differs by" in text(browser, "story")
    browser.find_element("css selector", "#verdict button").click()
    assert_follows(browser)
    assert button.get_attribute("aria-pressed") == "true"


def test_a_transpose_that_numpy_would_refuse_cannot_be_left_out(show, draw):
    browser = show(plots.explore(draw(2, 3), draw(4, 3), draw(4, 5)))
    for term in TERMS:
        button = browser.find_element("css selector", f'.term[data-term="{term}"]')
        assert button.is_enabled() == ("transpose" not in term)
    assert "Tq and Tk differ" in browser.find_element(
        "css selector", '[data-term="dK transpose"]').get_attribute("title")


def test_every_term_of_layer_norm_is_needed(show, draw):
    browser = show(plots.explore_layer_norm(draw(3, 4), draw(4), draw(4), dY=draw(3, 4)))
    buttons = browser.find_elements("css selector", ".term")
    assert len(buttons) == 5
    for button in buttons:
        button.click()
        assert "entries are wrong" in text(browser, "verdict")
        button.click()
        assert text(browser, "verdict").startswith("All ")


# ---------------------------------------------------------------- line by line


def test_stepping_shows_one_line_after_the_other_beside_its_source(show, call):
    explorer = plots.explore(**call)
    browser = show(explorer)
    lines = explorer.content["source"]
    for n, name in enumerate(["S", "P", "O", "dV", "dP", "δ", "dS", "dQ", "dK"]):
        browser.find_element("id", "next").click()
        current = browser.find_element("css selector", "#lines li[aria-current=step]")
        assert current.get_attribute("data-line") == str(n)
        shown = browser.execute_script(
            "return [...arguments[0].querySelectorAll('code')].map((code) => code.textContent)",
            current)  # fmt: skip
        assert [line.strip() for line in shown] == [t.strip() for _, t in lines[name]["lines"]]
        assert browser.find_element("css selector", ".slot.now").get_attribute("data-name") == name
        later = browser.execute_script("return document.querySelectorAll('td.later').length")
        assert (later == 0) == (n == 8)
    assert not browser.find_element("id", "next").is_enabled()
    browser.find_element("id", "back").click()
    assert browser.execute_script("return state.step") == 7
    browser.find_element("id", "all").click()
    assert browser.execute_script("return document.querySelectorAll('td.later').length") == 0


# ---------------------------------------------------------------- sizes, schemes, languages


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_fits_and_can_be_read(show, call, size, scheme, lang):
    browser = show(plots.explore(**call, lang=lang), size, scheme)
    browser.execute_script("settle(['dK', 1, 0])")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    inside = browser.execute_script(
        """return [...document.querySelectorAll("td, h1, #verdict, .formula, code")].every((it) => {
          const { left, right } = it.getBoundingClientRect();
          return left >= 0 && right <= innerWidth + 0.5; });"""
    )
    assert inside
    assert browser.execute_script(CONTRAST) > 4.4
    assert browser.find_element("tag name", "html").get_attribute("lang")[:2] == lang


CONTRAST = """
const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const page = getComputedStyle(document.body).backgroundColor;
const light = (colour) => {
  pen.fillStyle = page; pen.fillRect(0, 0, 1, 1);
  pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => {
    c /= 255; return c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
state.fixed = null;
draw();
return Math.min(...[...document.querySelectorAll("td:not(.masked)")].map((td) => {
  const style = getComputedStyle(td), [a, b] = [light(style.color), light(style.backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}));
"""


def test_a_finger_points_drags_and_types(show, call):
    browser = show(plots.explore(**call), "phone")
    touch(browser, "dS", 2, 0)
    soon(lambda: text(browser, "detail-title").startswith("dS query “sat”, key “the”"))
    seen = browser.execute_script(
        """const { top, bottom } = $("detail-title").getBoundingClientRect();
        return top > innerHeight / 2 && bottom < innerHeight;"""
    )
    assert seen and browser.find_element("id", "close").is_displayed()
    browser.find_element("id", "close").click()
    touch(browser, "K", 1, 1, by=60)
    soon(lambda: values(browser)["K"][1, 1] > call["K"][1, 1] + 0.2)
    assert_follows(browser)
    touch(browser, "K", 1, 1)
    soon(lambda: browser.switch_to.active_element.tag_name == "input")
    press(browser, "2", "ENTER")
    assert values(browser)["K"][1, 1] == 2.0
    touch(browser, "mask", 0, 1)
    soon(lambda: values(browser)["mask"][0] == [True, True, False])
    assert_follows(browser)


def test_labels_are_text_and_never_markup(show, call):
    call |= dict(queries=NASTY, keys=[*NASTY[:2], "\u202eevil"], title=NASTY[1])
    browser = show(plots.explore(**call))
    assert browser.title == text(browser, "title") == NASTY[1]
    actions(browser).move_to_element(td(browser, "S", 0, 1)).perform()
    assert NASTY[0] in text(browser, "detail-title") and NASTY[1] in text(browser, "detail-title")
    actions(browser).move_to_element(td(browser, "S", 0, 2)).perform()
    assert r"\u202eevil" in text(browser, "detail-title")
    assert browser.execute_script("return typeof hacked") == "undefined"


def test_every_matrix_has_a_name_and_every_cell_a_role_and_headers(show, call):
    browser = show(plots.explore(**call))
    tables = browser.find_elements("css selector", "table")
    assert len(tables) == 14
    assert tables[0].accessible_name == "Q, 3 rows, 2 columns: numbers can be changed"
    assert {table.aria_role for table in tables} == {"grid", "group"}
    cells = browser.execute_script(
        """return [...document.querySelectorAll("td")].map((td) =>
          [td.dataset.cell.split(" ")[0], td.getAttribute("role"), td.ariaReadOnly]);"""
    )
    assert {name for name, role, readonly in cells if readonly == "false"} == {"Q", "K", "V", "dO"}
    assert {role for name, role, _ in cells if name == "mask"} == {"checkbox"}
    assert browser.execute_script(
        "return document.querySelectorAll('td[tabindex=\"0\"]').length") == 14


def test_print_shows_the_matrices_and_hides_the_buttons(show, call):
    browser = show(plots.explore(**call))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = {id: browser.find_element("id", id).is_displayed()
                 for id in ("controls", "steps", "flow", "lines", "verdict")}
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == dict(controls=False, steps=False, flow=True, lines=True, verdict=True)


def test_a_notebook_frame_computes_too(show, call, browser, tmp_path):
    show(plots.explore(**call))
    frame = plots.explore(**call)._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>n</title>{frame}", "utf-8")
    browser.get((tmp_path / "notebook.html").as_uri())
    browser.switch_to.frame(0)
    assert text(browser, "verdict").startswith("All ")
    browser.switch_to.default_content()
