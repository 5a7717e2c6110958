"""One case for every pair of the package: the arguments at which its gradients are checked.

Every axis of a case has a length of its own, so that a transpose too many or too few cannot
hide; masks have dead rows; parameters include biases. `check_pairs` is what `npattn check` runs.
"""

from functools import partial

import numpy as np

from npattn.checking import gradcheck
from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams, init_linear
from npattn.kernels.masks import causal_mask
from npattn.models.decoder import init_decoder, init_decoder_block
from npattn.models.encoder import init_encoder, init_encoder_block
from npattn.models.feed_forward import init_feed_forward
from npattn.models.multihead import MultiHeadParams
from npattn.models.transformer import TransformerConfig, init_transformer
from npattn.trees import tree_map
from npattn.verification.case import Case
from npattn.verification.pairs import find_pairs

B, H, TQ, TK, DK, DV = 2, 3, 4, 5, 6, 7


def check_pairs(seed=0, only=None):
    """A gradcheck report for every pair, or for those with `only` in their name."""
    return [check_pair(name, seed) for name in find_pairs() if not only or only in name]


def check_pair(name, seed=0):
    """The gradcheck report for one pair. Raises LookupError for a pair that has no case."""
    pair = find_pairs()[name]
    if name not in CASES:
        raise LookupError(f"{pair.module}.{name} is a pair without a case in {__name__}")
    case = CASES[name](np.random.default_rng(seed))
    return gradcheck(
        pair.forward, case.backward or pair.backward, *case.args,
        axes=case.axes, seed=seed, name=name, **case.options,
    )


# ---- kernels ----


def _normal(rng, *shape):
    return rng.standard_normal(shape)


def _mask(rng, *shape):
    """About two thirds allowed; the first query of the first entry may attend to nothing."""
    mask = rng.random(shape) < 0.67
    mask[(0,) * (len(shape) - 1)] = False
    return mask


def _softmax(rng):
    return Case((_normal(rng, B, H, TQ, TK),), axes={"S": "batch head query key"})


def _masked_softmax(rng):
    return _softmax(rng)._replace(
        args=(_normal(rng, B, H, TQ, TK), _mask(rng, B, 1, TQ, TK))
    )


def _attention(rng):
    return Case(
        (
            _normal(rng, B, H, TQ, DK), _normal(rng, B, H, TK, DK), _normal(rng, B, H, TK, DV),
            _mask(rng, B, 1, TQ, TK),
        ),
        dict(dropout=0.3, rng=rng),
        {name: f"batch head {row} dim" for name, row in (("Q", "query"), ("K", "key"),
                                                         ("V", "key"))},
    )


def _split_heads(rng):
    from npattn.kernels.heads import split_heads_backward

    return Case(
        (_normal(rng, B, TQ, H * DK), H), axes={"X": "batch position column"},
        backward=lambda dY, Y: split_heads_backward(dY),
    )


def _merge_heads(rng):
    from npattn.kernels.heads import merge_heads_backward

    return Case(
        (_normal(rng, B, H, TQ, DK),), axes={"X": "batch head position dim"},
        backward=lambda dY, Y: merge_heads_backward(dY, H),
    )


def _linear(rng):
    return Case(
        (_normal(rng, B, TQ, DK), LinearParams(_normal(rng, DK, DV), _normal(rng, DV))),
        axes={"X": "batch position in", "params.W": "in out", "params.b": "out"},
    )


def _embedding(rng):
    return Case((rng.integers(0, 9, (B, TQ)), _normal(rng, 9, DK)), axes={"E": "id dim"})


def _layer_norm(rng):
    return Case(
        (_normal(rng, B, TQ, DK), LayerNormParams(_normal(rng, DK), _normal(rng, DK))),
        axes={"X": "batch position dim", "params.gain": "dim", "params.bias": "dim"},
    )


def _entrywise(rng, **options):
    return Case((_normal(rng, B, TQ, DK),), options, {"X": "batch position dim"})


def _dropout(rng):
    return Case((_normal(rng, B, TQ, DK), 0.4, rng), axes={"X": "batch position dim"})


def _cross_entropy(rng):
    return Case(
        (_normal(rng, B, TQ, DV), rng.integers(0, DV, (B, TQ))),
        dict(ignore=0, label_smoothing=0.1), {"logits": "batch position class"},
    )


# ---- models ----

WIDTH, HEADS, HIDDEN = 6, 2, 10


def _perturbed(rng, params):
    """Parameters with every entry random: a bias or gain at its starting value hides faults."""
    return tree_map(lambda p: p + 0.3 * rng.standard_normal(p.shape), params)


