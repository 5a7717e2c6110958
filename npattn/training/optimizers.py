"""Optimizers as tree maps: new parameters and a new state from parameters and gradients.

    params, state = adam(params, grads, state, lr=1e-3)

θ is a parameter, g its gradient, η the learning rate, t the step, counted from 1:

    sgd     v ← μ v + g                θ ← θ − η v
    adam    m ← β₁ m + (1 − β₁) g      m̂ = m / (1 − β₁ᵗ)
            v ← β₂ v + (1 − β₂) g²     v̂ = v / (1 − β₂ᵗ)
                                       θ ← θ − η m̂ / (√v̂ + ε)

params, grads and the parts of a state are trees of one structure. Nothing that is passed in
is written to, float32 stays float32, and a None stays None: a parameter that shall not move
is simply left out (`select`), stepped around, and put back (`merge`).
Sources: Kingma and Ba 2015, Algorithm 1; Sutskever et al. 2013, section 2, in torch's
convention, where η stands outside the velocity; Pascanu et al. 2013, Algorithm 1 (clipping).
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import came
from npattn.kernels.options import require_eps, require_number
from npattn.trees import tree_items, tree_map, tree_unflatten


class SGDState(NamedTuple):
    """What sgd carries from step to step."""

    v: tuple  # velocity, a tree like the parameters


class AdamState(NamedTuple):
    """What adam carries from step to step."""

    m: tuple       # decaying mean of g, a tree like the parameters
    v: tuple       # decaying mean of g², likewise
    t: np.ndarray  # () int64, steps taken; an array, so that a state is a tree as well


def init_sgd(params):
    """The state before the first step: velocity 0."""
    return SGDState(_zeros(params))


def sgd(params, grads, state, *, lr, momentum=0.0):
    """One step of stochastic gradient descent, with momentum if asked.

    params    tree of float arrays
    grads     tree like params
    state     SGDState, from init_sgd or the step before
    lr        learning rate η ≥ 0
    momentum  μ in [0, 1); 0 is plain gradient descent

    Returns the new params and the new SGDState.
    Raises ValueError or TypeError, naming the parameter, if a gradient differs from its
    parameter in shape or dtype, and ValueError for an lr or a momentum out of range.
    """
    _require_ranges(lr, momentum=momentum)
    _require_state(state, SGDState, init_sgd)

    def velocity(v, g):
        _require_like(v, g, grads)
        new = np.multiply(v, momentum, out=np.empty_like(v))
        new += g
        return new

    def moved(p, v):
        change = np.multiply(v, lr, out=np.empty_like(p))
        return np.subtract(p, change, out=change)

    v = tree_map(velocity, state.v, grads)
    return tree_map(moved, params, v), SGDState(v)


def init_adam(params):
    """The state before the first step: both means 0, no step taken."""
    return AdamState(_zeros(params), _zeros(params), np.array(0, np.int64))


def adam(params, grads, state, *, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam.

    params, grads  trees of float arrays, alike
    state          AdamState, from init_adam or the step before
    lr             learning rate η ≥ 0
    beta1, beta2   decay of the means of g and of g², in [0, 1)
    eps            ε, added to √v̂: it bounds the step where gradients vanish

    Returns the new params and the new AdamState. Raises as `sgd` does.
    """
    _require_ranges(lr, beta1=beta1, beta2=beta2)
    require_eps(eps=eps)
    _require_state(state, AdamState, init_adam)
    t = int(state.t) + 1
    root = math.sqrt(1.0 - beta2**t)
    rate = lr * root / (1.0 - beta1**t)
    floor = eps * root

    def mean(m, g):
        _require_like(m, g, grads)
        return _towards(g, m, 1.0 - beta1)

    def moved(p, m, v):
        # η m̂ / (√v̂ + ε) = rate · m / (√v + floor), the corrections taken out of the arrays
        change = np.sqrt(v, out=np.empty_like(p))
        change += floor
        np.divide(m, change, out=change)
        change *= rate
        return np.subtract(p, change, out=change)

    m = tree_map(mean, state.m, grads)
    v = tree_map(lambda v, g: _towards(g * g, v, 1.0 - beta2), state.v, grads)
    return tree_map(moved, params, m, v), AdamState(m, v, np.array(t, np.int64))


def global_norm(grads):
    """The Euclidean length of all gradients, taken as one vector: √ Σ g². A float.

    The sum is taken in float64, so that squares of float32 cannot overflow.
    """
    total = 0.0
    for path, g in tree_items(grads):
        _require_floats("gradient of", path or "params", g)
        flat = g.astype(np.float64, copy=False).ravel()
        total += float(np.vdot(flat, flat))
    return math.sqrt(total)


def clip_by_global_norm(grads, max_norm):
    """Gradients scaled down, all by one factor, to a global norm of at most `max_norm`.

    Returns the gradients and their norm before clipping. Gradients that are short enough are
    returned as they came, and so are those whose norm is not finite: there the norm says
    that something is wrong, and no factor would put it right.
    Raises ValueError if max_norm is not positive.
    """
    if not require_number(max_norm=max_norm) > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    norm = global_norm(grads)
    if not max_norm < norm < math.inf:
        return grads, norm
    factor = max_norm / norm
    return tree_map(lambda g: np.multiply(g, factor, out=np.empty_like(g)), grads), norm


def select(tree, moves):
    """The tree with None for each leaf whose path `moves` turns down.

    moves  path -> bool; paths are those of tree_items, "decoder[0].cross.query.W".
           None turns nothing down
    """
    if moves is None:
        return tree
    if not callable(moves):
        raise TypeError(f"moves must be a function from path to bool, or None, got {moves!r}")
    return tree_unflatten(tree, [X if moves(path) else None for path, X in tree_items(tree)])


def merge(tree, selected):
    """The tree with the leaves of `selected` in their places: the undoing of `select`."""
    chosen = dict(tree_items(selected))
    return tree_unflatten(tree, [chosen.get(path, X) for path, X in tree_items(tree)])


def _towards(new, old, share):
    """old + share · (new − old) = β old + (1 − β) new with share = 1 − β; typed like old."""
    mixed = np.subtract(new, old, out=np.empty_like(old))
    mixed *= share
    mixed += old
    return mixed


def _zeros(params):
    for path, p in tree_items(params):
        _require_floats("parameter", path or "params", p)
    return tree_map(np.zeros_like, params)


def _require_floats(word, path, X):
    if getattr(X, "dtype", None) not in (np.float32, np.float64):
        raise TypeError(f"{word} {path} must be float32 or float64, got {came(X)}")


def _require_state(state, kind, init):
    if not isinstance(state, kind):
        raise TypeError(f"state must be the {kind.__name__} of {init.__name__} or of the step "
                        f"before, got {came(state)}")


def _require_like(X, g, grads):
    """X, made by init for one parameter, must fit its gradient g, whose name grads tells."""
    if X.shape == np.shape(g) and X.dtype == getattr(g, "dtype", None):
        return
    path = next(path for path, other in tree_items(grads) if other is g) or "params"
    _require_floats("gradient of", path, g)
    error = ValueError if X.shape != g.shape else TypeError
    raise error(
        f"gradient of {path} is {g.shape} {g.dtype}, the parameter is {X.shape} {X.dtype}"
    )


def _require_ranges(lr, **fractions):
    if not 0.0 <= require_number(lr=lr) < math.inf:
        raise ValueError(f"lr must be finite and at least 0, got {lr}")
    for name, value in fractions.items():
        if not 0.0 <= require_number(**{name: value}) < 1.0:
            raise ValueError(f"{name} must lie in [0, 1), got {value}")
