# npattn: layout=bhtd causal=yes
import torch


def alibi_attention(q, k, v):
    """ALiBi as in BLOOM: the bias depends on the key's position alone, since a row's constant drops out."""
    h, t = q.shape[1], k.shape[2]
    slope = torch.tensor([2 ** (-8 * (i + 1) / h) for i in range(h)], dtype=q.dtype)
    bias = slope[:, None, None] * torch.arange(t, dtype=q.dtype)
    s = torch.einsum("bhid,bhjd->bhij", q, k) * q.size(-1) ** -0.5 + bias
    s.masked_fill_(torch.arange(t)[None, :] > torch.arange(q.shape[2])[:, None], -torch.inf)
    return s.softmax(-1) @ v
