"""A case for every pair of a language model: CASES, by name; LoRA once more in torch: IN_TORCH."""

from dataclasses import replace
from functools import partial

import numpy as np

from npattn.kernels.layer_norm import init_layer_norm
from npattn.kernels.linear import init_linear
from npattn.kernels.lora import LoRAParams
from npattn.kernels.masks import causal_mask
from npattn.models.bert import BertConfig, BertParams
from npattn.models.block import init_encoder_block
from npattn.models.encoder import init_encoder
from npattn.models.head_extras import Rotary
from npattn.models.language_model import LanguageModelConfig, init_language_model
from npattn.models.projection import AdaptedParams, FrozenParams, project, project_backward
from npattn.verification.case import B, DK, DV, ROWS, TQ, Case, normal, perturbed

CONFIG = LanguageModelConfig(
    vocabulary=9, width=6, num_blocks=2, num_heads=4, num_kv_heads=2, head_width=8, hidden=5,
    context=7, windows=(2, None), local_rotary=Rotary(base=100.0), embedding_scale=1.5, scale=0.4,
)


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


GPT2 = LanguageModelConfig(
    vocabulary=9, width=6, num_blocks=2, num_heads=3, hidden=5, context=7, activation="gelu_tanh",
    normalization="layer_norm", gated=False, bias=True, rotary=None,
)
GEMMA = replace(CONFIG, norm="sandwich", activation="gelu_tanh", qk_norm=True)


def _attention_without_heads(rng):
    """Two heads give something else: nothing may flow back into them."""
    patch = {1: 0.0, 2: normal(rng, B, TQ, GEMMA.head_width)}
    params = init_encoder_block(GEMMA.width, GEMMA.hidden, rng, options=GEMMA).attention
    args = normal(rng, B, TQ, GEMMA.width), perturbed(rng, params), causal_mask(TQ)
    return Case(args, dict(patch=patch, **GEMMA.self_attended(None)), {"X": ROWS})


def _block(rng):
    params = init_encoder_block(GEMMA.width, GEMMA.hidden, rng, options=GEMMA)
    args = normal(rng, B, TQ, GEMMA.width), perturbed(rng, params), causal_mask(TQ)
    return Case(args, dict(options=GEMMA), {"X": ROWS})


def _language_model(rng, config=CONFIG, tied=True, **options):
    params = perturbed(rng, init_language_model(config, rng, tied=tied))
    tokens = rng.integers(0, config.vocabulary, (B, TQ))
    return Case((tokens, params), dict(config=config, **options))


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
    "self_attention without two heads": _attention_without_heads,
    "encoder_block of Gemma": _block,
    "language_model": _language_model,
    "language_model of GPT-2": partial(_language_model, config=GPT2),
    "language_model of Gemma": partial(_language_model, config=GEMMA),
    "language_model with an output of its own": partial(_language_model, tied=False),
    "language_model without a head": partial(_language_model, heads_off=[(0, 1)]),
}
IN_TORCH = {
    "lora": lambda torch, X, params, *, scale=1.0: X @ (scale * params.A @ params.B),
}
