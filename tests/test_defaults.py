"""Defaults, and the numbers that the checker's promise is made of: tests/defaults.txt lists them.

Somebody who leaves a keyword out has chosen its default. Another default changes what people get,
so that it is changed in the list, too, and CHANGELOG.md says so. `python tests/test_defaults.py`
writes the list. Sizes of tiles and blocks, which are there for speed alone, are not in it.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np

import npattn.checking
import npattn.kernels
import npattn.models

LIST = Path(__file__).parent / "defaults.txt"
NUMBERS = (bool, int, float, tuple, np.ndarray)


PAGES = [
    importlib.import_module(page.name)
    for room in (npattn.kernels, npattn.models, npattn.checking)
    for page in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    if not page.name.endswith(("jax_functions", "torch_functions"))  # they import JAX and torch
]


def defaults(thing):
    """{name: default} of a function's parameters, or of the fields of a class; None is no news."""
    if dataclasses.is_dataclass(thing):
        found = {f.name: f.default for f in dataclasses.fields(thing)}
    elif inspect.isclass(thing):
        found = getattr(thing, "_field_defaults", {})
    else:
        found = {p.name: p.default for p in inspect.signature(thing).parameters.values()}
    missing = inspect.Parameter.empty, dataclasses.MISSING
    return {name: value for name, value in found.items()
            if not any(value is one for one in (*missing, None))}


def lines():
    """One for each function, class and number that has something to say."""
    for page in PAGES:
        own = re.findall(r"^([A-Z_, ]+?) +=", inspect.getsource(page), re.MULTILINE)
        numbers = ", ".join(own).split(", ") if "checking" in page.__name__ else ()
        for name, thing in vars(page).items():
            if getattr(thing, "__module__", None) == page.__name__ and name[0] != "_":
                if callable(thing) and (given := defaults(thing)):
                    words = ", ".join(f"{key}={shown(value)}" for key, value in given.items())
                    yield f"{page.__name__}.{name}({words})"
            elif name in numbers and isinstance(thing, NUMBERS):
                yield f"{page.__name__}.{name} = {shown(thing)}"


def shown(value):
    """As text, the same on every machine: functions by name, numbers with ten digits."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, complex):
        return f"{value:.6f}"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, type) or inspect.isroutine(value):
        return value.__name__
    return repr(value)


def test_defaults_and_the_numbers_of_the_checker_are_those_listed():
    listed = LIST.read_text(encoding="utf-8").splitlines()
    found = sorted(set(lines()))
    new, gone = set(found) - set(listed), set(listed) - set(found)
    assert not new and not gone, f"in the package: {sorted(new)}, in {LIST.name}: {sorted(gone)}"
    assert listed == found


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in sorted(set(lines()))), encoding="utf-8")
