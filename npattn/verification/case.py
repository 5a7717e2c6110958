"""What a table of cases is made of."""

from typing import NamedTuple


class Case(NamedTuple):
    """Arguments for a pair, and words for the axes of its gradients."""

    args: tuple
    options: dict = {}
    axes: dict = {}
    backward: object = None  # where the backward takes something else than (dY, cache)
