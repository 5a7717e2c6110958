"""What every object of npattn.nn can do: be called, be undone, and carry parameters.

    Y = layer(X, …)                forward; what the backward needs waits in the object
    dX, … = layer.backward(dY)     undoes the latest call that still waits; adds to layer.grads
    layer.params, layer.grads      trees of one type; the gradients are sums since zero_grad()
    layer.attention_weights        of the latest call, before dropout, where there is attention

Calls are undone in reverse: after two forwards the first backward belongs to the second call.
In training mode (the one to start with) the latest 128 calls wait, in evaluation mode only the
latest, and either mode undoes its own calls only: evaluating between a forward and its backward
does no harm, and inference does not fill the memory. Dropout acts in training mode alone.
A call, a backward or a loading that raises leaves the object as it was; only random numbers
that were drawn stay drawn.
"""

from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from npattn.kernels.arrays import came
from npattn.kernels.options import require_flag
from npattn.trees import tree_items, tree_map, tree_unflatten

WAITING = 128  # calls that may wait for their backward in training mode


class Module:
    """The base of `Layer`, which wraps one pair, and of `Composite`, which is made of modules.

    A subclass says what runs, in the form of a pair, and where the parameters are:

        _forward(*inputs) -> Y, cache    _backward(dY, cache) -> gradients of the inputs
        family()    this module and all that it is made of
        grads       a tree like the parameters
        _tree()     the parameters; _shares(tree) deals new ones out: [(layer, its part), ...]
    """

    training = True
    attention_weights = None
    _grads = None
    _waiting = {True: (), False: ()}

    def __init__(self):
        self._waiting = {True: (), False: ()}  # by mode: (form of Y, cache) of each call

    def __call__(self, *inputs, **options):
        """Y for these inputs; they, the masks and the options are those of the pair."""
        with self._all_or_nothing():
            Y, cache = self._forward(*inputs, **options)
            limit = WAITING if self.training else 1
            calls = (*self._waiting[self.training], (_form(self._output(Y)), cache))
            self._waiting = {**self._waiting, self.training: calls[-limit:]}
        return Y

    def __repr__(self):
        options = ", ".join(f"{k}={v!r}" for k, v in self._options().items() if v is not None)
        try:
            leaves = [f"{path} {leaf.shape}" for path, leaf in self._named_leaves()]
        except RuntimeError:
            leaves = ["parameters whose sizes the first call infers"]
        except Exception:  # half built, as in a constructor that raises
            leaves = []
        more = f" and {len(leaves) - 4} more" if len(leaves) > 4 else ""
        holds = f" with {', '.join(leaves[:4])}{more}" if leaves else ""
        mode = "" if self.training else ", in evaluation mode"
        return f"{type(self).__name__}({options}){holds}{mode}"

    def backward(self, dY):
        """The gradients of the inputs of the latest call that waits, and more in `grads`.

        dY  like that call's Y in form, shape and dtype

        Returns one array for one differentiable input, a tuple for several, None for none.
        Raises RuntimeError if no call waits, ValueError if dY is not like Y.
        """
        calls = self._waiting[self.training]
        if not calls:
            raise RuntimeError(self._nothing_waits())
        form, cache = calls[-1]
        if _form(dY) != form:
            raise ValueError(f"dY must be like the output, {form}, got {_form(dY)}")
        with self._all_or_nothing():
            self._waiting = {**self._waiting, self.training: calls[:-1]}
            return self._backward(dY, cache)

    @property
    def params(self):
        """The parameter tree; None where there is nothing to learn. Assign a tree to replace it."""
        return self._tree()

    @params.setter
    def params(self, tree):
        shares = self._shares(tree)
        for layer, share in shares:
            layer._require_fit(share)
        for layer, share in shares:
            layer._params = share

    def zero_grad(self):
        """Start the sums in `grads` at 0 again."""
        for module in self.family():
            module._grads = None

    def train(self, mode=True):
        """Training mode, or evaluation mode with mode=False. Returns the object itself."""
        require_flag("mode", mode)
        for module in self.family():
            module.training = bool(mode)
        return self

    def eval(self):
        """Evaluation mode: no dropout, and only the latest call waits for a backward."""
        return self.train(False)

    def state_dict(self):
        """{path: a copy of the array} for every parameter, as in {"query.W": …, "query.b": …}.

        A layer whose parameters are one array calls it "params".
        Raises RuntimeError while sizes are left to be inferred from a first call.
        """
        return {path: leaf.copy() for path, leaf in self._named_leaves()}

    def load_state_dict(self, state):
        """Copy the parameters from a dict as `state_dict` makes it, all of them or none.

        Raises ValueError that names every path missing, unexpected, mis-shaped or not finite.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a dict as state_dict makes it, got {came(state)}")
        wanted = dict(self._named_leaves())
        wrong = [f"missing {path}" for path in wanted if path not in state]
        wrong += [f"unexpected {path}" for path in state if path not in wanted]
        wrong += [
            f"{path} is {_form(state[path])}, should be {_form(leaf)}"
            for path, leaf in wanted.items()
            if path in state and _form(state[path]) != _form(leaf)
        ]
        wrong += [f"{path} is a masked array" for path in wanted
                  if isinstance(state.get(path), np.ma.MaskedArray)]
        wrong = wrong or [f"{path} holds NaN or inf" for path in wanted
                          if not np.isfinite(state[path]).all()]
        if wrong:
            raise ValueError(f"state does not fit {type(self).__name__}: {'; '.join(wrong)}")
        self.params = tree_unflatten(self.params, [np.array(state[path]) for path in wanted])

    def _forward(self, *inputs, **options):
        raise TypeError(self._lacks())

    def _backward(self, dY, cache):
        raise TypeError(self._lacks())

    def family(self):
        """This module and all that it is made of; a subclass says what that is."""
        raise TypeError(self._lacks())

    def _lacks(self):
        """What a class of somebody's own needs, in an error's words."""
        needs = [name for name in ("_forward", "_backward", "family", "grads", "_tree", "_shares")
                 if getattr(type(self), name, None) is getattr(Module, name, None)]
        return (
            f"{type(self).__name__} has no {', '.join(needs)}: there is no autograd, so a class "
            "with forward alone cannot run here. Write Y, cache = forward(…) and its backward as "
            "two functions and wrap them in npattn.nn.Layer(forward, backward, params), or "
            "subclass npattn.nn.Composite with _forward and _backward, which call its parts"
        )

    def _options(self):
        """The options of this layer by name, for its repr."""
        return {}

    def _named_leaves(self):
        if not all(module._is_built() for module in self.family()):
            raise RuntimeError(
                f"sizes of this {type(self).__name__} are inferred from its inputs: "
                "call it once, or assign its params, before asking for its state"
            )
        return [(path or "params", leaf) for path, leaf in tree_items(self.params)]

    def _is_built(self):
        return True

    def _output(self, Y):
        """The part of what a call returns that has a gradient."""
        return Y

    def _nothing_waits(self):
        why = "in training mode each backward needs a forward of its own"
        if not self.training:
            why = "in evaluation mode only the latest call can be undone, and once"
        return f"{type(self).__name__}.backward without a forward: no call waits for it; {why}"

    @contextmanager
    def _all_or_nothing(self):
        """Attributes are replaced here, never written into, so that the old ones come back."""
        before = [(module, dict(vars(module))) for module in self.family()]
        try:
            yield
        except BaseException:
            for module, attributes in before:
                vars(module).clear()
                vars(module).update(attributes)
            raise


def _form(Y):
    """What dY must share with Y: kind, dtype and shape of every array, in words."""
    return tree_map(_describe, Y)


def _describe(leaf):
    if not np.ndim(leaf):
        return "a scalar"
    return f"{leaf.dtype} {leaf.shape}" if isinstance(leaf, np.ndarray) else type(leaf).__name__
