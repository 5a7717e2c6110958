# npattn: heads=2 mask=drop
import torch
import torch.nn as nn
import torch.nn.functional as F


class PackedMHA(nn.Module):
    """drop-in for nn.MultiheadAttention(batch_first=True), same parameter names"""

    def __init__(self, embed_dim=16, num_heads=2):
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query, key, value, key_padding_mask=None):
        e, h = self.embed_dim, self.num_heads
        wq, wk, wv = self.in_proj_weight.split(e)
        q = F.linear(query, wq, self.in_proj_bias[:e])
        k = F.linear(key, wk, self.in_proj_bias[e:2 * e])
        v = F.linear(value, wv, self.in_proj_bias[e:2 * e])
        q, k, v = (t.unflatten(2, (h, e // h)).transpose(1, 2) for t in (q, k, v))
        m = None
        if key_padding_mask is not None:
            m = key_padding_mask[:, None, None, :]     # sdpa takes a bool mask directly
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=m)
        return self.out_proj(y.transpose(1, 2).flatten(2))