def _multihead_attention(rng):
    Dq, Dk, Dv, Do = 3, 4, 5, 7
    params = MultiHeadParams(
        init_linear(Dq, WIDTH, rng), init_linear(Dk, WIDTH, rng), init_linear(Dv, WIDTH, rng),
        init_linear(WIDTH, Do, rng),
    )
    return Case(
        (
            _normal(rng, B, TQ, Dq), _normal(rng, B, TK, Dk), _normal(rng, B, TK, Dv),
            _perturbed(rng, params), _mask(rng, B, TQ, TK),
        ),
        dict(num_heads=HEADS, dropout=0.3, rng=rng),
    )


def _residual(rng, sources, norm):
    params = LayerNormParams(_normal(rng, DK), _normal(rng, DK))
    return Case((*(_normal(rng, B, TQ, DK) for _ in range(sources)), params), dict(norm=norm))


def _feed_forward(rng):
    params = _perturbed(rng, init_feed_forward(WIDTH, HIDDEN, rng))
    return Case((_normal(rng, B, TQ, WIDTH), params), dict(activation="gelu"))


def _encoder_block(rng):
    params = _perturbed(rng, init_encoder_block(WIDTH, HIDDEN, rng))
    return Case(
        (_normal(rng, B, TQ, WIDTH), params, _mask(rng, B, TQ, TQ)),
        dict(num_heads=HEADS, norm="post", dropout=0.3, rng=rng),
    )


def _encoder(rng):
    params = _perturbed(rng, init_encoder(WIDTH, HIDDEN, 2, rng, norm="pre"))
    return Case(
        (_normal(rng, B, TQ, WIDTH), params, _mask(rng, B, TQ, TQ)),
        dict(num_heads=HEADS, norm="pre", activation="gelu_tanh"),
    )


def _decoder_case(rng, params, options):
    return Case(
        (
            _normal(rng, B, TQ, WIDTH), _normal(rng, B, TK, WIDTH), _perturbed(rng, params),
            causal_mask(TQ), _mask(rng, B, TQ, TK),
        ),
        dict(num_heads=HEADS, rng=rng, **options),
    )


def _decoder_block(rng):
    params = init_decoder_block(WIDTH, HIDDEN, rng)
    return _decoder_case(rng, params, dict(norm="post", dropout=0.3))


def _decoder(rng):
    return _decoder_case(
        rng, init_decoder(WIDTH, HIDDEN, 2, rng, norm="pre"), dict(norm="pre", activation="gelu")
    )


CONFIG = TransformerConfig(
    8, 9, width=WIDTH, num_heads=HEADS, hidden=HIDDEN, scale_embeddings=True, dropout=0.2
)
OPTIONS = dict(config=CONFIG)
SOURCE_MASK = np.arange(TK) < np.array([[TK], [3]])
TARGET_MASK = np.arange(TQ) < np.array([[2], [TQ]])


def _embed_tokens(rng):
    return Case((rng.integers(0, 8, (B, TK)), _normal(rng, 8, WIDTH)), dict(OPTIONS, rng=rng))


def _encode(rng):
    params = _perturbed(rng, init_transformer(CONFIG, rng).encode)
    return Case((rng.integers(0, 8, (B, TK)), params, SOURCE_MASK), dict(OPTIONS, rng=rng))


def _decode(rng):
    params = _perturbed(rng, init_transformer(CONFIG, rng).decode)
    return Case(
        (rng.integers(0, 9, (B, TQ)), _normal(rng, B, TK, WIDTH), params, TARGET_MASK, SOURCE_MASK),
        dict(OPTIONS, rng=rng),
    )


def _transformer(rng):
    params = _perturbed(rng, init_transformer(CONFIG, rng))
    return Case(
        (
            rng.integers(0, 8, (B, TK)), rng.integers(0, 9, (B, TQ)), params,
            SOURCE_MASK, TARGET_MASK,
        ),
        dict(OPTIONS, rng=rng),
    )


CASES = {
    "softmax": _softmax,
    "masked_softmax": _masked_softmax,
    "log_softmax": _softmax,
    "attention": _attention,
    "split_heads": _split_heads,
    "merge_heads": _merge_heads,
    "linear": _linear,
    "embedding": _embedding,
    "layer_norm": _layer_norm,
    "relu": _entrywise,
    "gelu": _entrywise,
    "gelu_tanh": _entrywise,
    "dropout": _dropout,
    "cross_entropy": _cross_entropy,
    "multihead_attention": _multihead_attention,
    "enter_residual": partial(_residual, sources=1, norm="pre"),
    "leave_residual": partial(_residual, sources=2, norm="post"),
    "feed_forward": _feed_forward,
    "encoder_block": _encoder_block,
    "encoder": _encoder,
    "decoder_block": _decoder_block,
    "decoder": _decoder,
    "embed_tokens": _embed_tokens,
    "encode": _encode,
    "decode": _decode,
    "transformer": _transformer,
}
