"""What the test modules share: drawn inputs, and one check that every pair has to pass."""

import contextlib
import copy
import functools
import os
import shutil
import signal
import sys
from collections import Counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: small matrices, many workers

import numpy as np
import pytest

from npattn import checking
from npattn.trees import tree_leaves, tree_map


@contextlib.contextmanager
def alarm(seconds):
    """A TimeoutError in the main thread if what stands below it takes longer."""
    def ring(*_):
        raise TimeoutError(f"it stood still for {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    left = signal.alarm(seconds)  # of an alarm around this one
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        signal.alarm(left)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Calls a test with the mark `again` up to three times, where it stands still."""
    mark = pyfuncitem.get_closest_marker("again")
    if mark is None or not hasattr(signal, "SIGALRM"):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    for attempt in range(3):
        try:
            with alarm(*mark.args):
                pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
            return True
        except TimeoutError:
            if attempt == 2:
                raise


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    """A test that counts figures sees its own alone."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(2017)


@pytest.fixture
def draw(rng):
    """draw(2, 3): normal numbers of that shape."""
    return lambda *shape: rng.standard_normal(shape)


@pytest.fixture
def shake(draw):
    """shake(params): the same form, but no bias is 0 and no gain is 1."""
    return lambda params: tree_map(lambda p: p + 0.3 * draw(*p.shape), params)


@pytest.fixture
def draw_mask(rng):
    """draw_mask(..., Tq, Tk): query 0 is dead, the others may attend to key 0 and some more."""

    def draw_one(*shape):
        mask = rng.random(shape) < 0.5
        mask[..., 0] = True
        mask[..., 0, :] = False
        return mask

    return draw_one


@pytest.fixture
def assert_gradients(request):
    """The checker, without its way out for code that takes no complex numbers: all of ours does.

    A test that asks for `convention`, too, checks gradients once, and not in every layout.
    """
    params = getattr(request.node, "callspec", None) and request.node.callspec.params
    if params and params.get("convention", "C order") != "C order":
        return lambda *args, **options: None
    return functools.partial(checking.assert_gradients, method="complex")


WHERE_SET = {"thorough": "NPATTN_THOROUGH", "long": "NPATTN_LONG"}

# Memory layouts of the same numbers. A pair must not care, and it may not write to any of them.
LAYOUTS = {
    "C order": lambda X: np.array(X, order="C"),
    "Fortran order": lambda X: np.array(X, order="F"),
    "negative strides": lambda X: np.flip(np.flip(X).copy()),
    "every other entry": lambda X: np.repeat(X, 2, axis=-1)[..., ::2] if X.ndim else X,
}
SINGLE = {"float32": lambda X: X.astype(np.float32) if X.dtype == np.float64 else X}


@pytest.fixture(params=[*LAYOUTS, *SINGLE])
def convention(request):
    """convention(f, f_backward, *args, **kwargs) checks what the convention promises of a pair:

    no argument, parameter or cache is written to; float32 stays float32 in output, cache and all
    gradients; the memory layout changes nothing; gradients have the form of their arguments.
    """
    dress = {**LAYOUTS, **SINGLE}[request.param]
    dtype, tolerance = (np.float32, 1e-4) if request.param in SINGLE else (np.float64, 1e-13)

    def check(f, f_backward, *args, **kwargs):
        expected = _run(f, f_backward, args, kwargs, LAYOUTS["C order"])
        found = _run(f, f_backward, args, kwargs, dress)
        for (Y, _, gradients) in (expected, found):
            wanted = tuple(arg for arg in args if _is_differentiable(arg))
            tree_map(_assert_same_shape, wanted[0] if len(wanted) == 1 else wanted, gradients)
            assert all(np.isfinite(leaf).all() for leaf in tree_leaves((Y, gradients)))
        assert {leaf.dtype for leaf in _floats(found)} == {np.dtype(dtype)}
        for got, want in zip(_floats(found), _floats(expected), strict=True):
            scale = max(1.0, np.abs(want).max(initial=0.0))
            np.testing.assert_allclose(got, want, rtol=0.0, atol=tolerance * scale)

    return check


def _run(f, f_backward, args, kwargs, dress):
    """Y, cache and gradients from read-only arrays only."""

    def prepare(leaf):
        return _freeze(dress(leaf)) if isinstance(leaf, np.ndarray) else copy.deepcopy(leaf)

    args = tree_map(prepare, args)
    result = f(*args, **{name: prepare(value) for name, value in kwargs.items()})
    Y, cache = tree_map(_freeze, result if type(result) is tuple else (result, result))
    dY = np.random.default_rng(0).standard_normal(np.shape(Y))
    return Y, cache, f_backward(prepare(np.asarray(dY)), cache)


def _freeze(leaf):
    if isinstance(leaf, np.ndarray):
        leaf.setflags(write=False)
    return leaf


def _floats(tree):
    leaves = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, (np.ndarray, np.floating))]
    return [leaf for leaf in leaves if leaf.dtype.kind == "f"]


def _is_differentiable(arg):
    return isinstance(arg, (tuple, np.ndarray)) and bool(_floats(arg))


def _assert_same_shape(leaf, gradient):
    assert np.shape(leaf) == np.shape(gradient)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Chromium without a window, started once."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not both installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}", "window-size=1280,900",
    ):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def browser(chromium):
    """Chromium, 1280 × 900, in the light, whatever another module set."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get_log("browser")
    return chromium


def pytest_collection_modifyitems(config, items):
    """Tests that drive Chromium are marked; some tests run where their variable is set only."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
    left_out = {mark for mark, variable in WHERE_SET.items() if variable not in os.environ}
    chosen, others, cases = [], [], Counter()
    for item in items:
        marks, sampled = {mark.name for mark in item.iter_markers()}, None
        if "thorough" in left_out and (sampled := item.get_closest_marker("sampled")):
            test = item.nodeid.partition("[")[0]
            sampled = cases[test] % sampled.args[0]
            cases[test] += 1
        (others if marks & left_out or sampled else chosen).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen
