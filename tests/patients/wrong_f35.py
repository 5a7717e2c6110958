import torch
from torch.autograd import Function


class MaskedAttnFunction(Function):
    """手写反向的注意力 (B, H, T, D); mask 为布尔, True 可见"""

    @staticmethod
    def forward(ctx, query, key, value, mask=None):
        ctx.inv = 1.0 / query.shape[-1] ** 0.5
        attn = torch.einsum("bhqd,bhkd->bhqk", query, key) * ctx.inv
        if mask is not None:
            attn = attn.masked_fill(~mask, torch.finfo(attn.dtype).min)
        attn = attn.softmax(dim=-1)
        ctx.save_for_backward(query, key, value, attn)
        return torch.einsum("bhqk,bhkd->bhqd", attn, value)

    @staticmethod
    def backward(ctx, g):
        query, key, value, attn = ctx.saved_tensors
        g_value = torch.einsum("bhqk,bhqd->bhkd", attn, g)
        g_attn = torch.einsum("bhqd,bhkd->bhqk", g, value)
        g_s = torch._softmax_backward_data(g_attn, attn, -1, attn.dtype) * ctx.inv
        g_key = torch.einsum("bhqk,bhqd->bhkd", g_s, query)
        g_query = torch.einsum("bhqk,bhkd->bhqd", g_s, key)
        return g_key, g_query, g_value, None
