import torch
import torch.nn.functional as F


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None):
    """like F.scaled_dot_product_attention"""
    L, S = q.size(-2), k.size(-2)
    scale = q.size(-1) ** -0.5 if scale is None else scale
    bias = torch.zeros(L, S, dtype=q.dtype, device=q.device)
    if is_causal:
        bias.masked_fill_(torch.ones(L, S, dtype=torch.bool, device=q.device).tril().logical_not(), float("-inf"))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            bias = bias.masked_fill(attn_mask.logical_not(), float("-inf"))
        else:
            bias = attn_mask + bias
    w = (q @ k.transpose(-2, -1) + bias) * scale
    return torch.dropout(torch.softmax(w, -1), dropout_p, train=True) @ v
