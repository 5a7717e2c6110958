# npattn: layout=bthd rotary=pairs causal=yes
import torch


def precompute(dim, end, theta=10000.0):
    freqs = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float64)[: dim // 2] / dim)
    ang = torch.outer(torch.arange(end, dtype=torch.float64), freqs)
    return torch.polar(torch.ones_like(ang), ang)


def rope_attention(xq, xk, xv):
    """self-attention with rotary positions; (bsz, seqlen, heads, head_dim)"""
    freqs_cis = precompute(xq.shape[-1], xq.shape[1])[None, :, None, :]

    def turn(x):
        z = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(z * freqs_cis).flatten(3).type_as(x)

    q, k, v = turn(xq).transpose(1, 2), turn(xk).transpose(1, 2), xv.transpose(1, 2)
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    scores = scores + torch.full_like(scores[0, 0], float("-inf")).triu(1)
    return (scores.softmax(-1) @ v).transpose(1, 2)
