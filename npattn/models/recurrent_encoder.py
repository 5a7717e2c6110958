"""A recurrent encoder: token ids in, a memory and the final states out.

    X_0 = embedding(ids)                        (..., T, De)
    X_l = gru_l(dropout(X_{l−1}))               (..., T, Dh)      l = 1 … L
    M   = X_L                                   (..., T, Dh)      what a decoder attends to
    states[l − 1] = X_l at the last step        (..., Dh)         where a decoder starts

Kernels composed, no new calculus: the last step of a layer has a gradient from the layer above,
or as part of the memory, and one as a state, and both are added.
Source: Sutskever, Vinyals and Le 2014, section 2; d2l 10.7.1 (Chinese edition 9.7.1).
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward, normal
from npattn.kernels.floats import quiet
from npattn.kernels.gru_cell import GRUCache, GRUParams, init_gru
from npattn.kernels.options import require_counts
from npattn.kernels.recurrent import gru, gru_backward
from npattn.kernels.shapes import require_shapes


class RecurrentEncoderParams(NamedTuple):
    """What recurrent_encoder learns. The gradient has the same type."""

    embedding: np.ndarray  # (vocabulary, De)
    layers: tuple[GRUParams, ...]


class RecurrentEncoderCache(NamedTuple):
    """What recurrent_encoder_backward reads."""

    embedding: EmbeddingCache
    layers: tuple[tuple[DropoutCache, GRUCache], ...]


def init_recurrent_encoder(vocabulary, De, Dh, num_layers, rng, *, hidden_bias=False,
                           dtype=np.float64):
    """Embeddings standard normal, layers as `init_gru` makes them."""
    table = normal(1.0, (vocabulary, De), rng, dtype)
    layers = init_gru_layers(De, Dh, num_layers, rng, hidden_bias, dtype)
    return RecurrentEncoderParams(table, layers)


def init_gru_layers(Din, Dh, num_layers, rng, hidden_bias, dtype):
    """GRUParams for layers one above the other, the lowest with inputs Din wide."""
    require_counts(1, num_layers=num_layers)
    widths = [Din, *[Dh] * (num_layers - 1)]
    return tuple(init_gru(D, Dh, rng, hidden_bias=hidden_bias, dtype=dtype) for D in widths)


@quiet
def recurrent_encoder(ids, params, mask=None, *, reset="before", dropout_rate=0.0, rng=None):
    """A sequence read from left to right by GRUs, one above the other.

    ids     (..., T)  integers
    params  RecurrentEncoderParams
    mask    (..., T)  bool, True = a real token; a layer's state is left as it is by the others
    reset   as in `gru_cell`
    dropout_rate  share dropped between layers while rng, a Generator, is given

    Returns (M, states), the memory (..., T, Dh) and a tuple with a state (..., Dh) per layer,
    and the cache.
    """
    X, embedded = embedding(ids, params.embedding)
    states, caches = [], []
    for i, layer in enumerate(params.layers):
        X, dropped = dropout(X, dropout_rate if i else 0.0, rng)
        start = np.zeros((*ids.shape[:-1], len(layer.hidden.W)), X.dtype)
        X, cache = gru(X, start, layer, mask, reset=reset)
        states.append(X[..., -1, :])
        caches.append((dropped, cache))
    return (X, tuple(states)), RecurrentEncoderCache(embedded, tuple(caches))


@quiet
def recurrent_encoder_backward(dY, cache: RecurrentEncoderCache):
    """dparams from dY = (dM, dstates): the layers in reverse, each back through time."""
    dX, dstates = dY
    dlayers = []
    for dstate, (dropped, layer) in zip(reversed(dstates), reversed(cache.layers), strict=True):
        H = layer.steps.H
        require_shapes("dM =... T Dh, dstates =... Dh, states ... T Dh", dX, dstate, H)
        dX = np.concatenate([dX[..., :-1, :], dX[..., -1:, :] + dstate[..., None, :]], axis=-2)
        dX, _, dlayer = gru_backward(dX, layer)
        dX = dropout_backward(dX, dropped)
        dlayers.append(dlayer)
    return RecurrentEncoderParams(
        embedding_backward(dX, cache.embedding), tuple(reversed(dlayers))
    )
