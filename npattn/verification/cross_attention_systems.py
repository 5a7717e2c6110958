"""Cross-attention, one way and both ways."""

from functools import partial

import numpy as np

from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.masks import valid_lens_mask
from npattn.models.co_attention import (
    bidirectional_attention, bidirectional_attention_backward, init_bidirectional,
)
from npattn.models.multihead import (
    cross_attention_backward, init_multihead, multihead_attention, multihead_attention_backward,
)
from npattn.trees import tree_map
from npattn.verification.book_systems import lens_multihead
from npattn.verification.system import System, normal, shaken
from npattn.verification.torch_formulas import affine, multihead, prefix, weights

CROSS_ATTENTION = "cross-attention between two sequences and between patches"


def _build_bidirectional(rng, dtype):
    return {
        "Xa": normal(rng, dtype, 16, 36, 192), "Xb": normal(rng, dtype, 16, 192, 36),
        "params": shaken(init_bidirectional(192, 36, 64, rng, dtype=dtype), rng),
    }


def _torch_bidirectional(torch, t):
    """The example's way of writing, with its two outputs exchanged, as they should be."""
    scores = torch.matmul(
        affine(t, "params.a", t["Xa"]), affine(t, "params.b", t["Xb"]).transpose(1, 2)
    )
    over_b, over_a = torch.softmax(scores, dim=-1), torch.softmax(scores.transpose(1, 2), dim=-1)
    return torch.matmul(over_b, t["Xb"]), torch.matmul(over_a, t["Xa"])


def _build_co_attention(rng, dtype):
    """Padding on both sides; the second pair has nothing in b, so its a reads nothing."""
    A, B, Va, Vb = (normal(rng, dtype, 3, *s) for s in ((4, 6), (5, 6), (4, 2), (5, 7)))
    return {
        "A": A, "B": B, "Va": Va, "Vb": Vb,
        "mask_a": valid_lens_mask([5, 0, 2], 5), "mask_b": valid_lens_mask([3, 4, 1], 4),
    }


def _torch_co_attention(torch, t):
    S = torch.einsum("nad,nbd->nab", t["A"], t["B"]) / 6**0.5
    return (
        torch.einsum("nab,nbd->nad", weights(S, t["mask_a"]), t["Vb"]),
        torch.einsum("nba,nad->nbd", weights(S.mT, t["mask_b"]), t["Va"]),
    )


def _unscaled_cross(Xq, Xk, Xv, params):
    return multihead_attention(Xq, Xk, Xv, params, num_heads=1, scale=1.0)


def _build_unscaled_cross(rng, dtype):
    """Weights within ±1/√512, as torch.nn.Linear draws them: larger ones saturate the softmax."""
    Xq, Xk, Xv = (normal(rng, dtype, 1, T, 512) for T in (10, 20, 20))
    params = init_multihead(512, rng, output=False, dtype=dtype)
    params = shaken(tree_map(lambda p: p / 3**0.5, params), rng)
    return {"Xq": Xq, "Xk": Xk, "Xv": Xv, "params": params}


def _torch_unscaled_cross(torch, t):
    q, k, v = (affine(t, f"params.{name}", t[f"X{name[0]}"]) for name in ("query", "key", "value"))
    return torch.matmul(torch.matmul(q, k.transpose(-2, -1)).softmax(-1), v)


def _build_memory(rng, dtype):
    """Decoder states of length 7 beside encoder outputs of lengths 5 and 3, padded to 5."""
    return {
        "Xq": normal(rng, dtype, 2, 7, 24), "Xkv": normal(rng, dtype, 2, 5, 16),
        "params": shaken(init_multihead(24, rng, Dk=16, Dv=16, dtype=dtype), rng),
        "valid_lens": np.array([5, 3]),
    }


def _torch_memory(torch, t, *, num_heads):
    M, mask = t["Xkv"], prefix(torch, t["valid_lens"], 5)
    return multihead(torch, t, "params", t["Xq"], M, M, num_heads, mask)


SYSTEMS = (
    System(
        "bidirectional cross-attention", CROSS_ATTENTION, _build_bidirectional,
        partial(bidirectional_attention, scale=1.0), bidirectional_attention_backward,
        _torch_bidirectional,
    ),
    System(
        "bidirectional cross-attention, padding on both sides", CROSS_ATTENTION,
        _build_co_attention, co_attention, co_attention_backward, _torch_co_attention,
    ),
    System(
        "cross-attention, unscaled", CROSS_ATTENTION, _build_unscaled_cross,
        _unscaled_cross, multihead_attention_backward, _torch_unscaled_cross,
    ),
    System(
        "encoder-decoder cross-attention with two lengths", CROSS_ATTENTION, _build_memory,
        partial(lens_multihead, num_heads=4), cross_attention_backward,
        partial(_torch_memory, num_heads=4),
    ),
)
