"""What every kernel asks of its arguments, and the words it uses when they do not fit."""

import numpy as np

SAME_PRECISION = {"f": "fF", "F": "fF", "d": "dD", "D": "dD"}
PLAIN = np.ndarray, np.memmap  # a masked array or a matrix computes by rules of its own


def require_floats(**arrays):
    """Every argument must be a float32 or float64 array, and all of one precision.

    Complex arrays pass, because complex-step differentiation sends them through the
    kernels; None passes under the name b alone, because a bias may be absent.
    Raises TypeError that names the argument and says how to convert it.
    """
    single = double = None
    for name, X in arrays.items():
        if type(X) not in PLAIN:
            if X is None and name == "b":
                continue
            raise TypeError(
                f"{name} must be a NumPy array, got {came(X)}; convert it with {name}.filled(0.0)"
                if isinstance(X, np.ma.MaskedArray) else
                f"{name} must be a NumPy array, got {came(X)}; "
                f"convert it with np.asarray({name}, dtype=np.float64)"
            )
        kind = X.dtype.char
        if kind in "fF":
            single = name
        elif kind in "dD":
            double = name
        else:
            raise TypeError(
                f"{name} must be float32 or float64, got {X.dtype}; "
                f"convert it with {name}.astype(np.float32) or .astype(np.float64)"
            )
    if single and double:
        raise TypeError(
            f"{single} is {arrays[single].dtype} but {double} is {arrays[double].dtype}; "
            "convert one, so that all have one precision"
        )


def require_real_floats(**arrays):
    """As `require_floats`, and none may be complex. Raises TypeError that says what to use then."""
    require_floats(**arrays)
    for name, X in arrays.items():
        if np.iscomplexobj(X):
            raise TypeError(
                f'{name} is {X.dtype}, but kernel="tiled" and tiled_attention take real arrays '
                'only: use `attention` instead; use kernel="attention" in a model'
            )


def require_integers(**arrays):
    """Every argument must be an integer array. Raises TypeError that names the one that is not."""
    for name, X in arrays.items():
        if type(X) not in PLAIN or X.dtype.kind not in "iu":
            raise TypeError(
                f"{name} must be an integer array, got {came(X)}; "
                f"np.asarray({name}, dtype=np.int64) makes one"
            )


def require_bool(mask):
    """A mask must be a boolean array. Raises TypeError that says how to translate other kinds."""
    if type(mask) not in PLAIN or mask.dtype != bool:
        raise TypeError(
            f"mask must be a boolean array (True = may attend), got {came(mask)}; mask != 0 makes "
            "one of zeros and ones; valid_lens_mask, mask_from_additive and mask_from_drop "
            "translate other kinds"
        )


def require_upstream(Y, **upstream):
    """A gradient must be shaped like the output Y, of its kind and precision.

    Y  the output, or a pair (shape, dtype) that stands for it

    Raises TypeError or ValueError that names the gradient.
    """
    shape, dtype = Y if type(Y) is tuple else (Y.shape, Y.dtype)
    for name, dY in upstream.items():
        if type(dY) not in PLAIN or dY.dtype.char not in SAME_PRECISION[dtype.char]:
            require_floats(**{name: dY})
            raise TypeError(
                f"{name} is {dY.dtype}, but the output is {dtype}; "
                f"convert it with {name}.astype(np.{dtype})"
            )
        if dY.shape != shape:
            raise ValueError(
                f"{name} {dY.shape} must be shaped like the output {tuple(shape)}; "
                f"np.broadcast_to({name}, {tuple(shape)}) repeats it"
            )


def came(X):
    """What X is, in an error's words: the dtype of an array, the type of anything else."""
    return X.dtype if type(X) in PLAIN else type(X).__name__
