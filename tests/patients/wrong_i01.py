import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiHeadAttention(nn.Module):
    def __init__(self, d_in, d_out, dropout, num_heads, qkv_bias=False):
        super().__init__()
        self.d_out, self.num_heads, self.head_dim = d_out, num_heads, d_out // num_heads
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.out_proj = nn.Linear(d_out, d_out)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("cache_k", None, persistent=False)
        self.register_buffer("cache_v", None, persistent=False)
        self.ptr = 0

    def forward(self, x, use_cache=False):
        b, n, _ = x.shape
        split = lambda z: z.view(b, n, self.num_heads, self.head_dim)
        keys_new, values_new, queries = split(self.W_key(x)), split(self.W_value(x)), split(self.W_query(x))
        if use_cache:
            if self.cache_k is None:
                self.cache_k, self.cache_v = keys_new, values_new
            else:
                self.cache_k = torch.cat([self.cache_k, keys_new], dim=1)
                self.cache_v = torch.cat([self.cache_v, values_new], dim=1)
            keys, values = self.cache_k, self.cache_v
        else:
            keys, values = keys_new, values_new
        keys, queries, values = (z.transpose(1, 2) for z in (keys, queries, values))
        scores = queries @ keys.transpose(2, 3)
        if use_cache:
            q_pos = torch.arange(n, device=x.device)
        else:
            q_pos = torch.arange(n, device=x.device)
            self.ptr = 0
        k_pos = torch.arange(keys.shape[-2], device=x.device)
        scores.masked_fill_(q_pos[:, None] < k_pos[None, :], -torch.inf)
        weights = self.dropout(torch.softmax(scores / keys.shape[-1] ** 0.5, dim=-1))
        out = (weights @ values).transpose(1, 2).contiguous().view(b, n, self.d_out)
        return self.out_proj(out)

    def reset_cache(self):
        self.cache_k, self.cache_v = None, None
        self.ptr = 0
