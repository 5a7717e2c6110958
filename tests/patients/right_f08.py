# npattn: heads=4 kv-heads=2 rotary=pairs causal=yes
import torch
import torch.nn as nn


class LlamaAttention(nn.Module):
    def __init__(self, dim=32, n_heads=4, n_kv_heads=2, theta=10000.0):
        super().__init__()
        self.n_heads, self.n_kv_heads, self.hd, self.theta = n_heads, n_kv_heads, dim // n_heads, theta
        self.wq = nn.Linear(dim, n_heads * self.hd, bias=False)
        self.wk = nn.Linear(dim, n_kv_heads * self.hd, bias=False)
        self.wv = nn.Linear(dim, n_kv_heads * self.hd, bias=False)
        self.wo = nn.Linear(n_heads * self.hd, dim, bias=False)

    def rotate(self, x, start):
        # x (B, T, h, hd); consecutive features form one complex number
        f = self.theta ** (-torch.arange(0, self.hd, 2, dtype=torch.float64) / self.hd)
        t = torch.arange(start, start + x.shape[1], dtype=torch.float64)
        ang = torch.outer(t, f)[None, :, None, :].to(x.dtype)
        even, odd = x[..., 0::2], x[..., 1::2]
        c, s = ang.cos(), ang.sin()
        return torch.stack((even * c - odd * s, even * s + odd * c), dim=-1).flatten(-2)

    def forward(self, x, cache=None):
        B, T, _ = x.shape
        past = 0 if cache is None else cache[0].shape[1]
        q = self.rotate(self.wq(x).view(B, T, self.n_heads, self.hd), past)
        k = self.rotate(self.wk(x).view(B, T, self.n_kv_heads, self.hd), past)
        v = self.wv(x).view(B, T, self.n_kv_heads, self.hd)
        if cache is not None:
            k = torch.cat((cache[0], k), 1)
            v = torch.cat((cache[1], v), 1)
        cache = (k, v)
        g = self.n_heads // self.n_kv_heads
        kk = k[:, :, :, None].expand(-1, -1, -1, g, -1).flatten(2, 3)
        vv = v[:, :, :, None].expand(-1, -1, -1, g, -1).flatten(2, 3)
        s = torch.einsum("bthd,bshd->bhts", q, kk) / self.hd ** 0.5
        keep = torch.arange(kk.shape[1])[None] <= torch.arange(past, past + T)[:, None]
        w = s.masked_fill(~keep, float("-inf")).softmax(-1)
        return self.wo(torch.einsum("bhts,bshd->bthd", w, vv).flatten(2)), cache
