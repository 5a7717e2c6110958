"""Attention in patches and across them, on a map of 6 × 4 pixels in patches of 2 × 2."""

from functools import partial

from npattn.models.cat import cat, cat_backward, init_cat
from npattn.models.multihead import init_multihead
from npattn.models.patch_attention import (
    cross_patch_attention, cross_patch_attention_backward, inner_patch_attention,
    inner_patch_attention_backward,
)
from npattn.verification.cross_attention_systems import CROSS_ATTENTION
from npattn.verification.system import System, normal, shaken
from npattn.verification.torch_formulas import affine, multihead, norm

PATCH = 2


def _build_patches(rng, dtype, *, width):
    params = shaken(init_multihead(width, rng, dtype=dtype), rng)
    return {"X": normal(rng, dtype, 3, 6, 4, 10), "params": params}


def _torch_inner(torch, t, layer="params", X=None, H=5):
    """Patch by patch, in a loop."""
    X = t["X"] if X is None else X
    Y = torch.empty_like(X)
    for i in range(0, X.shape[1], PATCH):
        for j in range(0, X.shape[2], PATCH):
            Z = X[:, i : i + PATCH, j : j + PATCH]
            A = multihead(torch, t, layer, *3 * [Z.flatten(1, 2)], H)
            Y[:, i : i + PATCH, j : j + PATCH] = A.reshape(Z.shape)
    return Y


def _torch_cross(torch, t, layer="params", X=None):
    """Channel by channel, patches by unfolding."""
    X = t["X"] if X is None else X
    channels = []
    for Z in X.unbind(-1):
        tiles = Z.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)  # (B, rows, columns, P, P)
        A = multihead(torch, t, layer, *3 * [tiles.flatten(3).flatten(1, 2)], 1)
        channels.append(A.reshape(tiles.shape).permute(0, 1, 3, 2, 4).reshape(Z.shape))
    return torch.stack(channels, -1)


def _build_cat(rng, dtype):
    params = shaken(init_cat(10, 12, rng, patch=PATCH, dtype=dtype), rng)
    return {"X": normal(rng, dtype, 3, 6, 4, 10), "params": params}


def _torch_cat(torch, t):
    X = t["X"]
    for i, attend in enumerate((_torch_inner, _torch_cross, _torch_inner)):
        block = f"params[{i}]"
        X = X + attend(torch, t, f"{block}.attention", norm(t, f"{block}.attention_norm", X))
        N = norm(t, f"{block}.feed_forward_norm", X)
        hidden = torch.nn.functional.gelu(affine(t, f"{block}.feed_forward.hidden", N))
        X = X + affine(t, f"{block}.feed_forward.output", hidden)
    return X


SYSTEMS = (
    System(
        "inner-patch attention", CROSS_ATTENTION, partial(_build_patches, width=10),
        partial(inner_patch_attention, patch=PATCH, num_heads=5), inner_patch_attention_backward,
        _torch_inner,
    ),
    System(
        "cross-patch attention", CROSS_ATTENTION, partial(_build_patches, width=PATCH**2),
        partial(cross_patch_attention, patch=PATCH), cross_patch_attention_backward, _torch_cross,
    ),
    System(
        "inner, cross and inner patch blocks", CROSS_ATTENTION, _build_cat,
        partial(cat, patch=PATCH, num_heads=5), cat_backward, _torch_cat,
    ),
)
