# npattn: layout=bhtd causal=no
import torch


def blockwise_attention(q, k, v, block: int = 64):
    """Memory efficient attention: runs over blocks of keys with a running max and sum."""
    Tk = k.shape[2]
    n_blocks = max(1, Tk // block)
    m = torch.full_like(q[..., :1], float('-inf'))
    l = torch.zeros_like(m)
    acc = torch.zeros(*q.shape[:-1], v.shape[-1], dtype=q.dtype, device=q.device)
    for b in range(n_blocks):
        kb = k[:, :, b * block:(b + 1) * block]
        vb = v[:, :, b * block:(b + 1) * block]
        s = q @ kb.transpose(-1, -2) / q.shape[-1] ** 0.5
        m_new = torch.maximum(m, s.amax(-1, keepdim=True))
        p = (s - m_new).exp()
        r = (m - m_new).exp()
        l = l * r + p.sum(-1, keepdim=True)
        acc = acc * r + p @ vb
        m = m_new
    return acc / l
