"""Causal self-attention as language models compute it: grouped heads, turned and normalized.

    Q = split(X Wq + bq)                            (..., H, T, D)
    K, V = split(X Wk + bk), split(X Wv + bv)       (..., G, T, D)
    Q, K = rotary(rms_norm(Q)), rotary(rms_norm(K)) each of the two only where the model has it
    O = attention(Q, K, V)                          head h reads the keys of group h // (H/G)
    Y = merge(O) Wo + bo                            (..., T, width)

G = H is ordinary multi-head attention, G = 1 multi-query attention. Keys are shared by views: no
head is copied. With `past`, a layer of a KVCache, X are the newest positions, and K and V of all
earlier ones come from it: for inference, without a backward.
Kernels composed, no new calculus.
Source: Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models", 2.2.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttentionCache, attention, attention_backward
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.qk_norm import QKNormCache, QKNormParams, qk_norm, qk_norm_backward
from npattn.kernels.rotary import RotaryCache, rotary, rotary_backward
from npattn.models.projection import project, project_backward


class GroupedAttentionParams(NamedTuple):
    """What grouped_attention learns. The gradient has the same type."""

    query: tuple                 # W (width, H·D); one of the kinds that `project` takes
    key: tuple                   # W (width, G·D)
    value: tuple                 # W (width, G·D)
    output: tuple                # W (H·D, width)
    qk_norm: QKNormParams | None  # gains (D,)


class GroupedAttentionCache(NamedTuple):
    """What grouped_attention_backward reads. `attention.P` (..., G, H/G, T, T) are the weights."""

    query: tuple
    key: tuple
    value: tuple
    qk_norm: QKNormCache | None
    turns: tuple[RotaryCache, RotaryCache] | None
    attention: AttentionCache | None  # None where `past` was given
    kept: np.ndarray | None           # (H, 1, 1) bool, False for heads that are off or patched
    output: tuple


def grouped_attention(
    X, params, mask=None, *, num_heads, num_kv_heads, table=None, scale=None, eps=1e-6,
    off=(), patch=None, past=None,
):  # fmt: skip
    """Every position looks at the earlier ones, with H queries and G keys.

    X        (..., T, width)
    params   GroupedAttentionParams
    mask     bool (T, T), True = may attend: `causal_mask(T)`, or narrower. Not with past
    num_heads, num_kv_heads  H and G, which must divide H
    table    RotaryTable of the positions of X; None turns nothing
    scale    factor on the scores; None means 1/√D
    eps      of the QK norm
    off      numbers of heads whose output is replaced by 0
    patch    {head: (..., T, D)}: heads whose output is replaced by another, of another text
    past     a layer of a KVCache, which is extended by K and V

    Returns Y (..., T, width) and the cache. Nothing flows back into a head that is off or patched.
    """
    Q, query = project(X, params.query)
    K, key = project(X, params.key)
    V, value = project(X, params.value)
    Q, K, V = split_heads(Q, num_heads), split_heads(K, num_kv_heads), split_heads(V, num_kv_heads)
    normed = turns = attended = None
    if params.qk_norm is not None:
        (Q, K), normed = qk_norm(Q, K, params.qk_norm, eps=eps)
    if table is not None:
        Q, turn_q = rotary(Q, table=table)
        K, turn_k = rotary(K, table=table)
        turns = turn_q, turn_k
    if past is not None:
        O = past.attend(Q, K, V, scale=scale)
    else:
        O, attended = attention(*grouped(Q, K, V), mask, scale=scale)
        O = O.reshape(Q.shape[:-1] + V.shape[-1:])
    O, kept = _replaced(O, off, patch)
    Y, output = project(merge_heads(O), params.output)
    return Y, GroupedAttentionCache(query, key, value, normed, turns, attended, kept, output)


def grouped_attention_backward(dY, cache):
    """dX and dparams from dY (..., T, width): the forward's calls, undone in reverse."""
    *leading, G, r, T, _ = cache.attention.Q.shape
    dmerged, doutput = project_backward(dY, cache.output)
    dO = merge_heads_backward(dmerged, G * r)
    if cache.kept is not None:
        dO = dO * cache.kept
    dQ, dK, dV = attention_backward(dO.reshape(*leading, G, r, T, -1), cache.attention)
    dQ = dQ.reshape(*leading, G * r, T, -1)
    dK, dV = dK.sum(axis=-3), dV.sum(axis=-3)  # a key serves r heads
    if cache.turns is not None:
        dQ, dK = rotary_backward(dQ, cache.turns[0]), rotary_backward(dK, cache.turns[1])
    dnorm = None
    if cache.qk_norm is not None:
        dQ, dK, dnorm = qk_norm_backward((dQ, dK), cache.qk_norm)
    dXq, dquery = project_backward(split_heads_backward(dQ), cache.query)
    dXk, dkey = project_backward(split_heads_backward(dK), cache.key)
    dXv, dvalue = project_backward(split_heads_backward(dV), cache.value)
    return dXq + dXk + dXv, GroupedAttentionParams(dquery, dkey, dvalue, doutput, dnorm)


def grouped(Q, K, V):
    """Q (..., H, T, D) as (..., G, r, T, D), and K and V as views of the same leading axes."""
    *leading, G, _, _ = K.shape
    r = Q.shape[-3] // G
    Q = Q.reshape(*leading, G, r, *Q.shape[-2:])
    shared = [X[..., None, :, :] for X in (K, V)]
    return Q, *(np.broadcast_to(X, (*leading, G, r, *X.shape[-2:])) for X in shared)


def _replaced(O, off, patch):
    """O with other outputs for some heads, and which are kept, (H, 1, 1); None if all are."""
    if not off and not patch:
        return O, None
    H = O.shape[-3]
    patch = dict(patch or {})
    for head in (*off, *patch):
        if not 0 <= head < H:
            raise ValueError(f"there is no head {head}: the layer has heads 0 … {H - 1}")
    kept = np.ones((H, 1, 1), bool)
    kept[[*off, *patch]] = False
    O = np.where(kept, O, O.dtype.type(0))
    for head, other in patch.items():
        O[..., head, :, :] = other
    return O, kept
