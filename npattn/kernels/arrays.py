"""What every kernel asks of its arguments, and the words it uses when they do not fit."""

import math

import numpy as np

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
            f"mask must be a boolean array (True = may attend), got {came(mask)}; translate other "
            "kinds with valid_lens_mask, mask_from_additive or mask_from_drop"
        )


def require_mask(mask, shape, what="the scores"):
    """The boolean `mask`, broadcast to `shape`.

    Raises TypeError if mask is no boolean array, ValueError if it does not broadcast.
    """
    require_bool(mask)
    if mask.shape == shape:
        return mask
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"mask {mask.shape} does not broadcast to {what} {tuple(shape)}; "
            "insert axes of length 1 where it should repeat"
        ) from None


def require_matching(Q, K, V):
    """Q (..., Tq, Dk), K (..., Tk, Dk) and V (..., Tk, Dv) must share Dk, Tk and leading axes.

    Raises ValueError that shows all three shapes and says what differs.
    """
    if min(Q.ndim, K.ndim, V.ndim) < 2:
        why = "each needs at least the two axes (T, D)"
    elif Q.shape[-1] != K.shape[-1]:
        why = f"Q is {Q.shape[-1]} wide but K {K.shape[-1]}"
    elif Q.shape[-1] == 0:
        why = "Q and K must be at least 1 wide"
    elif K.shape[-2] != V.shape[-2]:
        why = f"there are {K.shape[-2]} keys but {V.shape[-2]} values"
    elif not Q.shape[:-2] == K.shape[:-2] == V.shape[:-2]:
        why = "the leading axes differ; np.broadcast_to makes them equal"
    else:
        return
    raise ValueError(f"shapes disagree: Q {Q.shape}, K {K.shape}, V {V.shape}: {why}")


def all_finite(X):
    """Whether X holds neither NaN nor inf. The sum of squares tells, unless it overflows."""
    return bool(np.isfinite(np.vdot(X, X)) or np.isfinite(X).all())


def as_rows(X):
    """X (..., D) as (N, D), the leading axes folded into one; where D = 0, -1 would not know N."""
    return X.reshape(math.prod(X.shape[:-1]), X.shape[-1])


def came(X):
    """What X is, in an error's words: the dtype of an array, the type of anything else."""
    return X.dtype if type(X) in PLAIN else type(X).__name__
