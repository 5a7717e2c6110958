"""The examples in the docstrings of the kernels do what they show."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import npattn.kernels

PAGES = [page.name for page in pkgutil.walk_packages(npattn.kernels.__path__, "npattn.kernels.")]


def functions_of(page):
    module = importlib.import_module(page)
    return module, [
        f for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == page and not name.startswith("_")
    ]


@pytest.mark.parametrize("page", PAGES)
def test_examples(page):
    module, functions = functions_of(page)
    for f in functions:
        for test in doctest.DocTestFinder().find(inspect.unwrap(f), f.__name__, module=False,
                                                 globs=dict(vars(module))):
            result = doctest.DocTestRunner().run(test)
            assert result.failed == 0, f"{page}.{f.__name__}"
