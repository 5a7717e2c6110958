"""What every object of npattn.d2l has beside npattn.nn: tensors, two precisions, the text's cells.

Parts see plain arrays. A float32 input beside float64 ones, or float64 parameters, is raised.
"""

import sys
import warnings
from inspect import signature

import numpy as np

from npattn import nn
from npattn.d2l._tensors import holds_tensor, plain, tensors
from npattn.trees import tree_leaves


class KeepsOurs(type):
    """A cell that defines a class of the text, by name and arguments, keeps the one that is here.

    The text's class leaves its gradients to autograd, which is missing here. A warning says so.
    """

    def __new__(meta, name, bases, space, **keywords):
        ours = None if space["__module__"].startswith("npattn.") else _ours(name, space)
        if ours is None:
            return super().__new__(meta, name, bases, space, **keywords)
        if "__classcell__" in space:
            space["__classcell__"].cell_contents = ours
        warnings.warn(
            f"class {name} stays the one of npattn.d2l, whose gradients are written by hand; "
            "give a class of your own another name", stacklevel=2,
        )
        return ours


def _ours(name, space):
    """The class of an edition with this name whose __init__ takes the same arguments."""
    for edition in ("en", "zh"):
        module = sys.modules.get(f"npattn.d2l.{edition}")
        ours = getattr(module, name, None) if name in getattr(module, "__all__", ()) else None
        if ours and _arguments(space.get("__init__", nn.Module.__init__))[1:] == _arguments(ours):
            return ours


def _arguments(function):
    kinds = signature(function).parameters.items()
    return [name for name, p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD]


class Module(nn.Module, metaclass=KeepsOurs):
    """An object of npattn.nn that takes tensors, and then returns tensors."""

    def __call__(self, *inputs, **options):
        if not holds_tensor((inputs, options)):
            return super().__call__(*inputs, **options)
        Y = super().__call__(*plain(inputs), **plain(options))
        weights = vars(self).get("attention_weights")
        if weights is not None:
            self.attention_weights = tensors(weights)
        return tensors(Y)

    def backward(self, dY):
        gradients = super().backward(plain(dY))
        return tensors(gradients) if holds_tensor(dY) else gradients

    backward.__doc__ = nn.Module.backward.__doc__


class Composite(Module, nn.Composite):
    """`npattn.nn.Composite`, for tensors too."""


class Layer(Module, nn.Layer):
    """`npattn.nn.Layer`, for tensors and for inputs of two precisions too."""

    def _forward(self, *inputs, **masks):
        if not self._is_built():
            self._params = self._infer(*inputs)
        leaves = [*inputs, *tree_leaves(self._params)]
        if any(getattr(X, "dtype", None) in (np.float64, np.complex128) for X in leaves):
            inputs = [_raised(X) for X in inputs]
        return super()._forward(*inputs, **masks)


def _raised(X):
    """A float32 array as float64, anything else as it is."""
    kind = {"f": np.float64, "F": np.complex128}.get(getattr(getattr(X, "dtype", X), "char", ""))
    return X if kind is None else X.astype(kind)
