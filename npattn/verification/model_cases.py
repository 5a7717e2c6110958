"""A case for every pair of npattn.models: CASES maps its name to a function of a generator."""

from functools import partial

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams, init_linear
from npattn.kernels.masks import causal_mask
from npattn.models.cat import init_cat, init_cat_block
from npattn.models.co_attention import init_bidirectional
from npattn.models.decoder import init_decoder, init_decoder_block
from npattn.models.block import encoder_block, encoder_block_backward
from npattn.models.encoder import init_encoder, init_encoder_block
from npattn.models.feed_forward import feed_forward, feed_forward_backward, init_feed_forward
from npattn.models.head_extras import init_head_extras
from npattn.models.kernel_choice import chosen_attention
from npattn.models.multihead import (
    MultiHeadParams, init_multihead, multihead_attention, self_attention,
)
from npattn.models.residual import residual, residual_backward
from npattn.models.stack import init_stack, stack, stack_backward
from npattn.models.recurrent_decoder import init_recurrent_decoder
from npattn.models.recurrent_encoder import init_recurrent_encoder
from npattn.models.seq2seq import Seq2SeqConfig, init_seq2seq
from npattn.models.time_series import TimeSeriesConfig, init_time_series
from npattn.models.transformer import TransformerConfig, init_transformer, transformer
from npattn.models.vision import VisionConfig, init_vision
from npattn.verification.case import (
    B, DK, DV, H, KEYS, QUERIES, ROWS, TK, TQ, Case, draw_mask, normal, perturbed, real_in_tiles,
)

WIDTH, HEADS, HIDDEN = 6, 2, 10
SOURCE_MASK = np.arange(TK) < np.array([[TK], [3]])
TARGET_MASK = np.arange(TQ) < np.array([[2], [TQ]])


# ---- blocks ----


