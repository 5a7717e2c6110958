"""Pictures compared from afar, so that versions that set text a little apart agree."""

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

FIGURES = Path(__file__).parents[1] / "figures"
SIZE = 160, 80  # pixels
TOLERANCE = 9  # of 255, root mean square


def difference(first, second):
    """How far apart two PNGs, given as bytes, are when seen from afar.

    A pixel is as in the other picture if it lies within the values around its place there, so that
    a step to the side by one pixel does not count. The rest does, by how much it lies outside.
    """
    (A, *around_A), (B, *around_B) = _from_afar(first), _from_afar(second)
    return np.sqrt((_outside(A, *around_B) ** 2 + _outside(B, *around_A) ** 2).mean() / 2)


@functools.cache
def _from_afar(png):
    """The picture made small, and the least and the greatest values around each pixel."""
    with Image.open(io.BytesIO(png)) as image:
        small = np.asarray(image.convert("RGB").resize(SIZE, Image.BOX), dtype=float)
    return small, minimum_filter(small, (3, 3, 1)), maximum_filter(small, (3, 3, 1))


def _outside(X, low, high):
    return np.maximum(low - X, 0.0) + np.maximum(X - high, 0.0)
