"""The front door: what `import npattn` gives, and what it must not cost."""

import configparser
import inspect
import subprocess
import sys
from pathlib import Path

import npattn

ROOT = Path(__file__).parents[1]


def test_importing_npattn_imports_no_other_library_than_numpy():
    code = (
        "import sys, npattn; heavy = {'scipy', 'matplotlib', 'torch', 'tqdm', 'threadpoolctl'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_has_a_docstring():
    public = {name: value for name, value in vars(npattn).items() if not name.startswith("_")}
    functions = {name: value for name, value in public.items() if callable(value)}
    assert len(functions) > 60
    assert [name for name, value in functions.items() if not inspect.getdoc(value)] == []


def test_every_public_forward_comes_with_its_backward():
    names = {name for name in vars(npattn) if name.endswith("_backward")}
    assert {name.removesuffix("_backward") for name in names} <= set(vars(npattn))


def test_version_is_that_of_the_metadata():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == npattn.__version__
