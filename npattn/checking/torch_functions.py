"""The checker for hand-written backwards in torch.

    class Square(torch.autograd.Function):
        forward(ctx, X): ...           backward(ctx, dY): ...

    gradcheck_torch(Square, X)         a Function, or its apply
    gradcheck_torch(module, X)         an nn.Module: its parameters are checked as well

Everything runs in float64. The forward is differentiated by complex tensors where torch supports
them in what it does, and by central differences elsewhere; the backward is what autograd calls.
torch is imported when this is called.
"""

import copy

import numpy as np

from npattn.checking.gradcheck import gradcheck, title_of
from npattn.checking.pairs import argument_names


def gradcheck_torch(function, *inputs, name=None, names=None, **options):
    """Check the gradients that autograd finds through a hand-written backward.

    function  an autograd.Function, or an nn.Module, which is copied, or any function of tensors
    inputs    tensors or arrays; the floating ones are differentiated, and so are the parameters of
              a module that require a gradient
    options   as in `gradcheck`

    Returns a `Report`. The gradient of what autograd does not reach is 0. The random numbers that
    torch draws are the same in each call.
    """
    import torch

    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
        function = owner  # its apply was given
    module = function if isinstance(function, torch.nn.Module) else None
    parameters = {} if module is None else {
        path: p.detach() for path, p in module.named_parameters() if p.requires_grad
    }
    values, count = [_array(X, torch) for X in (*inputs, *parameters.values())], len(inputs)
    floats = [i for i, X in enumerate(values) if isinstance(X, np.ndarray) and X.dtype.kind == "f"]

    def call(tensors):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if module is None:
                return getattr(function, "apply", function)(*tensors)
            fresh = copy.deepcopy(module).double()
            parts = dict(zip(parameters, tensors[count:], strict=True))
            return torch.func.functional_call(fresh, parts, tuple(tensors[:count]))

    def carried(args):
        return [torch.tensor(X) if isinstance(X, np.ndarray) else X for X in args]

    def f(*args):
        with torch.no_grad():
            return _arrays(call(carried(args)), torch), args

    def f_backward(dY, args):
        tensors = carried(args)
        for i in floats:
            tensors[i].requires_grad_()
        found = _gradients(torch, call(tensors), dY, [tensors[i] for i in floats])
        return tuple(found) if len(found) != 1 else found[0]

    names = list(names) if names is not None else _names(function, module, count)
    names, name = [*names, *parameters], name or title_of(function)
    return gradcheck(f, f_backward, *values, name=name, names=names, **options)


def _gradients(torch, Y, dY, tensors):
    """The gradients of these tensors, as arrays; 0 where nothing reaches them."""
    reached = [
        (y, torch.as_tensor(np.array(d)))
        for y, d in zip(_tensors(Y, torch), dY if isinstance(dY, tuple) else (dY,), strict=True)
        if y.requires_grad
    ]
    if not reached:
        return [np.zeros(X.shape) for X in tensors]
    outputs, upstream = zip(*reached)
    found = torch.autograd.grad(outputs, tensors, upstream, allow_unused=True)
    return [np.zeros(X.shape) if d is None else d.numpy() for X, d in zip(tensors, found)]


def _names(function, module, count):
    if module is not None:
        return argument_names(module.forward, count)
    forward = getattr(function, "forward", None)
    return argument_names(forward, count + 1)[1:] if forward else argument_names(function, count)


def _array(X, torch):
    """Tensors as arrays, floating ones in float64; anything else as it is."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.double() if X.is_floating_point() else X).numpy()
    return X.astype(np.float64) if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X


def _arrays(Y, torch):
    """The array of a tensor, or a tuple of those in a tuple, list or dict, however nested."""
    found = tuple(y.numpy() for y in _tensors(Y, torch))
    return found[0] if isinstance(Y, torch.Tensor) else found


def _tensors(Y, torch):
    """The floating tensors of an output, in their order."""
    if isinstance(Y, torch.Tensor):
        return [Y]
    parts = Y.values() if isinstance(Y, dict) else Y if isinstance(Y, (tuple, list)) else ()
    found = [y for part in parts for y in _tensors(part, torch)]
    return [y for y in found if y.is_floating_point() or y.is_complex()]
