# npattn: layout=bhtd causal=yes
import torch


def causal_attention(q, k, v):
    """Row by row, so that only the keys up to i are ever read."""
    b, h, t, d = q.shape
    out = torch.zeros(b, h, t, v.shape[-1])
    for i in range(t):
        s = torch.einsum("bhd,bhjd->bhj", q[:, :, i], k[:, :, :i + 1]) / d ** 0.5
        out[:, :, i] = torch.einsum("bhj,bhjd->bhd", s.softmax(-1), v[:, :, :i + 1])
    return out
