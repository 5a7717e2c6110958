"""The arrays of the stand-in for torch, and the door through which they enter and leave.

`takes_tensors` makes plain arrays of a function's tensors, and tensors of what it returns. Kernels
and models see plain arrays alone; somebody who passes plain arrays gets plain arrays.
"""

import math
from functools import wraps

import numpy as np

NO_AUTOGRAD = (
    "there is no autograd. In place of loss.backward() and an optimizer's step() write the "
    "gradient of the loss, then\n"
    "    state = init_sgd(net.params)                      # from npattn.training, or init_adam\n"
    "    y = net(…); net.backward(2 * (y - y_train))       # for the sum of (y - y_train)²\n"
    "    net.params, state = sgd(net.params, net.grads, state, lr=…); net.zero_grad()"
)


class Size(int):
    """The number of entries, as NumPy's `size`; called, the shape or one length, as torch's."""

    def __new__(cls, shape):
        size = super().__new__(cls, math.prod(shape))
        size.shape = shape
        return size

    def __call__(self, dim=None):
        """The shape, or the length of the axis dim."""
        return self.shape if dim is None else self.shape[dim]


class Tensor(np.ndarray):
    """A NumPy array with those of torch's methods that the two chapters use."""

    device = "cpu"
    requires_grad = False

    @property
    def size(self):
        """The number of entries; size() is the shape, size(0) the length of the first axis."""
        return Size(self.shape)

    def dim(self):
        """The number of axes."""
        return self.ndim

    def unsqueeze(self, dim):
        """With a further axis of length 1."""
        return np.expand_dims(self, dim)

    def permute(self, *dims):
        """With the axes in another order."""
        return super().transpose(*dims)

    def transpose(self, *axes):
        """With two axes exchanged, where two are named; else as NumPy has it."""
        return self.swapaxes(*axes) if len(axes) == 2 else super().transpose(*axes)

    def repeat(self, *counts, **axis):
        """The whole several times along each axis, as np.tile; np.repeat, given an axis."""
        if axis or counts[1:] == (0,):  # np.tile itself repeats along axis 0
            return super().repeat(*counts, **axis)
        counts = counts[0] if np.ndim(counts[0]) else counts
        return np.tile(np.asarray(self), counts).view(Tensor)

    def repeat_interleave(self, repeats, dim=None):
        """Each entry, or each slice along dim, several times in a row."""
        return super().repeat(repeats, axis=dim)

    def type(self, dtype):
        """With other numbers, as `astype`."""
        return self.astype(dtype)

    def to(self, device):
        """Itself: there is one device."""
        return self

    def detach(self):
        """Itself: there is no autograd."""
        return self

    def cpu(self):
        """Itself: there is one device."""
        return self

    def numpy(self):
        """The plain array."""
        return np.asarray(self)

    def __getattr__(self, name):
        if name in ("backward", "grad", "grad_fn", "requires_grad_"):
            raise AttributeError(f"a tensor of npattn.d2l has no {name!r}: {NO_AUTOGRAD}")
        raise AttributeError(
            f"a tensor of npattn.d2l has no {name!r}: it is a NumPy array with the methods of "
            "torch that the attention chapters use; write what NumPy calls it"
        )


def plain(value):
    """The value with plain arrays for tensors, also inside lists, tuples and dicts."""
    return _mapped(value, Tensor, np.asarray)


def tensors(value):
    """The value with tensors for plain arrays, likewise."""
    return _mapped(value, np.ndarray, lambda X: X.view(Tensor))


def holds_tensor(value):
    """Whether there is a tensor in it."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return isinstance(value, Tensor)
    return any(map(holds_tensor, value))


def takes_tensors(function):
    """The function, for tensors too: it gets plain arrays, and its caller tensors."""

    @wraps(function)
    def through_the_door(*arguments, **options):
        if not holds_tensor((arguments, options)):
            return function(*arguments, **options)
        return tensors(function(*plain(arguments), **plain(options)))

    return through_the_door


def _mapped(value, kind, change):
    if isinstance(value, kind):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_mapped(part, kind, change) for part in value)
    if type(value) is dict:
        return {name: _mapped(part, kind, change) for name, part in value.items()}
    return value
