# npattn: heads=4 kv-heads=2 width=8
import torch
from torch import nn


class GQA(nn.Module):
    def __init__(self, dim, n_heads, n_kv_heads):
        super().__init__()
        self.hq, self.hk, self.hd = n_heads, n_kv_heads, dim // n_heads
        self.q_proj = nn.Linear(dim, self.hq * self.hd, bias=False)
        self.k_proj = nn.Linear(dim, self.hk * self.hd, bias=False)
        self.v_proj = nn.Linear(dim, self.hk * self.hd, bias=False)
        self.o_proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.hq, self.hd).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.hk, self.hd).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.hk, self.hd).transpose(1, 2)
        rep = self.hq // self.hk
        k = k.repeat(1, rep, 1, 1)
        v = v.repeat(1, rep, 1, 1)
        w = torch.softmax(q @ k.mT * self.hd ** -0.5, dim=-1)
        return self.o_proj((w @ v).transpose(1, 2).reshape(b, t, -1))
