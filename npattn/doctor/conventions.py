"""The reference as a model of somebody's code: its conventions, weights and mistakes."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np


class Model(NamedTuple):
    """The reference with conventions, weights and, maybe, mistakes."""

    form: str
    c: SimpleNamespace
    W: dict = {}
    mistakes: tuple = ()
    causal: bool = False  # always, without being asked
    notes: tuple = ()


def conventions(**given):
    """What a model assumes; plain scaled dot-product attention where nothing is given."""
    return SimpleNamespace(**{
        "heads": 1, "groups": 1, "scale": 1.0, "bias": 0.0, "corner": "upper", "rotary": "",
        "base": 10000.0, "cap": 0.0, "window": 0, "ahead": 0, "slopes": None,
        "table": None, "reach": 0, "signed": False,
        "sink": None, "gated": "", "unit": "", "order": "", "residual": False, "context": (),
        "heads_last": False, "pre": True, "eps": 1e-5, "rms": False, "activation": relu, **given})


def relu(X):
    """max(X, 0)."""
    return np.where(X > 0, X, 0.0)


def gelu(X):
    """X Φ(X), with Φ of the normal distribution."""
    from scipy.special import erf

    return 0.5 * X * (1.0 + erf(X / np.sqrt(2.0)))


def gelu_tanh(X):
    """GELU by its approximation with tanh."""
    return 0.5 * X * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (X + 0.044715 * X**3)))


def silu(X):
    """X σ(X)."""
    return X / (1.0 + np.exp(-X))


ACTIVATIONS = (relu, gelu, gelu_tanh)
