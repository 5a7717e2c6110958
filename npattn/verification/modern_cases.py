"""A case for every pair of the pages that a Transformer of today adds: CASES, by name."""

from npattn.kernels.qk_norm import QKNormParams
from npattn.kernels.rotary_speeds import rotary_speeds
from npattn.verification.case import B, DK, H, KEYS, QUERIES, ROWS, TK, TQ, Case, normal


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


CASES = {
    "rms_norm": _rms_norm,
    "qk_norm": _qk_norm,
    "silu": _silu,
    "swiglu": _gated,
    "geglu": _gated,
    "geglu_tanh": _gated,
    "rotary in halves": _rotary_in_halves,
}
