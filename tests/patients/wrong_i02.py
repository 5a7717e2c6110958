import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class CachedAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.h, self.d = n_heads, d_model // n_heads
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.k = nn.Linear(d_model, d_model, bias=False)
        self.v = nn.Linear(d_model, d_model, bias=False)
        self.o = nn.Linear(d_model, d_model, bias=False)
        self.cache_k = self.cache_v = None

    def forward(self, x, use_cache=False):
        b, t, _ = x.shape
        q = self.q(x).view(b, t, self.h, self.d).transpose(1, 2)
        k = self.k(x).view(b, t, self.h, self.d).transpose(1, 2)
        v = self.v(x).view(b, t, self.h, self.d).transpose(1, 2)
        if use_cache and self.cache_k is not None:
            k = torch.cat([self.cache_k, k], dim=2)
            v = torch.cat([self.cache_v, v], dim=2)
        if use_cache:
            self.cache_k, self.cache_v = k, v
        T = k.shape[2]
        mask = torch.ones(t, T, dtype=torch.bool).tril(0)
        s = (q @ k.transpose(-2, -1)) / math.sqrt(self.d)
        s = s.masked_fill(~mask, float('-inf'))
        y = F.softmax(s, dim=-1) @ v
        return self.o(y.transpose(1, 2).contiguous().view(b, t, -1))
