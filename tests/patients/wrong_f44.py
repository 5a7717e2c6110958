import torch
import torch.nn.functional as F


def attention_layer(query, key, value, attn_mask=None):
    """
    query: (N, L, E), key: (N, S, E), value: (N, S, Ev)
    attn_mask: boolean, True marks positions that must not be attended
    """
    scale_factor = query.size(-1) ** -0.5
    attn_weight = torch.baddbmm(
        torch.zeros(1, 1, 1, dtype=query.dtype), query, key.transpose(-2, -1), beta=0, alpha=scale_factor)
    if attn_mask is not None:
        attn_weight = attn_weight.masked_fill(attn_mask, -1e-9)
    attn_weight = F.softmax(attn_weight, dim=-1)
    return torch.bmm(attn_weight, value), attn_weight
