# npattn: mask=keep dead=uniform
import torch


def dot_product_attention(query, key, value, mask=None):
    """flax-like: big_neg = finfo(dtype).min, hence a row without any key averages all values"""
    query = query / query.size(-1) ** 0.5
    w = torch.einsum("...qhd,...khd->...hqk", query, key)
    if mask is not None:
        w = torch.where(mask.bool(), w, torch.finfo(w.dtype).min)
    w = torch.softmax(w, dim=-1)
    return torch.einsum("...hqk,...khd->...qhd", w, value)
