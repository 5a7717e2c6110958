"""Two kinds of object: one pair with its parameters, and several objects that work together.

    Layer      Y, cache = forward(*inputs, params, *masks, **options), and its backward
    Composite  modules, called one after the other by a subclass

Layer wraps any pair of the convention, also your own: Layer(f, f_backward, params).
"""

import inspect

import numpy as np

from npattn.nn.module import Module
from npattn.trees import tree_leaves, tree_map


class Layer(Module):
    """A pair (forward, backward) and its parameters as one object.

    forward   Y, cache = forward(*inputs, params, *masks, **options); or Y alone, which then is
              what the backward reads
    backward  gradients of the inputs, then of the parameters = backward(dY, cache)
    params    the parameter tree; None for a pair without
    infer     instead of params: a function of the first call's inputs that makes them
    slot      the name that forward has for its parameters
    rng       seed or Generator, handed to forward in training mode if it has a parameter rng
              or takes any keyword; in evaluation mode forward gets rng=None
    options   fixed keyword arguments of forward, such as those of `BlockOptions`

    A call takes the inputs, then the masks, by position or by name.
    """

    def __init__(
        self, forward, backward, params=None, *, infer=None, slot="params", rng=None, **options
    ):
        super().__init__()
        self._pair, self._params, self._infer = (forward, backward), params, infer
        self._slot = slot if params is not None or infer is not None else None
        words = inspect.signature(forward).parameters.values()
        self._names = [word.name for word in words]
        self._takes_rng = any(w.name == "rng" or w.kind is w.VAR_KEYWORD for w in words)
        self.rng, self.options = np.random.default_rng(rng), options
        if self._slot and slot not in self._names:
            raise ValueError(f"forward takes {', '.join(self._names)}: give slot= one of these")

    def _forward(self, *inputs, **masks):
        if not self._is_built():
            self._params = self._infer(*inputs)
        arguments = {**self.options, **masks}
        if self._takes_rng:
            arguments["rng"] = self.rng if self.training else None
        if self._slot:
            place = self._names.index(self._slot)
            if len(inputs) > place:
                inputs = (*inputs[:place], self._params, *inputs[place:])
            else:
                arguments[self._slot] = self._params
        result = self._pair[0](*inputs, **arguments)
        Y, cache = result if type(result) is tuple else (result, result)
        self.attention_weights = self._weights(cache)
        return Y, cache

    def _backward(self, dY, cache):
        gradients = self._pair[1](dY, cache)
        gradients = gradients if type(gradients) is tuple else (gradients,)
        if self._slot:
            *gradients, dparams = gradients
            old = self._grads
            self._grads = dparams if old is None else tree_map(np.add, old, dparams)
        return tuple(gradients) if len(gradients) > 1 else next(iter(gradients), None)

    def _weights(self, cache):
        """The attention weights in the cache of one call."""
        return None

    @property
    def grads(self):
        """∂loss/∂params, the sum over the backwards since `zero_grad`; a tree like params."""
        if self._grads is None:
            return tree_map(np.zeros_like, self._params)
        return self._grads

    def family(self):
        """This layer: it is made of no others."""
        return [self]

    def _options(self):
        return self.options

    def _tree(self):
        return self._params

    def _shares(self, tree):
        return [(self, tree)]

    def _is_built(self):
        return self._params is not None or self._infer is None

    def _require_fit(self, tree):
        if not self._is_built():
            return
        tree_map(lambda old, new: None, self._params, tree)  # raises where structures disagree
        for (path, old), new in zip(self._named_leaves(), tree_leaves(tree), strict=True):
            if old.shape != np.shape(new):
                raise ValueError(
                    f"{path} of this {type(self).__name__} must be {old.shape}, got {np.shape(new)}"
                )


class Composite(Module):
    """Modules that work together: a subclass says in which order, in `_forward`, `_backward`.

    parts   a parameter tree with modules in place of arrays or of whole branches; None if there
            is nothing to learn. `params` and `grads` have its form, filled in by the modules
    others  modules without parameters, such as dropout

    Each part keeps what its own backward needs, so that `_backward` has only to call them in
    reverse and to add up gradients where a value went to several of them.
    """

    def __init__(self, parts, *others):
        super().__init__()
        self._parts, self._others = parts, others

    @property
    def grads(self):
        """∂loss/∂params, the sum over the backwards since `zero_grad`; a tree like params."""
        return tree_map(lambda module: module.grads, self._parts)

    def family(self):
        """This module, its parts, their parts and so on."""
        children = (*tree_leaves(self._parts), *self._others)
        return [self, *(member for child in children for member in child.family())]

    def _tree(self):
        return tree_map(lambda module: module.params, self._parts)

    def _shares(self, tree):
        return _deal(self._parts, tree)


def _deal(parts, tree):
    """What each layer among the parts gets of the parameter tree."""
    if isinstance(parts, Module):
        return parts._shares(tree)
    if type(parts) is not type(tree) or (parts is not None and len(parts) != len(tree)):
        raise ValueError(f"params need a {_kind(parts)} here, got {_kind(tree)}")
    return [share for pair in zip(parts or (), tree or (), strict=True) for share in _deal(*pair)]


def _kind(tree):
    return f"{type(tree).__name__}" + (f" of {len(tree)}" if isinstance(tree, tuple) else "")
