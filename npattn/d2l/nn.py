"""A small stand-in for torch.nn: what the cells of the two chapters call. See npattn.d2l.torch.

The layers are those of npattn.nn. `Module` is the base of the text's classes: a cell that defines
one of them keeps the class that is here.
"""

from types import SimpleNamespace

import numpy as np

from npattn import nn as ours
from npattn.d2l import torch
from npattn.d2l._layers import Layer, Module
from npattn.d2l._tensors import NO_AUTOGRAD, takes_tensors

__all__ = [
    "BatchNorm1d", "Dropout", "Embedding", "GELU", "LayerNorm", "LazyBatchNorm1d", "Linear",
    "Module", "ReLU", "functional",
]

functional = SimpleNamespace(softmax=takes_tensors(torch.softmax))


class Linear(Layer, ours.Linear):
    __doc__ = ours.Linear.__doc__


class Embedding(Layer, ours.Embedding):
    __doc__ = ours.Embedding.__doc__


class LayerNorm(Layer, ours.LayerNorm):
    __doc__ = ours.LayerNorm.__doc__


class Dropout(Layer, ours.Dropout):
    __doc__ = ours.Dropout.__doc__


class ReLU(Layer, ours.ReLU):
    __doc__ = ours.ReLU.__doc__


class GELU(Layer, ours.GELU):
    __doc__ = ours.GELU.__doc__


class BatchNorm1d:
    """Each column of X (B, n) to mean 0 and variance 1, as the text compares it; no parameters."""

    def __init__(self, num_features=None):
        self.num_features = num_features

    def __call__(self, X):
        return (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)


LazyBatchNorm1d = BatchNorm1d


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name.endswith("Loss"):
        raise AttributeError(f"npattn.d2l.nn has no {name!r}: {NO_AUTOGRAD}")
    raise AttributeError(
        f"npattn.d2l.nn has no {name!r}: it holds what the attention chapters' cells call, which "
        f"is {', '.join(__all__)}. For a layer of your own write a pair and "
        "npattn.nn.Layer(forward, backward, params)"
    )
