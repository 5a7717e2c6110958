"""A case for every pair of npattn.kernels: CASES maps its name to a function of a generator."""

import numpy as np

from npattn.kernels import heads, packing
from npattn.kernels.additive import init_additive
from npattn.kernels.attention import attention
from npattn.kernels.gru_cell import init_gru
from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams
from npattn.kernels.online_softmax import Partial
from npattn.kernels.score_bias import add_bias
from npattn.kernels.scores import dot_scores
from npattn.kernels.sinks import attend_with_sink
from npattn.kernels.soft_cap import soft_cap
from npattn.kernels.tiling.tiled import tiled_attention
from npattn.verification.case import (
    B, DK, DV, H, KEYS, QUERIES, ROWS, TK, TQ, Case, draw_mask, normal, perturbed,
)

DQ = 8
MATCHED = {"Q": QUERIES, "K": KEYS}


# ---- attention ----


def _softmax(rng):
    return Case((normal(rng, B, H, TQ, TK),), axes={"S": "batch head query key"})


def _masked_softmax(rng):
    return _softmax(rng)._replace(
        args=(normal(rng, B, H, TQ, TK), draw_mask(rng, B, 1, TQ, TK))
    )


def _attention(rng):
    return Case(
        (
            normal(rng, B, H, TQ, DK), normal(rng, B, H, TK, DK), normal(rng, B, H, TK, DV),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        dict(dropout=0.3, rng=rng),
        {**MATCHED, "V": KEYS},
    )


def _queries_and_keys(rng):
    return normal(rng, B, H, TQ, DK), normal(rng, B, H, TK, DK)


def _attend(rng):
    return Case(
        (normal(rng, B, H, TQ, TK), normal(rng, B, H, TK, DV), draw_mask(rng, B, 1, TQ, TK)),
        dict(dropout=0.3, rng=rng), {"S": "batch head query key", "V": KEYS},
    )


def _scores(rng):
    return Case(_queries_and_keys(rng), axes=MATCHED)


def _bilinear_scores(rng):
    return Case(
        (normal(rng, B, H, TQ, DQ), normal(rng, B, H, TK, DK), normal(rng, DQ, DK)),
        axes={**MATCHED, "M": "of_query of_key"},
    )


def _biased_attention(rng):
    return Case(
        (
            *_queries_and_keys(rng), normal(rng, B, H, TK, DV), normal(rng, H, 1, TK),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        dict(dropout=0.3, rng=rng), {**MATCHED, "V": KEYS, "bias": "head query key"},
    )


def _gaussian_pooling(rng):
    return Case(
        (
            *_queries_and_keys(rng), normal(rng, B, H, TK, DV), 0.5 * normal(rng, DK),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        axes={**MATCHED, "V": KEYS, "w": "dim"},
    )


def _additive_attention(rng):
    Q, K = _queries_and_keys(rng)
    return Case(
        (
            Q, K, normal(rng, B, H, TK, DV), init_additive(DK, DK, DQ, rng),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        dict(dropout=0.3, rng=rng), {**MATCHED, "V": KEYS},
    )


def _co_attention(rng):
    return Case(
        (
            normal(rng, B, TQ, DK), normal(rng, B, TK, DK), normal(rng, B, TQ, 3),
            normal(rng, B, TK, DV), draw_mask(rng, B, TQ, TK), draw_mask(rng, B, TK, TQ),
        ),
        axes={name: ROWS for name in ("A", "B", "Va", "Vb")},
    )


def _tiled_attention(rng):
    """The tiles are real, so the truth is the complex step through plain attention."""
    Q, K = _queries_and_keys(rng)
    return Case((Q, K, normal(rng, B, H, TK, DV), draw_mask(rng, B, 1, TQ, TK)),
                axes={**MATCHED, "V": KEYS}, forward=_plain_where_complex)


def _tiled_attention_with(rng):
    """Shared keys, a bias and a sink; the truth is the complex step through the steps composed."""
    Q, K = normal(rng, B, H, 2, TQ, DK), normal(rng, B, H, 1, TK, DK)
    args = Q, K, normal(rng, B, H, 1, TK, DV), draw_mask(rng, B, 1, 1, TQ, TK)
    return Case((*args, normal(rng, H, 1, TQ, TK), normal(rng, H, 2)), dict(cap=2.0),
                forward=_composed_where_complex)


def _composed_where_complex(Q, K, V, mask, bias, sink, *, cap):
    if not any(map(np.iscomplexobj, (Q, K, V, bias, sink))):
        return tiled_attention(Q, K, V, mask, bias, sink, cap=cap)
    K, V = (np.broadcast_to(X, (*Q.shape[:-2], *X.shape[-2:])) for X in (K, V))
    Y, _ = add_bias(soft_cap(dot_scores(Q, K)[0], cap)[0], bias)
    return attend_with_sink(Y, V, sink, mask)


def _attention_by_blocks(rng):
    return _tiled_attention(rng)._replace(options=dict(block=2), forward=None)


def _plain_where_complex(Q, K, V, mask):
    compute = attention if any(map(np.iscomplexobj, (Q, K, V))) else tiled_attention
    return compute(Q, K, V, mask)


def _merge_partials(rng):
    first, second = (Partial(normal(rng, B, TQ, DV), normal(rng, B, TQ)) for _ in "ab")
    return Case((first, second))


def _rotary(rng):
    return Case((normal(rng, B, H, TQ, DK),), dict(offset=3), {"X": "batch head position dim"})


def _learned_positions(rng):
    return Case(
        (normal(rng, B, TQ, DK), normal(rng, 9, DK)), dict(offset=3),
        {"X": ROWS, "E": "position dim"},
    )


def _relative_bias(rng):
    return Case((normal(rng, 5, H), TQ, TK), dict(offset=1), {"E": "distance head"})


def _relative_scores(rng):
    return Case(
        (normal(rng, B, H, TQ, DK), normal(rng, 7, DK), TK), dict(offset=1),
        {"Q": QUERIES, "A": "distance dim"},
    )


# ---- layers ----


def _split_heads(rng):
    return Case(
        (normal(rng, B, TQ, H * DK), H), axes={"X": "batch position column"},
        backward=lambda dY, Y: heads.split_heads_backward(dY),
    )


def _merge_heads(rng):
    return Case(
        (normal(rng, B, H, TQ, DK),), axes={"X": "batch head position dim"},
        backward=lambda dY, Y: heads.merge_heads_backward(dY, H),
    )


def _unpack(rng):
    packed = packing.packing_of(np.arange(TK) < np.array([[1], [TK], [2]]))
    return Case(
        (normal(rng, *packed.positions.shape, DV),), dict(packing=packed),
        {"Y": "row place dim"}, backward=lambda dX, X: packing.unpack_backward(dX, packed),
    )


def _linear(rng):
    return Case(
        (normal(rng, B, TQ, DK), LinearParams(normal(rng, DK, DV), normal(rng, DV))),
        axes={"X": "batch position in", "params.W": "in out", "params.b": "out"},
    )


def _embedding(rng):
    return Case((rng.integers(0, 9, (B, TQ)), normal(rng, 9, DK)), axes={"E": "id dim"})


def _layer_norm(rng):
    return Case(
        (normal(rng, B, TQ, DK), LayerNormParams(normal(rng, DK), normal(rng, DK))),
        axes={"X": ROWS, "params.gain": "dim", "params.bias": "dim"},
    )


def _entrywise(rng, **options):
    return Case((normal(rng, B, TQ, DK),), options, {"X": ROWS})


def _dropout(rng):
    return Case((normal(rng, B, TQ, DK), 0.4, rng), axes={"X": ROWS})


def _cross_entropy(rng):
    return Case(
        (normal(rng, B, TQ, DV), rng.integers(0, DV, (B, TQ))),
        dict(ignore=0, label_smoothing=0.1), {"logits": "batch position class"},
    )


def _gru_cell(rng):
    params = perturbed(rng, init_gru(DK, DV, rng))
    return Case(
        (normal(rng, B, TQ, DK), normal(rng, B, TQ, DV), params),
        axes={"X": "batch row in", "H": "batch row dim"},
    )


def _gru(rng):
    params = perturbed(rng, init_gru(DK, DV, rng, hidden_bias=True))
    return Case(
        (normal(rng, B, TK, DK), normal(rng, B, DV), params, np.arange(TK) < np.array([[3], [TK]])),
        dict(reset="after"), {"X": "batch step in", "H": "batch dim"},
    )


CASES = {
    "softmax": _softmax,
    "masked_softmax": _masked_softmax,
    "log_softmax": _softmax,
    "attend": _attend,
    "attention": _attention,
    "biased_attention": _biased_attention,
    "additive_attention": _additive_attention,
    "co_attention": _co_attention,
    "tiled_attention": _tiled_attention,
    "tiled_attention with shared keys and every step": _tiled_attention_with,
    "attention_by_blocks": _attention_by_blocks,
    "merge_partials": _merge_partials,
    "dot_scores": _scores,
    "bilinear_scores": _bilinear_scores,
    "distance_scores": _scores,
    "key_norm_scores": _scores,
    "gaussian_pooling": _gaussian_pooling,
    "rotary": _rotary,
    "learned_positions": _learned_positions,
    "relative_bias": _relative_bias,
    "relative_scores": _relative_scores,
    "split_heads": _split_heads,
    "merge_heads": _merge_heads,
    "unpack": _unpack,
    "linear": _linear,
    "embedding": _embedding,
    "layer_norm": _layer_norm,
    "relu": _entrywise,
    "gelu": _entrywise,
    "gelu_tanh": _entrywise,
    "dropout": _dropout,
    "cross_entropy": _cross_entropy,
    "gru_cell": _gru_cell,
    "gru": _gru,
}
