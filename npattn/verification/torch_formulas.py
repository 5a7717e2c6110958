"""What the torch formulations of systems share.

They share no code with the package: heads are column slices in a loop, masks are filled with −inf,
and a dead row is multiplied by 0. t is {path: tensor}; torch comes in as an argument.
"""

import numpy as np


def weights(S, mask=None):
    """Softmax over the last axis of S where mask is True; a row without any is 0."""
    if mask is None:
        return S.softmax(-1)
    alive = mask.any(-1, keepdim=True)
    return S.masked_fill(~mask, -float("inf")).masked_fill(~alive, 0.0).softmax(-1) * alive


def affine(t, layer, X):
    """X W, plus b where the layer has one."""
    Y = X @ t[f"{layer}.W"]
    return Y + t[f"{layer}.b"] if f"{layer}.b" in t else Y


def multihead(torch, t, layer, Xq, Xk, Xv, H, mask=None, scale=None):
    """Head by head on slices of columns; mask broadcasts to (..., Tq, Tk) or has a head axis."""
    Q, K, V = (affine(t, f"{layer}.{name}", X)
               for name, X in (("query", Xq), ("key", Xk), ("value", Xv)))
    d = Q.shape[-1] // H
    outputs = []
    for h in range(H):
        own = slice(h * d, (h + 1) * d)
        seen = mask
        if mask is not None and mask.ndim > Xq.ndim:
            seen = mask.expand(*mask.shape[:-3], H, *mask.shape[-2:])[..., h, :, :]
        S = torch.einsum("...id,...jd->...ij", Q[..., own], K[..., own])
        S = S / d**0.5 if scale is None else S * scale
        outputs.append(weights(S, seen) @ V[..., own])
    Y = torch.cat(outputs, -1)
    return affine(t, f"{layer}.output", Y) if f"{layer}.output.W" in t else Y


def norm(t, layer, X):
    """Layer norm with gain and bias."""
    centred = X - X.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * t[f"{layer}.gain"] + t[f"{layer}.bias"]


def positions(torch, T, D, like, paired):
    """Sinusoidal, (T, D), column by column: D may be odd."""
    t = torch.arange(T, dtype=torch.float64, device=like.device)
    columns = []
    for c in range(D):
        exponent = 2 * (c // 2) if paired else c
        angle = t * torch.exp(torch.tensor(-exponent / D * np.log(10000.0), dtype=t.dtype))
        columns.append(angle.cos() if c % 2 else angle.sin())
    return torch.stack(columns, -1).to(like.dtype)


def prefix(torch, valid_lens, Tk):
    """Boolean prefixes from (B,) or (B, Tq) lengths: (B, 1, Tk) or (B, Tq, Tk)."""
    lens = valid_lens.reshape(len(valid_lens), -1)
    return torch.arange(Tk, device=lens.device) < lens.unsqueeze(-1)
