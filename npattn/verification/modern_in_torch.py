"""The pages that a Transformer of today adds, once more in torch: IN_TORCH, by name.

As in `kernels_in_torch`, each formulation takes torch, then the kernel's own arguments as tensors.
"""

import math
from functools import partial

import numpy as np

from npattn.kernels.dropout import draw_keep


def _rms_norm(torch, X, gain, *, eps=1e-6):
    return torch.nn.functional.rms_norm(X, X.shape[-1:], gain, eps)


def _qk_norm(torch, Q, K, params, *, eps=1e-6):
    return _rms_norm(torch, Q, params.query, eps=eps), _rms_norm(torch, K, params.key, eps=eps)


def _rotary(torch, X, *, offset=0, positions=None, speeds=None, pairing="interleaved"):
    """Pairs of columns as complex numbers, turned by a factor of length 1."""
    T, D = X.shape[-2:]
    if positions is None:
        positions = torch.arange(T, device=X.device) + offset
    if speeds is None:
        speeds = 10000.0 ** (-torch.arange(0, D, 2, dtype=X.dtype, device=X.device) / D)
    angle = positions.to(X.dtype).unsqueeze(-1) * speeds
    W = 2 * len(speeds)
    turned, rest = X.split([W, D - W], dim=-1)
    pairs = turned.unflatten(-1, (-1, 2) if pairing == "interleaved" else (2, -1))
    pairs = pairs if pairing == "interleaved" else pairs.transpose(-1, -2)
    pairs = torch.view_as_complex(pairs.contiguous())
    turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle))
    turned = turned if pairing == "interleaved" else turned.transpose(-1, -2)
    return torch.cat([turned.flatten(-2), rest], dim=-1)


def _attend_with_sink(torch, S, V, sink, mask=None, *, dropout=0.0, rng=None):
    """The sum of exponentials, with the sink in it, by hand; masked scores never reach autograd."""
    mask = torch.ones(S.shape, dtype=torch.bool, device=S.device) if mask is None else mask
    L = torch.logsumexp(S.masked_fill(~mask, -math.inf), dim=-1, keepdim=True)
    P = (S - torch.logaddexp(L, sink[:, None, None].expand(L.shape))).masked_fill(~mask, -math.inf)
    P = torch.exp(P)
    keep = draw_keep(np.empty((*S.shape[:-1], S.shape[-1] + 1)), dropout, rng)
    return (P if keep is None else P * torch.from_numpy(keep).to(P)[..., :-1]) @ V


def _append_keys_values(torch, past, K, V):
    return torch.cat([past.K, K], dim=-2), torch.cat([past.V, V], dim=-2)


def _cross_entropy(
    torch, logits, targets, *, ignore=None, label_smoothing=0.0, weights=None, reduction="mean",
):
    weights = None if weights is None else weights.detach()
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), weight=weights, reduction=reduction,
        ignore_index=-100 if ignore is None else ignore, label_smoothing=label_smoothing,
    )
    return loss.reshape(targets.shape) if reduction == "none" else loss


IN_TORCH = {
    "rms_norm": _rms_norm,
    "qk_norm": _qk_norm,
    "rotary": _rotary,
    "soft_cap": lambda torch, S, cap: cap * torch.tanh(S / cap),
    "add_bias": lambda torch, S, bias: S + bias,
    "attend_with_sink": _attend_with_sink,
    "append_keys_values": _append_keys_values,
    "token_losses": partial(_cross_entropy, reduction="none"),
    "cross_entropy": _cross_entropy,
    "silu": lambda torch, A: torch.nn.functional.silu(A),
    "swiglu": lambda torch, A, U: torch.nn.functional.silu(A) * U,
    "geglu": lambda torch, A, U: torch.nn.functional.gelu(A) * U,
    "geglu_tanh": lambda torch, A, U: torch.nn.functional.gelu(A, approximate="tanh") * U,
}
