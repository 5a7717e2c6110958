"""A case for every pair of a language model: CASES, by name; LoRA once more in torch: IN_TORCH."""

from functools import partial

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams, init_layer_norm
from npattn.kernels.linear import init_linear
from npattn.kernels.lora import LoRAParams
from npattn.kernels.masks import causal_mask
from npattn.kernels.rotary_speeds import rotary_speeds
from npattn.kernels.rotary_table import rotary_table
from npattn.models.bert import BertConfig, BertParams
from npattn.models.encoder import init_encoder
from npattn.models.language_model import LanguageModelConfig, init_language_model
from npattn.models.projection import AdaptedParams, FrozenParams, project, project_backward
from npattn.verification.case import B, DK, DV, ROWS, TQ, Case, normal, perturbed

CONFIG = LanguageModelConfig(
    vocabulary=9, width=6, num_blocks=2, num_heads=4, num_kv_heads=2, head_width=8, hidden=5,
    context=7, windows=(2, None), local_rotary_base=100.0, embedding_scale=1.5, scale=0.4,
)
HEADS = dict(num_heads=CONFIG.num_heads, num_kv_heads=CONFIG.num_kv_heads)


def _lora(rng):
    params = LoRAParams(normal(rng, DK, 2), normal(rng, 2, DV))
    return Case((normal(rng, B, TQ, DK), params), dict(scale=0.7), {"X": ROWS})


def _project(rng):
    params = perturbed(rng, init_linear(DK, DV, rng))
    return Case((normal(rng, B, TQ, DK), params), axes={"X": ROWS})


def _adapted(rng):
    """The layer does not learn: it is no argument here, and its gradient is None."""
    layer = FrozenParams(normal(rng, DK, DV), normal(rng, DV))

    def forward(X, update):
        return project(X, AdaptedParams(layer, update))

    def backward(dY, cache):
        dX, dparams = project_backward(dY, cache)
        return dX, dparams.update

    params = LoRAParams(normal(rng, DK, 2), normal(rng, 2, DV))
    return Case((normal(rng, B, TQ, DK), params), forward=forward, backward=backward)


def _normed(rng, params):
    return Case((normal(rng, B, TQ, DK), params(rng)), dict(eps=0.1), {"X": ROWS})


def _layer_norm(rng):
    return LayerNormParams(normal(rng, DK), normal(rng, DK))


def _params(rng, **parts):
    return perturbed(rng, init_language_model(CONFIG, rng, **parts))


def _turned(dtype=np.float64):
    return rotary_table(np.arange(TQ), rotary_speeds(CONFIG.head_width), dtype=dtype)


def _grouped_attention(rng, **options):
    params = _params(rng, bias=True, qk_norm=True).blocks[0].attention
    return Case(
        (normal(rng, B, TQ, CONFIG.width), params, causal_mask(TQ)),
        dict(HEADS, table=_turned(), **options), {"X": ROWS},
    )


def _attention_without_heads(rng):
    """Two heads give something else: nothing may flow back into them."""
    return _grouped_attention(rng, off=(1,), patch={2: normal(rng, B, TQ, CONFIG.head_width)})


def _gated_feed_forward(rng, gated, activation):
    params = _params(rng, bias=True, gated=gated).blocks[0].network
    X = normal(rng, B, TQ, CONFIG.width)
    return Case((X, params), dict(activation=activation), {"X": ROWS})


def _language_block(rng):
    params = _params(rng, qk_norm=True, after=True).blocks[0]
    return Case(
        (normal(rng, B, TQ, CONFIG.width), params, causal_mask(TQ)), dict(HEADS, table=_turned())
    )


def _language_model(rng, config=CONFIG, **parts):
    params = perturbed(rng, init_language_model(config, rng, **parts))
    return Case((rng.integers(0, config.vocabulary, (B, TQ)), params), dict(config=config))


GPT2 = LanguageModelConfig(
    vocabulary=9, width=6, num_blocks=2, num_heads=3, num_kv_heads=3, head_width=2, hidden=5,
    context=7, rotary_base=None, activation="gelu_tanh",
)


def _bert(rng):
    D, config = 6, BertConfig(num_heads=2)
    params = BertParams(
        normal(rng, 9, D), normal(rng, 7, D), normal(rng, D), init_layer_norm(D),
        init_encoder(D, 5, 2, rng, options=config),
    )
    mask = np.arange(TQ) < np.array([[TQ], [2]])
    return Case((rng.integers(0, 9, (B, TQ)), perturbed(rng, params), mask), dict(config=config))


CASES = {
    "bert": _bert,
    "lora": _lora,
    "project": _project,
    "project with an update": _adapted,
    "normed": partial(_normed, params=lambda rng: normal(rng, DK)),
    "normed with a mean": partial(_normed, params=_layer_norm),
    "grouped_attention": _grouped_attention,
    "grouped_attention without two heads": _attention_without_heads,
    "gated_feed_forward": partial(_gated_feed_forward, gated=True, activation="swiglu"),
    "gated_feed_forward without a gate": partial(
        _gated_feed_forward, gated=False, activation="gelu_tanh"),
    "language_block": _language_block,
    "language_model": _language_model,
    "language_model of GPT-2": partial(
        _language_model, config=GPT2, gated=False, bias=True, rms=False),
    "language_model with an output of its own": partial(_language_model, tied=False),
}
IN_TORCH = {
    "lora": lambda torch, X, params, *, scale=1.0: X @ (scale * params.A @ params.B),
}
