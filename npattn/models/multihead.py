"""Multi-head attention and its backward: kernels composed, no new calculus.

    Q, K, V = split(Xq Wq + bq), split(Xk Wk + bk), split(Xv Wv + bv)     (..., H, T, D/H)
    O = attention(Q, K, V)                                                (..., H, Tq, D/H)
    Y = merge(O) Wo + bo                                                  (..., Tq, Do)

With fewer heads for keys than for queries, each serves a group of them: it is shared, not copied.
What else comes between the projections and the attention is the page head_extras.py.
Self-attention passes one X three times, so its gradient is the sum dXq + dXk + dXv;
cross-attention passes the decoder's X once and the encoder's output twice.
Source: Vaswani et al. 2017, section 3.2.2; d2l 11.5. Ainslie et al. 2023, "GQA", for groups.
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.arrays import require_bool
from npattn.kernels.floats import quiet
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.key_value_cache import KeysValues
from npattn.kernels.linear import LinearParams, init_linear
from npattn.kernels.options import require_counts, require_flag
from npattn.kernels.shapes import require_shapes
from npattn.models.head_extras import (
    HeadExtras, PreparedCache, init_head_extras, prepare_heads, prepare_heads_backward,
)
from npattn.models.kernel_choice import chosen_attention, chosen_attention_backward
from npattn.models.projection import project, project_backward


class MultiHeadParams(NamedTuple):
    """What multihead_attention learns. The gradient has the same type."""

    query: LinearParams          # W (Dq, D)
    key: LinearParams            # W (Dk, D), narrower where key heads are fewer
    value: LinearParams          # W (Dv, D), likewise
    output: LinearParams | None  # W (D, Do), or None to return the merged heads


class ExtendedMultiHeadParams(NamedTuple):
    """What multihead_attention learns where there is more than projections."""

    query: LinearParams
    key: LinearParams
    value: LinearParams
    output: LinearParams | None
    sink: np.ndarray | None      # (H,) scores, as in `attend_with_sink`
    extras: HeadExtras | None


class MultiHeadCache(NamedTuple):
    """What multihead_attention_backward reads. `P` is what a head grid draws."""

    query: Any                   # of `project`, as key, value and output
    key: Any
    value: Any
    attention: Any               # of `chosen_attention`; heads in groups
    output: Any | None
    prepared: PreparedCache | None
    heads: tuple[int, int]       # of queries and of keys
    sink: bool                   # whether there is one
    kept: np.ndarray | None      # (H, 1, 1) bool, False for heads that were patched
    present: KeysValues          # (..., G, Tk, ·) what a next call may take for its past

    @property
    def P(self):
        """The weights (..., H, Tq, Tk), with the heads of all groups in one axis; or None."""
        P = getattr(self.attention, "P", None)
        if P is None or self.heads[0] == self.heads[1]:
            return P
        return P.reshape(*P.shape[:-4], self.heads[0], *P.shape[-2:])


def init_multihead(
    D, rng, *, Dq=None, Dk=None, Dv=None, bias=True, output=True, num_heads=None,
    num_kv_heads=None, head_width=None, sink=False, qk_norm=False, extra_key=False,
    dtype=np.float64,
):
    """Parameters of width D for sources Dq, Dk, Dv wide (D each unless given), Glorot-uniform.

    num_heads, num_kv_heads, head_width  given where keys have fewer heads, or heads another width
                                         than D / num_heads
    sink, qk_norm, extra_key             whether there are these: ExtendedMultiHeadParams
    """
    wide = narrow = D
    flags = dict(output=output, sink=sink, qk_norm=qk_norm, extra_key=extra_key)
    for name, flag in flags.items():
        require_flag(name, flag)
    if head_width is not None:
        require_counts(1, head_width=head_width)
    if head_width is not None or num_kv_heads is not None:
        require_groups(num_heads, num_kv_heads or num_heads)
        head_width = head_width or D // num_heads
        wide, narrow = num_heads * head_width, (num_kv_heads or num_heads) * head_width

    def projection(Din, Dout):
        return init_linear(Din, Dout, rng, bias=bias, dtype=dtype)

    layers = (
        projection(Dq or D, wide), projection(Dk or D, narrow), projection(Dv or D, narrow),
        projection(wide, D) if output else None,
    )
    if not (sink or qk_norm or extra_key):
        return MultiHeadParams(*layers)
    extras = None
    if qk_norm or extra_key:
        options = dict(qk_norm=qk_norm, extra_key=extra_key, dtype=dtype)
        extras = init_head_extras(wide // num_heads, narrow, rng, **options)
    return ExtendedMultiHeadParams(*layers, np.zeros(num_heads, dtype) if sink else None, extras)


@quiet
def multihead_attention(
    Xq, Xk, Xv, params, mask=None, *,
    num_heads, num_kv_heads=None, kernel="attention", scale=None, dropout=0.0, rng=None,
    cap=None, score_bias=None, patch=None, past=None, **options,
):
    """`num_heads` attentions side by side, each on its own share of the projected columns.

    Xq        (..., Tq, Dq)  where queries come from
    Xk        (..., Tk, Dk)  where keys come from
    Xv        (..., Tk, Dv)  where values come from
    params    MultiHeadParams, or ExtendedMultiHeadParams; biases and the output may be None, and
              each layer is of a kind that `project` takes
    mask      bool, broadcastable to (..., Tq, Tk), the same for every head; or with a head
              axis, broadcastable to (..., H, Tq, Tk): then it has one axis more than Xq
    num_kv_heads  G heads of keys and values, each for H/G heads of queries; None means H
    kernel    "attention"; "tiled", without weights in the cache; or "auto", as in
              `chosen_attention`
    scale     factor on the scores; None means 1/√(D/H), by the width of one head
    dropout   share of the weights that is dropped while rng, a Generator, is given
    cap, score_bias  as in `scored_attention`; the bias, a constant, broadcasts to (..., H, Tq, Tk)
    patch     {head: (..., Tq, D/H), or 0.0}: outputs that take the place of those of these heads
    past      KeysValues of earlier positions; or a layer of a `KVCache`, which Xk and Xv extend
    options   of what comes before the attention, such as turn: as in `prepare_heads`

    Returns Y (..., Tq, Do) and the cache.
    Raises ValueError if shapes disagree, if num_heads does not divide the width, or for an unknown
    kernel.
    """
    G = num_heads if num_kv_heads is None else num_kv_heads
    if num_kv_heads is not None:
        require_groups(num_heads, num_kv_heads)
    require_shapes("Xq ... Tq Dq, Xk ... Tk Dk, Xv ... Tk Dv", Xq, Xk, Xv)
    query, query_cache = project(Xq, params.query)
    key, key_cache = project(Xk, params.key)
    value, value_cache = project(Xv, params.value)
    Q, K, V = split_heads(query, num_heads), split_heads(key, G), split_heads(value, G)
    mask, present, prepared = _with_head_axis(mask, Xq.ndim), KeysValues(K, V), None
    sink, extras = params[4:] if isinstance(params, ExtendedMultiHeadParams) else (None, None)
    if extras is not None or options or past is not None:
        (Q, K, V), prepared = prepare_heads(Q, K, V, extras, mask, past=past, **options)
        mask, present = prepared.mask, prepared.present
    if G != num_heads:
        Q, K, V, mask, score_bias, sink = _grouped(Q, K, V, mask, score_bias, sink)
    placed = {} if prepared is None else prepared.placed
    O, attention_cache = chosen_attention(
        Q, K, V, mask, score_bias, sink,
        kernel=kernel, cap=cap, scale=scale, dropout=dropout, rng=rng, **placed,
    )
    if G != num_heads:
        O = O.reshape(*O.shape[:-4], num_heads, *O.shape[-2:])
    O, kept = _patched(O, patch)
    Y, output_cache = merge_heads(O), None
    if params.output is not None:
        Y, output_cache = project(Y, params.output)
    return Y, MultiHeadCache(
        query_cache, key_cache, value_cache, attention_cache, output_cache, prepared,
        (num_heads, G), sink is not None, kept, present,
    )


@quiet
def multihead_attention_backward(dY, cache: MultiHeadCache):
    """dXq, dXk, dXv and dparams from dY (..., Tq, Do): the forward's calls, undone in reverse.

    Where there was a past, it counts as a constant; nothing flows back into a patched head.
    """
    dmerged, doutput = dY, None
    if cache.output is not None:
        dmerged, doutput = project_backward(dY, cache.output)
    num_heads, G = cache.heads
    dO = merge_heads_backward(dmerged, num_heads)
    if cache.kept is not None:
        dO = dO * cache.kept
    if G != num_heads:
        dO = dO.reshape(*dO.shape[:-3], G, num_heads // G, *dO.shape[-2:])
    dQ, dK, dV, *more = chosen_attention_backward(dO, cache.attention)
    dsink = more[-1:] if cache.sink else []
    if G != num_heads:
        dQ = dQ.reshape(*dQ.shape[:-4], num_heads, *dQ.shape[-2:])
        dK, dV, dsink = dK[..., 0, :, :], dV[..., 0, :, :], [d.reshape(-1) for d in dsink]
    dextras = None
    if cache.prepared is not None:
        dQ, dK, dV, dextras = prepare_heads_backward((dQ, dK, dV), cache.prepared)
    dXq, dquery = project_backward(split_heads_backward(dQ), cache.query)
    dXk, dkey = project_backward(split_heads_backward(dK), cache.key)
    dXv, dvalue = project_backward(split_heads_backward(dV), cache.value)
    dlayers = dquery, dkey, dvalue, doutput
    if dextras is None and not dsink:
        return dXq, dXk, dXv, MultiHeadParams(*dlayers)
    dsink = dsink[0] if dsink else None
    return dXq, dXk, dXv, ExtendedMultiHeadParams(*dlayers, dsink, dextras)


@quiet
def self_attention(X, params, mask=None, **options):
    """X (..., T, D) attends to itself: Y (..., T, Do) and the cache of `multihead_attention`."""
    return multihead_attention(X, X, X, params, mask, **options)


@quiet
def self_attention_backward(dY, cache: MultiHeadCache):
    """dX and dparams from dY: X was queries, keys and values."""
    dXq, dXk, dXv, dparams = multihead_attention_backward(dY, cache)
    return dXq + dXk + dXv, dparams


@quiet
def cross_attention(X, M, params, mask=None, **options):
    """X (..., T, D) attends to M (..., Tm, Dm): Y (..., T, Do) and the cache likewise."""
    return multihead_attention(X, M, M, params, mask, **options)


@quiet
def cross_attention_backward(dY, cache: MultiHeadCache):
    """dX, dM and dparams from dY: M was keys and values."""
    dX, dMk, dMv, dparams = multihead_attention_backward(dY, cache)
    return dX, dMk + dMv, dparams


def require_groups(num_heads, num_kv_heads):
    """Each key head serves as many query heads as any other. Raises ValueError otherwise."""
    if not isinstance(num_kv_heads, int | np.integer) or num_kv_heads < 1 \
            or num_heads is None or num_heads % num_kv_heads:
        raise ValueError(
            f"num_kv_heads must be a positive integer that divides num_heads, "
            f"got num_kv_heads={num_kv_heads!r} for num_heads={num_heads!r}"
        )


def _with_head_axis(mask, ndim):
    """A mask without a head axis gets one of length 1, so that it serves every head."""
    if mask is None:
        return None
    require_bool(mask)
    if mask.ndim > ndim:
        return mask
    return np.expand_dims(mask, -3) if mask.ndim >= 3 else mask


def _patched(O, patch):
    """O (..., H, T, D) with other outputs of some heads, and which are kept; None if all are."""
    if not patch:
        return O, None
    H = O.shape[-3]
    kept = np.ones((H, 1, 1), bool)
    for head in patch:
        if not 0 <= head < H:
            raise ValueError(f"there is no head {head}: the layer has heads 0 … {H - 1}")
    kept[list(patch)] = False
    O = O.copy()
    for head, other in patch.items():
        try:
            O[..., head, :, :] = other
        except ValueError:
            raise ValueError(f"the patch of head {head} must be 0.0 or {O[..., head, :, :].shape}, "
                             f"got {np.shape(other)}") from None
    return O, kept


def _grouped(Q, K, V, mask, score_bias, sink):
    """Q (..., G, r, Tq, D) beside K and V (..., G, 1, Tk, D); the others with a group axis."""
    H, G = Q.shape[-3], K.shape[-3]

    def grouped(X):
        if X is None or X.ndim < 3:
            return X
        parts = (G, H // G) if X.shape[-3] == H else (X.shape[-3], 1)
        return X.reshape(*X.shape[:-3], *parts, *X.shape[-2:])

    sink = None if sink is None else sink.reshape(G, H // G)
    return grouped(Q), K[..., None, :, :], V[..., None, :, :], grouped(mask), grouped(score_bias), \
        sink
