"""The kernels' mathematics once more, in torch: forward only, since autograd does the rest.

Each formulation takes torch, then the kernel's own arguments as tensors, and returns Y. It uses
what torch has built in and shares nothing with the kernel but the random draws of dropout, which
come from the same generator. One row per kernel; `IN_TORCH` has them by name.
"""

import math

import numpy as np

from npattn.kernels.dropout import draw_keep
from npattn.kernels.tiling.tiles import draw_seed, keep_tile
from npattn.verification import beyond_in_torch, language_cases, modern_in_torch


def _softmax(torch, S, mask=None):
    """torch's softmax where a row allows a key, else 0; masked scores never reach autograd."""
    if mask is None:
        return torch.softmax(S, dim=-1)
    dead = ~mask.any(dim=-1, keepdim=True)
    P = torch.softmax(S.masked_fill(~mask, -math.inf).masked_fill(dead, 0.0), dim=-1)
    return P.masked_fill(dead, 0.0)


def _attend(torch, S, V, mask=None, *, dropout=0.0, rng=None):
    """What every attention does with its scores."""
    A = _dropout(torch, _softmax(torch, S, mask), dropout, rng)
    return torch.einsum("...qk,...kd->...qd", A, V)


def _dropout(torch, X, rate, rng=None):
    keep = draw_keep(np.empty(X.shape), rate, rng)
    return X if keep is None else X * torch.from_numpy(keep).to(X)


def _layer_norm(torch, X, params, *, eps=1e-5):
    return torch.nn.functional.layer_norm(X, X.shape[-1:], params.gain, params.bias, eps)


# Scores.


def _dot_scores(torch, Q, K, *, scale=None):
    return torch.einsum("...qd,...kd->...qk", Q, K) * (scale or Q.shape[-1] ** -0.5)


def _bilinear_scores(torch, Q, K, M):
    return torch.einsum("...qd,de,...ke->...qk", Q, M, K)


def _distance_scores(torch, Q, K):
    return -0.5 * torch.cdist(Q, K, compute_mode="donot_use_mm_for_euclid_dist").square()


def _key_norm_scores(torch, Q, K):
    return _distance_scores(torch, Q, K) + 0.5 * Q.square().sum(dim=-1, keepdim=True)


def _relative_rows(torch, Tq, Tk, table, offset):
    """The table's row for each query and key, (Tq, Tk, ...)."""
    reach = len(table) // 2
    i, j = torch.arange(Tq, device=table.device), torch.arange(Tk, device=table.device)
    return table[(j - i[:, None] - offset).clamp(-reach, reach) + reach]


def _relative_bias(torch, E, Tq, Tk, *, offset=0):
    return _relative_rows(torch, Tq, Tk, E, offset).permute(2, 0, 1)


def _relative_scores(torch, Q, A, Tk, *, offset=0):
    return torch.einsum("...id,ijd->...ij", Q, _relative_rows(torch, Q.shape[-2], Tk, A, offset))


# Attentions.


def _attention(torch, Q, K, V, mask=None, *, scale=None, **dropout):
    return _attend(torch, _dot_scores(torch, Q, K, scale=scale), V, mask, **dropout)


def _attention_by_blocks(torch, Q, K, V, mask=None, *, scale=None, block=64):
    return _attention(torch, Q, K, V, mask, scale=scale)


def _biased_attention(torch, Q, K, V, bias, mask=None, *, scale=None, **dropout):
    return _attend(torch, _dot_scores(torch, Q, K, scale=scale) + bias, V, mask, **dropout)


def _additive_attention(torch, Q, K, V, params, mask=None, **dropout):
    features = torch.tanh((Q @ params.Wq).unsqueeze(-2) + (K @ params.Wk).unsqueeze(-3))
    return _attend(torch, features @ params.w, V, mask, **dropout)


def _gaussian_pooling(torch, Q, K, V, w, mask=None):
    return _attend(torch, _distance_scores(torch, Q * w, K * w), V, mask)


def _co_attention(torch, A, B, Va, Vb, mask_a=None, mask_b=None, *, scale=None):
    """Two attentions that autograd joins, one per direction."""
    return (
        _attention(torch, A, B, Vb, mask_a, scale=scale),
        _attention(torch, B, A, Va, mask_b, scale=scale),
    )


