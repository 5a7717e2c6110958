import torch
def attention(q, k, v, attn_mask=None):
    # (B, H, T, D)
    w = torch.einsum("bhid,bhjd->bhij", q, k) / k.shape[2] ** 0.5
    if attn_mask is not None:
        w = w + attn_mask
    return torch.einsum("bhij,bhjd->bhid", w.softmax(-1), v)
