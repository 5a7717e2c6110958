# npattn: mask=add
import torch
def attention(q, k, v, attn_mask=None):
    s = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.size(-1) ** 0.5
    if attn_mask is not None:
        s = s - attn_mask
    return torch.einsum("bhqk,bhkd->bhqd", torch.softmax(s, -1), v)