def _chosen_attention(rng):
    return Case(
        (
            normal(rng, B, H, TQ, DK), normal(rng, B, H, TK, DK), normal(rng, B, H, TK, DV),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        axes={"Q": QUERIES, "K": KEYS, "V": KEYS}, forward=real_in_tiles(chosen_attention),
    )


def _multihead_attention(rng):
    Dq, Dk, Dv, Do = 3, 4, 5, 7
    params = MultiHeadParams(
        init_linear(Dq, WIDTH, rng), init_linear(Dk, WIDTH, rng), init_linear(Dv, WIDTH, rng),
        init_linear(WIDTH, Do, rng),
    )
    return Case(
        (
            normal(rng, B, TQ, Dq), normal(rng, B, TK, Dk), normal(rng, B, TK, Dv),
            perturbed(rng, params), draw_mask(rng, B, TQ, TK),
        ),
        dict(num_heads=HEADS, dropout=0.3, rng=rng),
    )


def _norm_params(rng, width=WIDTH):
    return LayerNormParams(normal(rng, width), normal(rng, width))


def _normalize(rng):
    return Case((normal(rng, B, TQ, WIDTH), _norm_params(rng)), dict(eps=1e-3), {"X": ROWS})


def _normalize_rms(rng):
    options = dict(normalization="rms_norm", eps=1e-3)
    return Case((normal(rng, B, TQ, WIDTH), normal(rng, WIDTH)), options, {"X": ROWS})


def _add_norm(rng):
    X, F = normal(rng, B, TQ, WIDTH), normal(rng, B, TQ, WIDTH)
    return Case((X, F, _norm_params(rng)), dict(eps=1e-3, dropout=0.3, rng=rng), {"X": ROWS})


def _residual(rng, norm):
    def forward(X, norm_params, params, **options):
        return residual(X, norm_params, lambda Z: feed_forward(Z, params), norm=norm, **options)

    def backward(dY, cache):
        return residual_backward(dY, cache, feed_forward_backward)

    params = perturbed(rng, init_feed_forward(WIDTH, HIDDEN, rng))
    args = normal(rng, B, TQ, WIDTH), _norm_params(rng), params
    return Case(args, dict(dropout=0.3, rng=rng), {"X": ROWS}, forward, backward)


def _stack(rng, options):
    """Blocks with options that the other cases leave as they are."""
    options = dict(num_heads=HEADS, **options)

    def forward(X, params):
        return stack(X, params, lambda X, p: encoder_block(X, p, **options), **options)

    def backward(dY, cache):
        return stack_backward(dY, cache, encoder_block_backward)

    params = init_stack(WIDTH, HIDDEN, 2, rng, init_encoder_block, **options)
    args = normal(rng, B, TQ, WIDTH), perturbed(rng, params)
    return Case(args, {}, {"X": ROWS}, forward, backward)


def _self_attention(rng):
    params = perturbed(rng, init_multihead(WIDTH, rng))
    return Case((normal(rng, B, TQ, WIDTH), params), dict(num_heads=HEADS), {"X": ROWS})


def _cross_attention(rng):
    params = perturbed(rng, init_multihead(WIDTH, rng, Dk=DK + 1, Dv=DK + 1))
    args = normal(rng, B, TQ, WIDTH), normal(rng, B, TK, DK + 1), params
    return Case(args, dict(num_heads=HEADS), {"X": ROWS, "M": ROWS})


def _self_attention_with(rng, init=None, **options):
    params = init_multihead(WIDTH, rng, num_heads=HEADS, **(init or {}))
    args = normal(rng, B, TQ, WIDTH), perturbed(rng, params), draw_mask(rng, B, TQ, TQ)
    return Case(args, dict(num_heads=HEADS, **options), {"X": ROWS})


def _scored_attention(rng):
    return Case(
        (
            normal(rng, B, H, TQ, DK), normal(rng, B, H, TK, DK), normal(rng, B, H, TK, DV),
            draw_mask(rng, B, 1, TQ, TK), normal(rng, H, TQ, TK), normal(rng, H),
        ),
        dict(cap=2.0), {"Q": QUERIES, "K": KEYS, "V": KEYS},
    )


def _chosen_attention_with(rng, **options):
    """Every step on the scores, two heads of queries for each of the keys."""
    lead = B, H, 2
    return Case(
        (
            normal(rng, *lead, TQ, DK), normal(rng, B, H, 1, TK, DK), normal(rng, B, H, 1, TK, DV),
            draw_mask(rng, B, 1, 1, TQ, TK), normal(rng, H, 1, TQ, TK), normal(rng, H, 2),
        ),
        dict(cap=2.0, window=(2, 1), offset=1, **options),
    )


def _prepare_heads(rng):
    params = perturbed(rng, init_head_extras(DK, H * DK, rng, qk_norm=True, extra_key=True))
    heads = (normal(rng, B, H, T, DK) for T in (TQ, TK, TK))
    options = dict(turn="halves", zero_key=True)
    return Case((*heads, params), options, {"Q": QUERIES, "K": KEYS, "V": KEYS})


def _feed_forward(rng, **options):
    params = perturbed(rng, init_feed_forward(WIDTH, HIDDEN, rng, **options))
    activation = "silu" if options else "gelu"
    return Case((normal(rng, B, TQ, WIDTH), params), dict(activation=activation))


def _encoder_block(rng):
    params = perturbed(rng, init_encoder_block(WIDTH, HIDDEN, rng))
    return Case(
        (normal(rng, B, TQ, WIDTH), params, draw_mask(rng, B, TQ, TQ)),
        dict(num_heads=HEADS, norm="post", dropout=0.3, rng=rng),
    )


def _encoder(rng):
    params = perturbed(rng, init_encoder(WIDTH, HIDDEN, 2, rng, norm="pre"))
    return Case(
        (normal(rng, B, TQ, WIDTH), params, draw_mask(rng, B, TQ, TQ)),
        dict(num_heads=HEADS, norm="pre", activation="gelu_tanh"),
    )


def _decoder_case(rng, params, options):
    return Case(
        (
            normal(rng, B, TQ, WIDTH), normal(rng, B, TK, WIDTH), perturbed(rng, params),
            causal_mask(TQ), draw_mask(rng, B, TQ, TK),
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


def _bidirectional_attention(rng):
    Da, Db = 3, DK
    return Case(
        (
            normal(rng, B, TQ, Da), normal(rng, B, TK, Db),
            perturbed(rng, init_bidirectional(Da, Db, DV, rng)),
            draw_mask(rng, B, TQ, TK), draw_mask(rng, B, TK, TQ),
        ),
        axes={"Xa": ROWS, "Xb": ROWS},
    )


# ---- Transformers ----

CONFIG = TransformerConfig(
    8, 9, width=WIDTH, num_heads=HEADS, hidden=HIDDEN, scale_embeddings=True, dropout=0.2
)
OPTIONS = dict(config=CONFIG)


def _embed_tokens(rng):
    return Case((rng.integers(0, 8, (B, TK)), normal(rng, 8, WIDTH)), dict(OPTIONS, rng=rng))


def _encode(rng):
    params = perturbed(rng, init_transformer(CONFIG, rng).encode)
    return Case((rng.integers(0, 8, (B, TK)), params, SOURCE_MASK), dict(OPTIONS, rng=rng))


def _decode(rng):
    params = perturbed(rng, init_transformer(CONFIG, rng).decode)
    return Case(
        (rng.integers(0, 9, (B, TQ)), normal(rng, B, TK, WIDTH), params, TARGET_MASK, SOURCE_MASK),
        dict(OPTIONS, rng=rng),
    )


def _transformer(rng):
    params = perturbed(rng, init_transformer(CONFIG, rng))
    return Case(
        (
            rng.integers(0, 8, (B, TK)), rng.integers(0, 9, (B, TQ)), params,
            SOURCE_MASK, TARGET_MASK,
        ),
        dict(OPTIONS, rng=rng),
    )


def _time_series_transformer(rng):
    config = TimeSeriesConfig((TK, 3), (2, DV), width=4, num_heads=2, hidden=DK, num_blocks=2)
    params = perturbed(rng, init_time_series(config, rng))
    return Case(
        (normal(rng, B, TK, 3), params), dict(config=config, rng=rng), {"X": "batch time channel"}
    )


# ---- recurrence ----

STATE, EMBEDDING, VOCABULARY = 4, 3, 6


def _states(rng):
    return tuple(normal(rng, B, STATE) for _ in range(2))


def _recurrent_encoder(rng):
    params = init_recurrent_encoder(VOCABULARY, EMBEDDING, STATE, 2, rng)
    return Case(
        (rng.integers(0, VOCABULARY, (B, TK)), perturbed(rng, params), SOURCE_MASK),
        dict(dropout_rate=0.3, rng=rng),
    )


def _recurrent_decoder_params(rng):
    return perturbed(rng, init_recurrent_decoder(VOCABULARY, EMBEDDING, STATE, 2, rng))


def _recurrent_step(rng):
    params, mask = _recurrent_decoder_params(rng).step, SOURCE_MASK.copy()
    mask[0] = False
    return Case(
        (normal(rng, B, EMBEDDING), _states(rng), normal(rng, B, TK, STATE), params, mask),
        dict(dropout_rate=0.3, rng=rng),
    )


def _recurrent_decoder(rng):
    ids, params = rng.integers(0, VOCABULARY, (B, 3)), _recurrent_decoder_params(rng)
    return Case(
        (ids, _states(rng), normal(rng, B, TK, STATE), params, SOURCE_MASK),
        dict(dropout_rate=0.3, rng=rng),
    )


def _seq2seq(rng):
    config = Seq2SeqConfig(
        VOCABULARY, 7, embedding=EMBEDDING, width=STATE, reset="after", dropout=0.2
    )
    params = perturbed(rng, init_seq2seq(config, rng))
    source, target = rng.integers(0, VOCABULARY, (B, TK)), rng.integers(0, 7, (B, 3))
    return Case((source, target, params, SOURCE_MASK), dict(config=config, rng=rng))


# ---- vision ----

IMAGE = "image channel row column"


def _patch_embedding(rng):
    params = LinearParams(normal(rng, 2 * 2 * 3, DV), normal(rng, DV))
    return Case(
        (normal(rng, B, 3, 4, 6), params), dict(patch=2), {"X": IMAGE}
    )


def _vision_transformer(rng, pool):
    config = VisionConfig(
        (3, 4, 6), patch=2, classes=5, width=4, num_heads=2, hidden=6, pool=pool, dropout=0.2
    )
    params = perturbed(rng, init_vision(config, rng))
    return Case((normal(rng, B, 3, 4, 6), params), dict(config=config, rng=rng))


def _patch_attention(rng, width):
    """A map of 4 × 6 pixels in patches of 2 × 2, so that width is channels or pixels of a patch."""
    params = perturbed(rng, init_multihead(width, rng))
    return Case((normal(rng, B, 4, 6, DK), params), dict(patch=2, num_heads=2))


def _cat_block(rng):
    params = perturbed(rng, init_cat_block(3, DV, rng, kind="cross", patch=2))
    return Case((normal(rng, B, 4, 6, 3), params), dict(kind="cross", patch=2, num_heads=2))


def _cat(rng):
    params = perturbed(rng, init_cat(6, 3, rng, patch=2))
    return Case((normal(rng, B, 2, 4, 6), params), dict(patch=2, num_heads=2))


def _in_tiles(build, forward):
    """The case once more, with kernel="tiled"; its generator is left out, and with it dropout."""

    def case(rng):
        built = build(rng)
        options = {key: value for key, value in built.options.items() if key != "rng"}
        return built._replace(options=options, forward=real_in_tiles(forward))

    return case


CASES = {
    "chosen_attention": _chosen_attention,
    "chosen_attention with every step on the scores": _chosen_attention_with,
    "chosen_attention with every step, in tiles": _in_tiles(
        _chosen_attention_with, chosen_attention,
    ),
    "multihead_attention": _multihead_attention,
    "multihead_attention in tiles": _in_tiles(_multihead_attention, multihead_attention),
    "bidirectional_attention": _bidirectional_attention,
    "normalize": _normalize,
    "normalize by root mean square": _normalize_rms,
    "add_norm": _add_norm,
    "residual": partial(_residual, norm="post"),
    "residual in pre-norm": partial(_residual, norm="pre"),
    "self_attention": _self_attention,
    "self_attention with a sink and normalized queries and keys": partial(
        _self_attention_with, init=dict(sink=True, qk_norm=True, head_width=4),
        turn="halves", window=(2, 0), cap=2.0,
    ),
    "self_attention with heads of another width": partial(
        _self_attention_with, init=dict(head_width=DK), turn="interleaved",
    ),
    "self_attention in groups": partial(
        _self_attention_with, init=dict(num_kv_heads=1), num_kv_heads=1,
    ),
    "self_attention in groups with a sink": partial(
        _self_attention_with, init=dict(num_kv_heads=1, sink=True, qk_norm=True), num_kv_heads=1,
    ),
    "self_attention in groups and tiles": _in_tiles(
        partial(_self_attention_with, init=dict(num_kv_heads=1), num_kv_heads=1), self_attention,
    ),
    "self_attention in groups and tiles with every option": _in_tiles(
        partial(
            _self_attention_with, init=dict(num_kv_heads=1, sink=True, qk_norm=True, head_width=4),
            num_kv_heads=1, turn="interleaved", window=(2, 0), cap=2.0,
        ), self_attention,
    ),
    "cross_attention": _cross_attention,
    "scored_attention": _scored_attention,
    "prepare_heads": _prepare_heads,
    "stack": partial(_stack, options=dict(bias=False, eps=1e-3, activation="silu")),
    "stack as in Llama": partial(_stack, options=dict(
        norm="pre", normalization="rms_norm", bias=False, activation="silu", gated=True,
    )),
    "stack as in Gemma": partial(_stack, options=dict(
        norm="sandwich", normalization="rms_norm_1", bias=False, activation="gelu_tanh", gated=True,
        qk_norm=True, scale=0.7,
    )),
    "feed_forward": _feed_forward,
    "feed_forward with a gate": partial(_feed_forward, gated=True),
    "encoder_block": _encoder_block,
    "encoder": _encoder,
    "decoder_block": _decoder_block,
    "decoder": _decoder,
    "embed_tokens": _embed_tokens,
    "encode": _encode,
    "decode": _decode,
    "transformer": _transformer,
    "transformer in tiles": _in_tiles(_transformer, transformer),
    "time_series_transformer": _time_series_transformer,
    "recurrent_encoder": _recurrent_encoder,
    "recurrent_step": _recurrent_step,
    "recurrent_decoder": _recurrent_decoder,
    "seq2seq": _seq2seq,
    "patch_embedding": _patch_embedding,
    "vision_transformer": partial(_vision_transformer, pool="class"),
    "inner_patch_attention": partial(_patch_attention, width=DK),
    "cross_patch_attention": partial(_patch_attention, width=4),
    "cat_block": _cat_block,
    "cat": _cat,
}
