"""The gated recurrent unit along a sequence, with backpropagation through time.

    H_t = gru_cell(X_t, H_{t−1})        t = 0 … T − 1, from a given H_{−1}
    Y   = (H_0, …, H_{T−1})             X (..., T, D), Y (..., T, Dh)

`...` stands for any leading axes (batch). Backpropagation through time is the same loop in
reverse: a state has a gradient of its own, and one from the step that follows. What the inputs
have to do with the gates does not depend on the state, so that product is made for all steps at
once, and so are the gradients of all parameters.
Source: Werbos 1990, "Backpropagation Through Time"; d2l 9.7, 10.2 (Chinese edition 8.7, 9.1).
"""

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.gru_cell import (
    GRUCache, GRUParams, GRUStep, gru_step, gru_step_gradients, hidden_gradient, require_gru,
)
from npattn.kernels.linear import linear, linear_backward
from npattn.kernels.shapes import require_mask, require_shapes


@quiet
def gru(X, H, params, mask=None, *, reset="before"):
    """The states after each input of a sequence.

    X       (..., T, D)  inputs
    H       (..., Dh)    the state before the first
    params  GRUParams
    mask    (..., T) bool, True = a real input; elsewhere the state stays as it is, so that the
            last state of a padded sequence is that of its last real input, whatever X holds there
    reset   "before" or "after"

    Returns Y (..., T, Dh), whose last row is the final state, and the cache.
    Raises ValueError if shapes disagree, there is no step, or for another reset.
    """
    require_gru("X ... T D", X, H, params, reset)
    if X.shape[-2] == 0:
        raise ValueError(f"X must be (..., T, D) with at least one step, got shape {X.shape}")
    if mask is not None:
        mask = require_mask(mask, X.shape[:-1], "the steps")[..., None]
        X = np.where(mask, X, 0.0)  # 0 · NaN is NaN: a shut gate would not keep it out
    G, input_cache = linear(X, params.input)
    states, steps = [], []
    for t in range(X.shape[-2]):
        keep = None if mask is None else mask[..., t, :]
        H, step = gru_step(G[..., t, :], H, params.hidden, reset, keep)
        states.append(H)
        steps.append(step)
    steps = GRUStep(*(np.stack(arrays, axis=-2) for arrays in zip(*steps, strict=True)))
    return np.stack(states, axis=-2), GRUCache(input_cache, steps, params.hidden, reset)


@quiet
def gru_backward(dY, cache: GRUCache):
    """dX, dH and dparams from dY (..., T, Dh): from the last step to the first."""
    require_shapes("dY =... T Dh, H ... T Dh", dY, cache.steps.H)
    dG, dF = [], []
    dH = np.zeros_like(dY[..., 0, :])
    for t in reversed(range(dY.shape[-2])):
        step = GRUStep(*(array[..., t, :] for array in cache.steps))
        dG_t, dF_t, dH = gru_step_gradients(dY[..., t, :] + dH, step, cache.hidden, cache.reset)
        dG.append(dG_t)
        dF.append(dF_t)
    dX, dinput = linear_backward(np.stack(dG[::-1], axis=-2), cache.input)
    dhidden = hidden_gradient(np.stack(dF[::-1], axis=-2), cache)
    return dX, dH, GRUParams(dinput, dhidden)