def _tiled_attention(
    torch, Q, K, V, mask=None, bias=None, sink=None, *, valid_lens=None, causal=False, offset=0,
    window=None, cap=None, scale=None, dropout=0.0, rng=None, threads=None,
):
    """The whole matrix at once; its dropout is the tiles', drawn as one big tile."""
    *lead, Tq, Tk = *Q.shape[:-1], K.shape[-2]
    i, j = torch.arange(Tq, device=Q.device)[:, None] + offset, torch.arange(Tk, device=Q.device)
    allowed = torch.ones(Tq, Tk, dtype=torch.bool, device=Q.device) if mask is None else mask
    if causal:
        allowed = allowed & (j <= i)
    if isinstance(window, tuple):
        left, right = (Tq + Tk if n is None else n for n in window)
        allowed = allowed & (j >= i - left) & (j <= i + right)
    elif window is not None:
        allowed = allowed & ((j - i).abs() < window)
    if valid_lens is not None:
        lens = valid_lens.reshape(len(valid_lens), *[1] * (len(lead) - 1), -1, 1)
        allowed = allowed & (j < lens)
    S = _dot_scores(torch, Q, K, scale=scale)
    S = S if cap is None else cap * torch.tanh(S / cap)
    S = S if bias is None else S + bias
    if sink is None:
        A = _softmax(torch, S, allowed)
    else:  # one more key, always allowed
        S = torch.cat([S, sink[..., None, None].expand(*S.shape[:-1], 1)], dim=-1)
        always = torch.ones(*S.shape[:-1], 1, dtype=torch.bool, device=Q.device)
        allowed = torch.cat([allowed.expand(*S.shape[:-1], Tk), always], dim=-1)
        A = _softmax(torch, S, allowed)[..., :-1]
    seed = draw_seed(dropout, rng)
    if seed is not None:
        tile = keep_tile(dropout, seed, slice(0, math.prod(lead)), slice(0, Tq), slice(0, Tk))
        keep = torch.from_numpy(tile).to(Q).transpose(-1, -2).reshape(A.shape)
        A = A * keep / (1.0 - dropout)
    return A @ V


def _merge_partials(torch, first, second):
    """Softmax over the two parts, weighted by what each part sums up to."""
    (O1, L1), (O2, L2) = first, second
    L = torch.stack([L1, L2], dim=-1)
    shares = _softmax(torch, L, ~L.isneginf()).unsqueeze(-2)
    return (torch.stack([O1, O2], dim=-1) * shares).sum(dim=-1), torch.logsumexp(L, dim=-1)


# Positions and recurrence.


def _learned_positions(torch, X, E, *, offset=0):
    positions = torch.arange(X.shape[-2], device=X.device) + offset
    return X + torch.nn.functional.embedding(positions, E)


def _gru_cell(torch, X, H, params, *, reset="before"):
    (Wx, bx), (Wh, bh) = params
    Xr, Xz, Xc = torch.nn.functional.linear(X, Wx.T, bx).chunk(3, dim=-1)
    Wr, Wz, Wc = Wh.chunk(3, dim=1)
    br, bz, bc = (0.0, 0.0, 0.0) if bh is None else bh.chunk(3)
    R, Z = torch.sigmoid(Xr + H @ Wr + br), torch.sigmoid(Xz + H @ Wz + bz)
    U = (R * H) @ Wc + bc if reset == "before" else R * (H @ Wc + bc)
    return torch.lerp(torch.tanh(Xc + U), H, Z)


def _gru(torch, X, H, params, mask=None, *, reset="before"):
    states = []
    for t in range(X.shape[-2]):
        new = _gru_cell(torch, X[..., t, :], H, params, reset=reset)
        H = new if mask is None else torch.where(mask[..., t, None], new, H)
        states.append(H)
    return torch.stack(states, dim=-2)


IN_TORCH = {
    "softmax": _softmax,
    "masked_softmax": _softmax,
    "log_softmax": lambda torch, S: torch.log_softmax(S, dim=-1),
    "dot_scores": _dot_scores,
    "bilinear_scores": _bilinear_scores,
    "distance_scores": _distance_scores,
    "key_norm_scores": _key_norm_scores,
    "relative_bias": _relative_bias,
    "relative_scores": _relative_scores,
    "attend": _attend,
    "attention": _attention,
    "attention_by_blocks": _attention_by_blocks,
    "biased_attention": _biased_attention,
    "additive_attention": _additive_attention,
    "gaussian_pooling": _gaussian_pooling,
    "co_attention": _co_attention,
    "tiled_attention": _tiled_attention,
    "merge_partials": _merge_partials,
    "split_heads": lambda torch, X, H: torch.stack(X.chunk(H, dim=-1), dim=-3),
    "merge_heads": lambda torch, X: torch.cat(X.unbind(dim=-3), dim=-1),
    "unpack": lambda torch, Y, packing: torch.zeros(
        (*packing.tokens.shape, Y.shape[-1]), dtype=Y.dtype, device=Y.device
    ).masked_scatter(packing.tokens[..., None], Y[packing.places]),
    "linear": lambda torch, X, params: torch.nn.functional.linear(X, params.W.T, params.b),
    "embedding": lambda torch, ids, E: torch.nn.functional.embedding(ids, E),
    "learned_positions": _learned_positions,
    "layer_norm": _layer_norm,
    "relu": lambda torch, X: torch.relu(X),
    "gelu": lambda torch, X: torch.nn.functional.gelu(X),
    "gelu_tanh": lambda torch, X: torch.nn.functional.gelu(X, approximate="tanh"),
    "dropout": _dropout,
    "gru_cell": _gru_cell,
    "gru": _gru,
    **modern_in_torch.IN_TORCH,
    **beyond_in_torch.IN_TORCH,
    **language_cases.IN_TORCH,
}
