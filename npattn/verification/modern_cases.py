"""A case for every pair of the pages that a Transformer of today adds: CASES, by name."""

from functools import partial

import numpy as np

from npattn.kernels.key_value_cache import KeysValues
from npattn.kernels.qk_norm import QKNormParams
from npattn.kernels.rotary_speeds import rotary_speeds
from npattn.verification.case import (
    B, DK, DV, H, KEYS, QUERIES, ROWS, TK, TQ, Case, draw_mask, normal,
)

SCORES = "batch head query key"


def _rms_norm(rng):
    return Case(
        (normal(rng, B, TQ, DK), normal(rng, DK)), dict(eps=0.1), {"X": ROWS, "gain": "dim"}
    )


def _qk_norm(rng):
    params = QKNormParams(normal(rng, DK), normal(rng, DK))
    return Case(
        (normal(rng, B, H, TQ, DK), normal(rng, B, H, TK, DK), params),
        axes={"Q": QUERIES, "K": KEYS, "params.query": "dim", "params.key": "dim"},
    )


def _silu(rng):
    return Case((3.0 * normal(rng, B, TQ, DK),), axes={"A": ROWS})


def _gated(rng):
    return Case((normal(rng, B, TQ, DK), normal(rng, B, TQ, DK)), axes={"A": ROWS, "U": ROWS})


def _rotary_in_halves(rng):
    """Four of six columns turn, from positions that each sequence has for itself."""
    positions = rng.integers(0, 50, (B, 1, TQ))
    return Case(
        (normal(rng, B, H, TQ, DK),),
        dict(positions=positions, speeds=rotary_speeds(4, base=100.0), pairing="halves"),
        {"X": "batch head position dim"},
    )


def _soft_cap(rng):
    return Case((3.0 * normal(rng, B, H, TQ, TK), 2.0), axes={"S": SCORES})


def _add_bias(rng):
    return Case(
        (normal(rng, B, H, TQ, TK), normal(rng, H, 1, TK)),
        axes={"S": SCORES, "bias": "head query key"},
    )


def _attend_with_sink(rng):
    return Case(
        (
            normal(rng, B, H, TQ, TK), normal(rng, B, H, TK, DV), normal(rng, H),
            draw_mask(rng, B, 1, TQ, TK),
        ),
        dict(dropout=0.3, rng=rng), {"S": SCORES, "V": KEYS, "sink": "head"},
    )


def _append_keys_values(rng):
    past = KeysValues(normal(rng, B, H, TK, DK), normal(rng, B, H, TK, DV))
    return Case(
        (past, normal(rng, B, H, TQ, DK), normal(rng, B, H, TQ, DV)),
        axes={"past.K": KEYS, "past.V": KEYS, "K": KEYS, "V": KEYS},
    )


def _token_losses(rng, **options):
    return Case(
        (normal(rng, B, TQ, DV), rng.integers(0, DV, (B, TQ))),
        dict(ignore=2, label_smoothing=0.1, weights=np.abs(normal(rng, DV)), **options),
        {"logits": "batch position class"},
    )


CASES = {
    "rms_norm": _rms_norm,
    "qk_norm": _qk_norm,
    "silu": _silu,
    "swiglu": _gated,
    "geglu": _gated,
    "geglu_tanh": _gated,
    "rotary in halves": _rotary_in_halves,
    "soft_cap": _soft_cap,
    "add_bias": _add_bias,
    "attend_with_sink": _attend_with_sink,
    "append_keys_values": _append_keys_values,
    "token_losses": _token_losses,
    "cross_entropy weighted, summed": partial(_token_losses, reduction="sum"),
    "cross_entropy weighted, mean": partial(_token_losses, reduction="mean"),
    "cross_entropy weighted, each": partial(_token_losses, reduction="none"),
}
