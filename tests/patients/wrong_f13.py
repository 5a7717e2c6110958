import torch


def tiled_attention(q, k, v, q_block: int = 32, kv_block: int = 32):
    """q, k, v: (batch, heads, seq, head_dim)"""
    Tq, Tk, d = q.shape[-2], k.shape[-2], q.shape[-1]
    kv_block = min(kv_block, Tk)
    n_kv = Tk // kv_block
    outs = []
    for qi in q.split(q_block, dim=-2):
        run_max = torch.full((*qi.shape[:-1], 1), -torch.inf, dtype=q.dtype, device=q.device)
        denom = torch.zeros_like(run_max)
        acc = torch.zeros(*qi.shape[:-1], v.shape[-1], dtype=q.dtype, device=q.device)
        for b in range(n_kv):
            kb = k[..., b * kv_block:(b + 1) * kv_block, :]
            vb = v[..., b * kv_block:(b + 1) * kv_block, :]
            s = (qi @ kb.transpose(-1, -2)) / d ** 0.5
            new_max = torch.maximum(run_max, s.amax(-1, keepdim=True))
            alpha = torch.exp(run_max - new_max)
            p = torch.exp(s - new_max)
            denom = denom * alpha + p.sum(-1, keepdim=True)
            acc = acc * alpha + p @ vb
            run_max = new_max
        outs.append(acc / denom)
    return torch.cat(outs, dim=-2)
