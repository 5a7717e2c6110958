"""Packing: short texts share a row, so that less of the work goes into padding.

    texts  a b . . . . . .        rows  c d e f g h a b
           c d e f g h . .   →          i j . . . . . .
           i j . . . . . .

What a model does to each position by itself, it can do to rows as well as to texts. In attention a
token must see its own text and no other, which is a matter of the mask; and a position is the one
that the token has in its text. `unpack` puts the results back where the tokens stood, with 0 for
the padding. It only moves numbers, so its backward moves their gradients the other way.
Source: Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination", section 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_bool
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import Shape, require_shapes


class Packing(NamedTuple):
    """Which of N tokens, in texts (..., T), stands where in R rows, T wide as well."""

    tokens: np.ndarray     # (..., T) bool: where the texts have a token
    places: tuple          # index arrays (N,): the row and the column of each
    positions: np.ndarray  # (R, T) where in its text a token stands; 0 in a gap
    mask: np.ndarray       # (R, T, T) bool: True for two tokens of the same text


def packing_of(token_mask):
    """Texts in rows: each in the first row that has room for it, the longest first.

    token_mask  (..., T)  bool, True = a real token

    Returns Packing. Raises TypeError if token_mask is no boolean array, ValueError if it has no
    axis.
    """
    require_bool(token_mask)
    if not token_mask.ndim:
        raise ValueError("token_mask must be (..., T) with at least one axis, got shape ()")
    T, lengths = token_mask.shape[-1], token_mask.sum(axis=-1).ravel()
    row, start, num_rows = _first_fit(lengths, T)
    text = np.repeat(np.arange(lengths.size), lengths)
    among_its_own = np.arange(text.size) - (np.cumsum(lengths) - lengths)[text]
    places = row[text], start[text] + among_its_own
    owner, positions = np.full((num_rows, T), -1), np.zeros((num_rows, T), int)
    owner[places], positions[places] = text, np.nonzero(token_mask)[-1]
    return Packing(token_mask, places, positions, owner[:, :, None] == owner[:, None, :])


@quiet
def pack(X, packing):
    """The tokens of texts X (..., T, *rest) in their rows, (R, T, *rest), with 0 in the gaps.

    Raises ValueError if X is not shaped like the texts.
    """
    texts, axes = packing.tokens.shape, packing.tokens.ndim
    if X.shape[:axes] != texts:
        raise ValueError(f"X {X.shape} must begin with the axes of the texts, {texts}")
    rows = np.zeros((*packing.positions.shape, *X.shape[axes:]), X.dtype)
    rows[packing.places] = X[packing.tokens]
    return rows


@quiet
def unpack(Y, packing):
    """What a model has made of rows Y (R, T, D), back where the tokens stand in their texts.

    Returns X (..., T, D), 0 for padding. Raises ValueError if Y is not shaped like the rows.
    """
    require_shapes("Y R T D, rows:int R T", Y, packing.positions)
    X = np.zeros((*packing.tokens.shape, *Y.shape[2:]), Y.dtype)
    X[packing.tokens] = Y[packing.places]
    return X


def unpack_backward(dX, packing):
    """dY (R, T, D) from dX (..., T, D): what stands in a gap goes nowhere, its gradient is 0."""
    require_shapes("dX =... T D, tokens ... T", dX, Shape(packing.tokens.shape))
    return pack(dX, packing)


def _first_fit(lengths, width):
    """The row and the first column of each text, and how many rows there are."""
    row, start, free = np.empty_like(lengths), np.empty_like(lengths), []
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        fitting = (i for i, room in enumerate(free) if room >= length)
        i = next(fitting, len(free))
        if i == len(free):
            free.append(width)
        row[text], start[text] = i, width - free[i]
        free[i] -= length
    return row, start, len(free)
