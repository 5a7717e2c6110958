"""One block of a decoder-only language model: two sublayers around a residual stream.

    H = X + after(attention(before(X)))        `before` and `after` are RMS or layer norms;
    Y = H + after(network(before(H)))          `after` stands in Gemma 2 and 3 only

X, H and Y are (..., T, width). Kernels and sublayers composed, no new calculus: X fans out to the
sublayer and to the sum, so its gradient is a sum of two.
Source: Xiong et al. 2020, figure 1; Touvron et al. 2023, "LLaMA", section 2.2; Gemma Team 2024,
"Gemma 2", section 2, for the norms on both sides.
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams, layer_norm, layer_norm_backward
from npattn.kernels.rms_norm import RMSNormCache, rms_norm, rms_norm_backward
from npattn.models.gated_feed_forward import (
    GatedParams, gated_feed_forward, gated_feed_forward_backward,
)
from npattn.models.grouped_attention import (
    GroupedAttentionParams, grouped_attention, grouped_attention_backward,
)


class LanguageBlockParams(NamedTuple):
    """What language_block learns. The gradient has the same type."""

    attention_norm: np.ndarray | LayerNormParams  # a gain (width,) is an RMS norm's
    attention: GroupedAttentionParams
    attention_after: np.ndarray | LayerNormParams | None
    network_norm: np.ndarray | LayerNormParams
    network: GatedParams
    network_after: np.ndarray | LayerNormParams | None


class SublayerCache(NamedTuple):
    """What one half of language_block_backward reads."""

    before: Any
    sublayer: Any
    after: Any


class LanguageBlockCache(NamedTuple):
    """What language_block_backward reads. `attention.sublayer.attention.P` are the weights."""

    attention: SublayerCache
    network: SublayerCache

    @property
    def weights(self):
        """The weights P (..., H, T, T), as `attention_weights` returns them; None with a past."""
        attended = self.attention.sublayer.attention
        if attended is None:
            return {"self": None}
        *leading, G, r, T, Tk = attended.P.shape
        return {"self": attended.P.reshape(*leading, G * r, T, Tk)}


def language_block(X, params, mask=None, *, eps=1e-6, activation="swiglu", **heads):
    """Every position looks back, then thinks for itself; both are added to what it was.

    X           (..., T, width)
    params      LanguageBlockParams
    mask        bool (T, T), as in `grouped_attention`
    eps         of all norms
    activation  as in `gated_feed_forward`
    heads       num_heads, num_kv_heads, table, scale, off, patch, past: as in `grouped_attention`

    Returns Y (..., T, width) and the cache.
    """
    Z, before = normed(X, params.attention_norm, eps)
    A, attention = grouped_attention(Z, params.attention, mask, eps=eps, **heads)
    A, after = normed(A, params.attention_after, eps)
    H, look = X + A, SublayerCache(before, attention, after)

    Z, before = normed(H, params.network_norm, eps)
    F, network = gated_feed_forward(Z, params.network, activation=activation)
    F, after = normed(F, params.network_after, eps)
    return H + F, LanguageBlockCache(look, SublayerCache(before, network, after))


def language_block_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    look, think = cache
    dF, dnetwork_after = normed_backward(dY, think.after)
    dZ, dnetwork = gated_feed_forward_backward(dF, think.sublayer)
    dH, dnetwork_norm = normed_backward(dZ, think.before)
    dH = dY + dH

    dA, dattention_after = normed_backward(dH, look.after)
    dZ, dattention = grouped_attention_backward(dA, look.sublayer)
    dX, dattention_norm = normed_backward(dZ, look.before)
    return dH + dX, LanguageBlockParams(
        dattention_norm, dattention, dattention_after, dnetwork_norm, dnetwork, dnetwork_after
    )


def normed(X, params, eps):
    """RMS norm for a gain, layer norm for LayerNormParams, X itself for None; and the cache."""
    if params is None:
        return X, None
    if isinstance(params, LayerNormParams):
        return layer_norm(X, params, eps=eps)
    return rms_norm(X, params, eps=eps)


def normed_backward(dY, cache):
    """dX and dparams from dY, by the norm that made the cache."""
    if cache is None:
        return dY, None
    if isinstance(cache, RMSNormCache):
        return rms_norm_backward(dY, cache)
    return layer_norm_backward(dY, cache)
