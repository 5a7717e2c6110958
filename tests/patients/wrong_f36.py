import torch


def blockwise_attention(q, k, v, is_causal=False, q_chunk=64, k_chunk=32):
    """Memory-efficient attention (Rabe & Staats). q, k, v: [B, H, T, D], self-attention."""
    T, D = q.shape[2:]
    out = torch.empty_like(v)
    for i, qs in enumerate(range(0, T, q_chunk)):
        qb = q[:, :, qs:qs + q_chunk] * D ** -0.5
        num, den, top = 0.0, 0.0, torch.full(qb.shape[:3] + (1,), -1e30, dtype=q.dtype, device=q.device)
        for j, ks in enumerate(range(0, T, k_chunk)):
            if is_causal and j > i:
                break                       # everything further right is in the future
            s = qb @ k[:, :, ks:ks + k_chunk].mT
            if is_causal:
                r = torch.arange(qs, qs + s.shape[2], device=q.device)[:, None]
                c = torch.arange(ks, ks + s.shape[3], device=q.device)[None]
                s = s.masked_fill(c > r, float("-inf"))
            new = torch.maximum(top, s.amax(-1, keepdim=True))
            p, fix = (s - new).exp(), (top - new).exp()
            num = num * fix + p @ v[:, :, ks:ks + k_chunk]
            den = den * fix + p.sum(-1, keepdim=True)
            top = new
        out[:, :, qs:qs + q_chunk] = num / den
    return out
