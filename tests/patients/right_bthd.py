# npattn: layout=bthd
import torch


def attention(q, k, v, attn_mask=None):
    s = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    if attn_mask is not None:
        s = s + attn_mask
    return torch.einsum("bhqk,bkhd->bqhd", s.softmax(-1), v)
