"""Every forward/backward pair of the package, found by the convention of its names.

`f_backward` in a page of `npattn.kernels` or `npattn.models` makes `f`, on the same page, one half
of a pair. Nobody keeps a list, so nobody can forget to add to it.
"""

import importlib
import pkgutil
from typing import NamedTuple

import npattn.kernels
import npattn.models

SUFFIX = "_backward"


class FoundPair(NamedTuple):
    """A pair and the page where it stands."""

    name: str
    module: str
    forward: object
    backward: object


def find_pairs():
    """All pairs, kernels first, in the order of pages and of lines: a dict from name to FoundPair.

    A page's own `masked_f` beside `f` shares its backward and makes a pair as well.
    Raises AttributeError where a backward has no forward on its page.
    """
    pairs = {}
    for room in (npattn.kernels, npattn.models):
        pages = pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        for page in sorted(pages, key=lambda page: page.name):
            module = importlib.import_module(page.name)
            for name, function in vars(module).items():
                if not _is_public_backward(name, function, module):
                    continue
                forward = name.removesuffix(SUFFIX)
                for half in (forward, f"masked_{forward}"):
                    if half == forward or hasattr(module, half):
                        pairs[half] = FoundPair(
                            half, module.__name__, getattr(module, half), function
                        )
    return pairs


def _is_public_backward(name, function, module):
    return (
        name.endswith(SUFFIX)
        and not name.startswith("_")
        and getattr(function, "__module__", None) == module.__name__
    )
