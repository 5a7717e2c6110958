import torch
import torch.nn as nn


class GroupedQueryAttention(nn.Module):
    """Query heads [g*rep, (g+1)*rep) share key/value head g."""

    def __init__(self, d_model: int = 48, num_heads: int = 6, num_kv_heads: int = 2):
        super().__init__()
        self.nh, self.nkv = num_heads, num_kv_heads
        self.rep = num_heads // num_kv_heads
        self.hd = d_model // num_heads
        self.wq = nn.Linear(d_model, num_heads * self.hd, bias=False)
        self.wk = nn.Linear(d_model, num_kv_heads * self.hd, bias=False)
        self.wv = nn.Linear(d_model, num_kv_heads * self.hd, bias=False)
        self.wo = nn.Linear(num_heads * self.hd, d_model, bias=False)

    def forward(self, x, causal: bool = True):
        B, T, _ = x.shape
        q = self.wq(x).view(B, T, self.nh, self.hd).transpose(1, 2)
        k = self.wk(x).view(B, T, self.nkv, self.hd).transpose(1, 2)
        v = self.wv(x).view(B, T, self.nkv, self.hd).transpose(1, 2)
        k = k.repeat(1, self.rep, 1, 1)
        v = v.repeat_interleave(self.rep, dim=1)
        att = torch.einsum('bhqd,bhkd->bhqk', q, k) / self.hd ** 0.5
        if causal:
            att = att + torch.full((T, T), float('-inf')).triu(1)
        y = torch.einsum('bhqk,bhkd->bqhd', att.softmax(-1), v)
        return self.wo(y.reshape(B, T, -1))
