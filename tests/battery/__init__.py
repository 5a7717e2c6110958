"""Functions with backwards of other people's kind, half of them wrong; no code of npattn's.

They stand on shelves, a family each. A page is imported when a shelf of it is asked for; those
INSIDE need torch, JAX and numba. The package is laid beside the tests, for what is checked here
is a checker.
"""

from importlib import import_module

FIRST = [
    "plain.shelf", "algebra.linalg", "algebra.special", "arithmetic.precision", "arithmetic.scales",
    "arithmetic.offsets", "kinks.kinks", "kinks.branches", "kinks.scans", "styles.layers",
    "styles.losses", "styles.trees",
]
INSIDE = ["inside.torch_inside", "inside.jax_inside", "inside.numba_inside"]
SECOND = [  # written afterwards, without a look at what those before showed
    "second.geometry", "second.signals", "second.chance", "second.attention", "second.numbers",
    "second.corners", "second.objects", "third.close", "third.lost", "third.small",
]


def entries(shelves):
    """All that stands on these shelves, "page.shelf", in their order."""
    found = []
    for shelf in shelves:
        page, name = shelf.split(".")
        found += getattr(import_module(f"battery.{page}"), name)
    return found
