"""npattn: attention in plain NumPy, every gradient written by hand.

    O, cache = attention(Q, K, V, mask)            forward
    dQ, dK, dV = attention_backward(dO, cache)     backward, below it in the same file

Pairs whose backward needs nothing but the output, or its shape, return Y alone: softmax,
masked_softmax, log_softmax, relu, split_heads, merge_heads, unpack and their like.

Each page of `npattn.kernels` is one idea with its gradient, `npattn.models` composes them, and
`gradcheck` proves them. All kernels and the Transformer are here; other models are imported from
their pages, such as `npattn.models.vision`. `npattn.training`, `npattn.plots`, `npattn.datasets`,
`npattn.nn` and `npattn.d2l` are imported by name. A page is imported when one of its names is
first used, so that `import npattn` costs next to nothing; all names stand in `_names.py`.
"""

import importlib
import typing

from npattn import _lazy

if typing.TYPE_CHECKING:
    from npattn._names import *

__version__ = "0.2.0.dev0"

_PAGES = _lazy.imports_of("npattn._names", __path__)  # {name: its page}
__all__ = [*_PAGES]


def __getattr__(name):
    if name not in _PAGES:
        return _lazy.submodule(__name__, name)
    return globals().setdefault(name, getattr(importlib.import_module(_PAGES[name]), name))


def __dir__():
    return sorted({*globals(), *__all__})
