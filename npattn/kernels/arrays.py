"""What every kernel asks of its arguments, and the words it uses when they do not fit."""

import numpy as np


def require_floats(**arrays):
    """Every argument must be a float32 or float64 array, and all of one precision.

    Complex arrays pass, because complex-step differentiation sends them through the
    kernels; None passes, because a bias may be absent.
    Raises TypeError that names the argument and says how to convert it.
    """
    single = double = None
    for name, X in arrays.items():
        if X is None:
            continue
        if not isinstance(X, np.ndarray):
            raise TypeError(
                f"{name} must be a NumPy array, got {type(X).__name__}; "
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


def require_mask(mask, shape, what="the scores"):
    """The boolean `mask`, broadcast to `shape`.

    Raises TypeError if mask is no boolean array, ValueError if it does not broadcast.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        came = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(
            f"mask must be a boolean array (True = may attend), got {came}; translate other "
            "kinds with valid_lens_mask, mask_from_additive or mask_from_drop"
        )
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


def require_rate(rate):
    """A dropout rate lies in [0, 1). Raises ValueError otherwise."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout rate must lie in [0, 1), got {rate!r}")
