"""Self-attention and multi-head attention: one X, three gradient paths."""

from functools import partial

from npattn.kernels.masks import causal_mask, combine_masks, pad_sequences, valid_lens_mask
from npattn.models.multihead import init_multihead, self_attention, self_attention_backward
from npattn.verification.system import System, normal, shaken
from npattn.verification.torch_formulas import multihead

SELF_ATTENTION = "self-attention, multi-head self-attention and padding masks"
MASKED = "multi-head attention with padding and look-ahead masks"


def _padded_self_attention(X, params, tokens, *, num_heads):
    return self_attention(X, params, tokens[:, None, :], num_heads=num_heads)


def _build_padded(rng, dtype):
    """Lengths 3 and 5, padded to 10, 128 wide."""
    X, tokens = pad_sequences([normal(rng, dtype, T, 128) for T in (3, 5)], 10)
    params = shaken(init_multihead(128, rng, output=False, dtype=dtype), rng)
    return {"X": X, "params": params, "tokens": tokens}


def _torch_padded(torch, t, *, num_heads):
    X = t["X"]
    return multihead(torch, t, "params", X, X, X, num_heads, t["tokens"][:, None, :])


def _build_masked(rng, dtype, *, look_ahead):
    """Two sequences of 5 and 3 tokens, 512 wide, masks (B, 1, 1, T) or (B, 1, T, T)."""
    params = shaken(init_multihead(512, rng, dtype=dtype), rng)
    mask = valid_lens_mask([5, 3], 5)[:, None]
    mask = combine_masks(mask, causal_mask(5)) if look_ahead else mask
    return {"X": normal(rng, dtype, 2, 5, 512), "params": params, "mask": mask}


def _torch_masked(torch, t, *, num_heads):
    X = t["X"]
    return multihead(torch, t, "params", X, X, X, num_heads, t["mask"])


def _padded(name, H):
    return System(
        name, SELF_ATTENTION, _build_padded,
        partial(_padded_self_attention, num_heads=H), self_attention_backward,
        partial(_torch_padded, num_heads=H),
    )


def _masked(name, look_ahead):
    return System(
        name, MASKED, partial(_build_masked, look_ahead=look_ahead),
        partial(self_attention, num_heads=8), self_attention_backward,
        partial(_torch_masked, num_heads=8),
    )


SYSTEMS = (
    _padded("self-attention with a padding mask", 1),
    _padded("multi-head self-attention without output projection", 2),
    _masked("multi-head attention with a padding mask (B, 1, 1, T)", False),
    _masked("multi-head attention with a look-ahead mask", True),
)
