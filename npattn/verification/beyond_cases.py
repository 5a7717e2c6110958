"""A case for every pair of the attentions beyond one softmax over keys: CASES, by name."""

from npattn.kernels.channel_attention import ChannelParams
from npattn.kernels.differential import LambdaParams
from npattn.kernels.latent_attention import LatentParams
from npattn.kernels.linear import LinearParams
from npattn.kernels.linear_state import Gates
from npattn.kernels.mixture_of_experts import ExpertsParams
from npattn.kernels.spatial_attention import SpatialParams
from npattn.verification.case import (
    B, DK, DV, H, KEYS, QUERIES, ROWS, TK, TQ, Case, draw_mask, normal,
)

TOKENS = "batch head token dim"
IMAGE = "image row column channel"


def _linear_attention(rng, decay=DK, beta=True, group=1, **options):
    """Keys about as long as 1, so that the delta rule stays tame."""
    heads = (B, H) if group == 1 else (B, H, group)
    shared = heads if group == 1 else (B, H, 1)
    gates = Gates(
        -rng.random((*shared, TK, decay)) if decay else None,
        rng.random((*shared, TK, 1)) if beta else None,
    )
    return Case(
        (
            normal(rng, *heads, TK, DK), 0.4 * normal(rng, *shared, TK, DK),
            normal(rng, *shared, TK, DV), gates, normal(rng, *shared, DK, DV),
        ),
        options, {"Q": TOKENS, "K": TOKENS, "V": TOKENS} if group == 1 else {},
    )


def _in_chunks(rng, **options):
    return _linear_attention(rng, chunk=3, **options)


def _differential_attention(rng):
    Q1, Q2 = normal(rng, B, H, TQ, DK), normal(rng, B, H, TQ, DK)
    K1, K2 = normal(rng, B, H, TK, DK), normal(rng, B, H, TK, DK)
    V, lam = normal(rng, B, H, TK, DV), normal(rng, H)
    axes = {"Q1": QUERIES, "Q2": QUERIES, "K1": KEYS, "K2": KEYS, "V": KEYS, "lam": "head"}
    return Case((Q1, Q2, K1, K2, V, lam, draw_mask(rng, B, 1, TQ, TK)), axes=axes)


def _differential_lambda(rng):
    return Case((LambdaParams(*(normal(rng, H, 14) for _ in range(4))),))


def _latent_attention(rng):
    R, Dr = 8, 2
    params = LatentParams(normal(rng, H, R, DK), normal(rng, H, R, DV))
    return Case(
        (
            normal(rng, B, H, TQ, DK), normal(rng, B, H, TQ, Dr), normal(rng, B, TK, R),
            normal(rng, B, TK, Dr), params, draw_mask(rng, B, 1, TQ, TK),
        ),
        axes={"Qc": QUERIES, "Qr": QUERIES, "C": "batch key dim", "Kr": "batch key dim"},
    )


def _mixture_of_experts(rng):
    E, F = 4, 5
    shapes = (DK, E), (E, DK, F), (E, DK, F), (E, F, DK)
    params = ExpertsParams(*(normal(rng, *shape) for shape in shapes))
    return Case((normal(rng, B, TQ, DK), params, 2), axes={"X": ROWS})


def _channel_attention(rng, **options):
    params = ChannelParams(
        LinearParams(normal(rng, DK, 3), normal(rng, 3)),
        LinearParams(normal(rng, 3, DK), normal(rng, DK)),
    )
    return Case((normal(rng, B, TQ, TK, DK), params), options, {"X": IMAGE})


def _spatial_attention(rng):
    params = SpatialParams(0.3 * normal(rng, 3, 3, 2), normal(rng, 1))
    return Case((normal(rng, B, TQ, TK, DK), params), axes={"X": IMAGE})


CASES = {
    "linear_attention": _linear_attention,
    "linear_attention gated": lambda rng: _linear_attention(rng, decay=1, beta=False),
    "linear_attention delta": lambda rng: _linear_attention(rng, decay=0),
    "linear_attention grouped": lambda rng: _linear_attention(rng, decay=1, group=2),
    "linear_attention_in_chunks": _in_chunks,
    "linear_attention_in_chunks gated": lambda rng: _in_chunks(rng, decay=1, beta=False),
    "linear_attention_in_chunks delta": lambda rng: _in_chunks(rng, decay=0),
    "linear_attention_in_chunks grouped": lambda rng: _in_chunks(rng, group=2),
    "differential_attention": _differential_attention,
    "differential_lambda": _differential_lambda,
    "latent_attention": _latent_attention,
    "latent_attention_absorbed": _latent_attention,
    "mixture_of_experts": _mixture_of_experts,
    "channel_attention": _channel_attention,
    "channel_attention with maximum": lambda rng: _channel_attention(rng, use_max=True),
    "spatial_attention": _spatial_attention,
}
