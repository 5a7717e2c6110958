"""A recurrent decoder that attends: before each token it looks at the memory anew.

    step    context = additive_attention(query = top state, keys = values = M)    (..., Dm)
            X_0 = [context; embedded token],  X_l = gru_cell_l(X_{l−1}, state_l)  (..., Dh)
    decode  logits = (top states of all steps) W + b                              (..., T, C)

The memory M (..., Tm, Dm) is read in every step, so its gradient is a sum over the steps, as are
those of the parameters. A state has a gradient from the output of its own step, and from the next
one by two ways, the recurrence and, at the top, the query: this is what the loop carries back.
Source: Bahdanau, Cho and Bengio 2015, section 3.1 and appendix A.2.2; d2l 11.4 (Chinese 10.4).
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.additive import (
    AdditiveCache, AdditiveParams, additive_attention, additive_attention_backward,
    init_additive,
)
from npattn.kernels.arrays import require_integers
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward, normal
from npattn.kernels.floats import quiet
from npattn.kernels.gru_cell import GRUCache, GRUParams, gru_cell, gru_cell_backward
from npattn.kernels.linear import LinearCache, LinearParams, init_linear, linear, linear_backward
from npattn.kernels.shapes import require_shapes
from npattn.models.recurrent_encoder import init_gru_layers
from npattn.models.transformer import key_mask
from npattn.trees import tree_map


class RecurrentStepParams(NamedTuple):
    """What recurrent_step learns. The gradient has the same type."""

    attention: AdditiveParams
    layers: tuple[GRUParams, ...]  # the lowest with inputs Dm + De wide


class RecurrentStepCache(NamedTuple):
    """What recurrent_step_backward reads. `attention.P` (..., 1, Tm) are the weights."""

    attention: AdditiveCache
    layers: tuple[tuple[DropoutCache, GRUCache], ...]


@quiet
def recurrent_step(X, states, M, params, mask=None, *, reset="before", dropout_rate=0.0, rng=None):
    """The states after one more token.

    X       (..., De)      the token's embedding
    states  tuple of (..., Dh), one per layer, the top one last
    M       (..., Tm, Dm)  the memory
    params  RecurrentStepParams
    mask    (..., Tm)      bool, True = a real token of the memory
    reset   as in `gru_cell`
    dropout_rate  share dropped of the weights and between layers while rng is given

    Returns the new states, a tuple like `states`, and the cache.
    Raises ValueError if there are not as many states as layers, or shapes disagree.
    """
    if len(states) != len(params.layers):
        raise ValueError(f"states must be one per layer, {len(params.layers)}, got {len(states)}")
    require_shapes("X =... De, states ... Dh, M ... Tm Dm", X, states[-1], M)
    context, attended = additive_attention(
        states[-1][..., None, :], M, M, params.attention, key_mask(mask, M.shape[:-1]),
        dropout=dropout_rate, rng=rng,
    )
    Z = np.concatenate([context[..., 0, :], X], axis=-1)
    new, caches = [], []
    for i, (layer, H) in enumerate(zip(params.layers, states, strict=True)):
        Z, dropped = dropout(Z, dropout_rate if i else 0.0, rng)
        Z, cache = gru_cell(Z, H, layer, reset=reset)
        new.append(Z)
        caches.append((dropped, cache))
    return tuple(new), RecurrentStepCache(attended, tuple(caches))


@quiet
def recurrent_step_backward(dstates, cache: RecurrentStepCache):
    """dX, dstates (of the old ones), dM and dparams from dstates (of the new ones)."""
    dZ, dold, dlayers = 0.0, [], []
    for dstate, (dropped, layer) in zip(reversed(dstates), reversed(cache.layers), strict=True):
        require_shapes("dstates =... Dh, states ... Dh", dstate, layer.steps.H)
        dZ, dH, dlayer = gru_cell_backward(dstate + dZ, layer)
        dZ = dropout_backward(dZ, dropped)
        dold.append(dH)
        dlayers.append(dlayer)
    # Z = [context; X]
    Dm = cache.attention.K.shape[-1]
    dquery, dK, dV, dattention = additive_attention_backward(dZ[..., None, :Dm], cache.attention)
    dold[0] = dold[0] + dquery[..., 0, :]
    dparams = RecurrentStepParams(dattention, tuple(reversed(dlayers)))
    return dZ[..., Dm:], tuple(reversed(dold)), dK + dV, dparams


class RecurrentDecoderParams(NamedTuple):
    """What recurrent_decoder learns. The gradient has the same type."""

    embedding: np.ndarray  # (vocabulary, De)
    step: RecurrentStepParams
    output: LinearParams   # W (Dh, vocabulary)


class RecurrentDecoderCache(NamedTuple):
    """What recurrent_decoder_backward reads. `steps[t].attention.P` are the weights of step t."""

    embedding: EmbeddingCache
    steps: tuple[RecurrentStepCache, ...]
    output: LinearCache


def init_recurrent_decoder(vocabulary, De, Dh, num_layers, rng, *, hidden_bias=False,
                           dtype=np.float64):
    """For a memory Dh wide: embeddings standard normal, all else Glorot-uniform."""
    return RecurrentDecoderParams(
        normal(1.0, (vocabulary, De), rng, dtype),
        RecurrentStepParams(
            init_additive(Dh, Dh, Dh, rng, dtype=dtype),
            init_gru_layers(Dh + De, Dh, num_layers, rng, hidden_bias, dtype),
        ),
        init_linear(Dh, vocabulary, rng, dtype=dtype),
    )


@quiet
def recurrent_decoder(ids, states, M, params, mask=None, **options):
    """Logits for the token after each token, given the right ones: teacher forcing.

    ids      (..., T)       integers, starting with the token that begins a sentence
    states   tuple of (..., Dh), one per layer: where to start
    M        (..., Tm, Dm)  the memory
    params   RecurrentDecoderParams
    mask     (..., Tm)      bool, True = a real token of the memory
    options  reset, dropout_rate, rng: as in `recurrent_step`

    Returns logits (..., T, vocabulary) and the cache. Raises ValueError if there is no token.
    """
    require_integers(ids=ids)
    if ids.ndim < 1 or ids.shape[-1] == 0:
        raise ValueError(f"ids must be (..., T) with at least one token, got shape {ids.shape}")
    X, embedded = embedding(ids, params.embedding)
    tops, steps = [], []
    for t in range(ids.shape[-1]):
        states, step = recurrent_step(X[..., t, :], states, M, params.step, mask, **options)
        tops.append(states[-1])
        steps.append(step)
    logits, output = linear(np.stack(tops, axis=-2), params.output)
    return logits, RecurrentDecoderCache(embedded, tuple(steps), output)


@quiet
def recurrent_decoder_backward(dlogits, cache: RecurrentDecoderCache):
    """dstates, dM and dparams from dlogits: from the last step to the first."""
    dtops, doutput = linear_backward(dlogits, cache.output)
    dstates = tuple(np.zeros_like(dtops[..., 0, :]) for _ in cache.steps[0].layers)
    dX, dM, dstep = [], 0.0, None
    for t, step in reversed(list(enumerate(cache.steps))):
        *lower, top = dstates
        dX_t, dstates, dM_t, dstep_t = recurrent_step_backward(
            (*lower, top + dtops[..., t, :]), step
        )
        dX.append(dX_t)
        dM = dM + dM_t
        dstep = dstep_t if dstep is None else tree_map(np.add, dstep, dstep_t)
    dE = embedding_backward(np.stack(dX[::-1], axis=-2), cache.embedding)
    return dstates, dM, RecurrentDecoderParams(dE, dstep, doutput)
