"""The backward of broadcasting.

    Y = broadcast(X), that is Y[i, j, …] = X[i or 0, j or 0, …]

An entry of X that serves several entries of Y gathers their gradients: along every axis that was
added or stretched, dX is the sum of dY. This is the adjoint of np.broadcast_to.
Source: the chain rule; NumPy's manual, "Broadcasting", for which axes are stretched.
"""

from npattn.kernels.arrays import require_floats


def sum_to_shape(dY, shape):
    """dX, of the given shape, from dY, of a shape that X was broadcast to.

    dY     (...)
    shape  the shape of X, which must broadcast to that of dY

    Returns dX, of that shape. Raises ValueError if it does not broadcast to dY's.
    """
    require_floats(dY=dY)
    added = dY.ndim - len(shape)
    if added < 0 or any(a not in (1, b) for a, b in zip(shape, dY.shape[added:], strict=True)):
        raise ValueError(f"shape {tuple(shape)} does not broadcast to dY {dY.shape}")
    inner = dY.sum(axis=tuple(range(added)))
    stretched = tuple(i for i, a in enumerate(shape) if a != inner.shape[i])
    return inner.sum(axis=stretched, keepdims=True)
