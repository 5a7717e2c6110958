import torch


def sdpa(query, key, value, attn_mask=None, key_lengths=None):
    w = torch.einsum("bhqd,bhkd->bhqk", query, key) * query.shape[-1] ** -0.5
    if attn_mask is not None:
        w = w + attn_mask if attn_mask.is_floating_point() else w.masked_fill(~attn_mask, float("-inf"))
    if key_lengths is not None:
        pad = torch.arange(key.shape[2], device=key.device) >= key_lengths[:, None]
        w = w.masked_fill(pad[:, None, None], float("-inf"))
    return w.softmax(-1).nan_to_num(0.0) @ value
