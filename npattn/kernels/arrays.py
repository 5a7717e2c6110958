"""What every kernel asks of its arguments, and the words it uses when they do not fit."""

from typing import NamedTuple

import numpy as np

PLAIN = np.ndarray, np.memmap  # a masked array or a matrix computes by rules of its own


class Shape(NamedTuple):
    """What is left of an array that is not kept."""

    shape: tuple
    dtype = np.dtype("V")  # of no kind of numbers


def require_floats(**arrays):
    """Every argument must be a float32 or float64 array, and all of one precision.

    Complex arrays pass, because complex-step differentiation sends them through the kernels.
    Raises TypeError that names the argument and says how to convert it.
    """
    for name, X in arrays.items():
        if type(X) not in PLAIN:
            masked = isinstance(X, np.ma.MaskedArray)
            way = f"{name}.filled(0.0)" if masked else f"np.asarray({name}, dtype=np.float64)"
            raise TypeError(f"{name} must be a NumPy array, got {came(X)}; convert it with {way}")
        if X.dtype.char not in "fFdD":
            raise TypeError(f"{name} must be float32 or float64, got {X.dtype}; "
                            f"convert it with {name}.astype(np.float32) or .astype(np.float64)")
    of = {X.dtype.char.lower(): name for name, X in arrays.items()}  # an array of each precision
    if len(of) > 1:
        raise TypeError(f"{of['f']} is {arrays[of['f']].dtype} but {of['d']} is "
                        f"{arrays[of['d']].dtype}; convert one, so that all have one precision")


def require_integers(**arrays):
    """Every argument must be an integer array. Raises TypeError that names the one that is not."""
    for name, X in arrays.items():
        if type(X) not in PLAIN or X.dtype.kind not in "iu":
            raise TypeError(f"{name} must be an integer array, got {came(X)}; "
                            f"np.asarray({name}, dtype=np.int64) makes one")


def require_bool(mask):
    """A mask must be a boolean array. Raises TypeError that says how to translate other kinds."""
    if type(mask) not in PLAIN or mask.dtype != bool:
        raise TypeError(f"mask must be a boolean array (True = may attend), got {came(mask)}; "
                        "mask != 0 makes one of zeros and ones; valid_lens_mask, "
                        "mask_from_additive and mask_from_drop translate other kinds")


def as_array(name, value):
    """np.asarray, where neither the mask of a masked array is lost nor lists are ragged."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; "
                        f"fill the gaps with {name}.filled")
    try:
        return np.asarray(value)
    except ValueError:
        raise TypeError(f"{name} must be an array, got lists of unlike lengths") from None


def came(X):
    """What X is, in an error's words: the dtype of an array, the type of anything else."""
    return X.dtype if type(X) in PLAIN else type(X).__name__
