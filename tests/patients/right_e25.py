# npattn: layout=bhtd mask=keep
import torch
import torch.nn.functional as F


def chunked_attention(q, k, v, mask=None, chunk=3):
    """Queries in slices to save memory; each slice sees all keys."""
    out = q.new_empty(*q.shape[:-1], v.shape[-1])
    for lo in range(0, q.shape[-2], chunk):
        rows = slice(lo, lo + chunk)
        m = None if mask is None else mask.expand(*mask.shape[:-2], q.shape[-2], k.shape[-2])[..., rows, :]
        out[..., rows, :] = F.scaled_dot_product_attention(q[..., rows, :], k, v, attn_mask=m)
    return out
