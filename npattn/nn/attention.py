"""The attention pairs as objects. No maths.

`rng` and `dtype` as in layers.py. `attention_weights` are those of the latest call, before
dropout: (..., Tq, Tk), with heads (..., H, Tq, Tk); of two-way attention (Pa, Pb), a over b and
b over a. If you do not need them, pass kernel="auto" to the constructor, or to one call: long
sequences then take little memory, and `attention_weights` are None where no matrix was made. The
kernels are those of `chosen_attention`.
"""

import inspect

import numpy as np

from npattn.kernels.additive import additive_attention, additive_attention_backward, init_additive
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.heads import require_heads
from npattn.kernels.options import require_counts
from npattn.models.co_attention import (
    bidirectional_attention, bidirectional_attention_backward, init_bidirectional,
)
from npattn.models.head_extras import prepare_heads, require_rotary
from npattn.models.kernel_choice import chosen_attention, chosen_attention_backward
from npattn.models.multihead import (
    init_multihead, multihead_attention, multihead_attention_backward,
)
from npattn.nn.layer import Layer


def kept_weights(cache):
    """The weights in the cache of `chosen_attention`; None where no matrix was made."""
    return getattr(cache, "P", None)


class DotProductAttention(Layer):
    """`attention`: Q (..., Tq, Dk), K (..., Tk, Dk), V (..., Tk, Dv), mask → (..., Tq, Dv)."""

    def __init__(self, *, kernel="attention", scale=None, dropout=0.0, rng=None):
        super().__init__(
            chosen_attention, chosen_attention_backward,
            rng=rng, kernel=kernel, scale=scale, dropout=dropout,
        )

    def _weights(self, cache):
        return kept_weights(cache)


class AdditiveAttention(Layer):
    """`additive_attention`: Q (..., Tq, Dq), K (..., Tk, Dk), V (..., Tk, Dv), mask."""

    def __init__(self, Dq, Dk, H, *, dropout=0.0, rng=None, dtype=np.float64):
        require_counts(1, Dq=Dq, Dk=Dk, H=H)
        rng = np.random.default_rng(rng)
        super().__init__(
            additive_attention, additive_attention_backward,
            init_additive(Dq, Dk, H, rng, dtype=dtype), rng=rng, dropout=dropout,
        )

    def _weights(self, cache):
        return cache.P


class CoAttention(Layer):
    """`co_attention`: A, B, Va, Vb, mask_a, mask_b → (Oa, Ob); backward takes (dOa, dOb)."""

    def __init__(self, *, scale=None):
        super().__init__(co_attention, co_attention_backward, scale=scale)

    def _weights(self, cache):
        return cache.Pa, cache.Pb


class BidirectionalAttention(Layer):
    """`bidirectional_attention`: Xa (..., Ta, Da), Xb (..., Tb, Db), mask_a, mask_b → (Ya, Yb)."""

    def __init__(self, Da, Db, D, *, scale=None, bias=True, rng=None, dtype=np.float64):
        require_counts(1, Da=Da, Db=Db, D=D)
        params = init_bidirectional(Da, Db, D, np.random.default_rng(rng), bias=bias, dtype=dtype)
        super().__init__(
            bidirectional_attention, bidirectional_attention_backward, params, scale=scale
        )

    def _weights(self, cache):
        return cache.attention.Pa, cache.attention.Pb


class MultiHeadAttention(Layer):
    """`multihead_attention`: Xq (..., Tq, Dq), Xk (..., Tk, Dk), Xv (..., Tk, Dv), mask.

    Dq, Dk, Dv default to D; output=False leaves out the last projection. num_kv_heads, head_width,
    sink, qk_norm and extra_key are those of `init_multihead`; rotary (None, "halves", "interleaved"
    or a `Rotary`) and the other options those of `multihead_attention`.
    """

    def __init__(
        self, D, num_heads, *, Dq=None, Dk=None, Dv=None, bias=True, output=True,
        num_kv_heads=None, head_width=None, sink=False, qk_norm=False, extra_key=False,
        rotary=None, rng=None, dtype=np.float64, **options,
    ):
        others = {"Dq": Dq, "Dk": Dk, "Dv": Dv}
        require_counts(1, D=D, **{name: n for name, n in others.items() if n is not None})
        if head_width is None:
            require_heads(num_heads, D)
        require_rotary(rotary)
        rng = np.random.default_rng(rng)
        params = init_multihead(
            D, rng, Dq=Dq, Dk=Dk, Dv=Dv, bias=bias, output=output, num_heads=num_heads,
            num_kv_heads=num_kv_heads, head_width=head_width, sink=sink, qk_norm=qk_norm,
            extra_key=extra_key, dtype=dtype,
        )
        if rotary is not None:
            options["turn"] = rotary
        for name in options.keys() - _keywords(multihead_attention) - _keywords(prepare_heads):
            raise TypeError(f"MultiHeadAttention got an unexpected keyword argument {name!r}")
        super().__init__(
            multihead_attention, multihead_attention_backward, params,
            rng=rng, num_heads=num_heads, num_kv_heads=num_kv_heads, **options,
        )

    def _weights(self, cache):
        return cache.P


def _keywords(f):
    """The names of the arguments that f takes by keyword alone."""
    words = inspect.signature(f).parameters.values()
    return {word.name for word in words if word.kind is word.KEYWORD_ONLY}
