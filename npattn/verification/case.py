"""What a table of cases is made of.

Every axis of a case has a length of its own, so that a transpose too many or too few cannot
hide; masks have dead rows; no bias is 0 and no gain is 1.
"""

from dataclasses import replace
from functools import wraps
from typing import NamedTuple

import numpy as np

from npattn.trees import tree_leaves, tree_map

B, H, TQ, TK, DK, DV = 2, 3, 4, 5, 6, 7
QUERIES, KEYS, ROWS = "batch head query dim", "batch head key dim", "batch position dim"


class Case(NamedTuple):
    """Arguments for a pair, and words for the axes of its gradients."""

    args: tuple
    options: dict = {}
    axes: dict = {}
    forward: object = None   # where the truth comes from another function than the forward
    backward: object = None  # where the backward takes something else than (dY, cache)


def real_in_tiles(forward):
    """`forward` with kernel="tiled"; where it is given complex numbers, with kernel="attention".

    Tiles are real, so their truth is the complex step through plain attention. Without dropout,
    because each kernel drops other weights.
    """

    @wraps(forward)
    def compute(*args, **options):
        kernel = "attention" if any(map(np.iscomplexobj, tree_leaves(args))) else "tiled"
        config = options.pop("config", None)
        if config is None:
            return forward(*args, kernel=kernel, **options)
        return forward(*args, config=replace(config, kernel=kernel), **options)

    return compute


def normal(rng, *shape):
    """Standard normal numbers, float64."""
    return rng.standard_normal(shape)


def draw_mask(rng, *shape):
    """About two thirds allowed; the first query of the first entry may attend to nothing."""
    mask = rng.random(shape) < 0.67
    mask[(0,) * (len(shape) - 1)] = False
    return mask


def perturbed(rng, params):
    """Parameters with every entry random: a bias or gain at its starting value hides faults."""
    return tree_map(lambda p: p + 0.3 * rng.standard_normal(p.shape), params)
