"""The front door: what `import npattn` gives, and what it must not cost."""

import ast
import configparser
import inspect
import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import npattn
import npattn._names
import npattn.kernels
from npattn.verification.pairs import find_pairs

ROOT = Path(__file__).parents[1]


def test_importing_npattn_imports_no_other_library_than_numpy():
    code = (
        "import sys, npattn; heavy = {'scipy', 'matplotlib', 'torch', 'tqdm', 'threadpoolctl'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only this C library must be told")
def test_freed_memory_is_kept():
    code = """
        import resource
        import numpy as np
        import npattn

        npattn.keep_freed_memory()

        def page_faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        before = page_faults()
        for _ in range(10):
            arrays = [np.ones((128, 1024)) for _ in range(20)]
            del arrays
        print((page_faults() - before) * resource.getpagesize() / 2**20)  # of 200 MiB
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 60


def test_every_public_name_has_a_docstring():
    public = {name: getattr(npattn, name) for name in npattn.__all__}
    functions = {name: value for name, value in public.items() if callable(value)}
    assert len(functions) > 110
    assert [name for name, value in functions.items() if not inspect.getdoc(value)] == []


def test_every_pair_of_the_kernels_is_public():
    kernels = [pair for pair in find_pairs().values() if pair.module.startswith("npattn.kernels.")]
    assert len(kernels) > 30
    for pair in kernels:
        for half in (pair.forward, pair.backward):
            assert getattr(npattn, half.__name__, None) is half, f"{pair.module}.{half.__name__}"


def test_every_public_forward_comes_with_its_backward():
    names = {name for name in npattn.__all__ if name.endswith("_backward")}
    assert {name.removesuffix("_backward") for name in names} <= set(npattn.__all__)


def test_version_is_that_of_the_metadata():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == npattn.__version__


def test_a_star_brings_the_public_names_and_no_module():
    names = {}
    exec("from npattn import *", names)
    assert names.keys() - {"__builtins__"} == set(npattn.__all__)
    assert not [name for name, value in names.items() if inspect.ismodule(value)]


def test_importing_npattn_imports_no_page():
    """A page comes with the first of its names, and a room with the first look at it."""
    code = """
        import sys, npattn
        loaded = lambda: {name for name in sys.modules if name.startswith("npattn.")}
        assert loaded() == {"npattn._lazy"}, loaded()
        npattn.softmax
        assert "npattn.kernels.softmax" in loaded() and "npattn.kernels.masks" not in loaded()
        npattn.kernels.masks.causal_mask, npattn.models.vision, npattn.plots.heatmap
        assert not hasattr(npattn, "sofmax") and not hasattr(npattn.kernels, "sofmax")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_the_list_of_names_is_true_as_python_reads_it():
    """The editors' and type checkers' view: _names.py, run as ordinary imports."""
    listed = {name: value for name, value in vars(npattn._names).items() if name[0] != "_"}
    assert list(listed) == npattn.__all__
    assert all(getattr(npattn, name) is value for name, value in listed.items())
    assert {*listed, "kernels", "__version__"} <= {*dir(npattn)}


def test_the_reading_order_of_the_kernels_names_every_page():
    pages = {path.stem for path in Path(npattn.kernels.__path__[0]).glob("*.py")} - {"__init__"}
    words = set(re.findall(r"\w+", npattn.kernels.__doc__))
    assert pages <= words, pages - words


@pytest.mark.thorough
@pytest.mark.parametrize("folder", ["npattn", "tests", "notebooks"])
def test_the_sources_are_python_3_10(folder):
    """X[(i, *rest)] is; X[i, *rest] came with 3.11, and the parser does not tell."""
    for path in (ROOT / folder).rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source, feature_version=(3, 10))):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
                starred = any(isinstance(part, ast.Starred) for part in node.slice.elts)
                assert not starred or ast.get_source_segment(source, node.slice)[0] == "(", (
                    f"{path}:{node.lineno}")
