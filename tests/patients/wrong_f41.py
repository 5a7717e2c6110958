import torch
import torch.nn as nn


class NormedCacheAttention(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads, self.hd = heads, dim // heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.o_proj = nn.Linear(dim, dim)
        self.q_gain = nn.Parameter(torch.ones(self.hd))
        self.k_gain = nn.Parameter(torch.ones(self.hd))

    @staticmethod
    def rms(x, gain):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain

    def forward(self, x, kv=None):
        B, T, C = x.shape
        q = self.q_proj(x).view(B, T, self.heads, self.hd)
        k = self.k_proj(x).view(B, T, self.heads, self.hd)
        v = self.v_proj(x).view(B, T, self.heads, self.hd)
        if kv is not None:
            k, v = torch.cat([kv[0], k], 1), torch.cat([kv[1], v], 1)
        q, k = self.rms(q, self.q_gain), self.rms(k, self.k_gain)
        S = k.shape[1]
        att = torch.einsum("bthd,bshd->bhts", q, k) / self.hd ** 0.5
        att = att.masked_fill(~torch.ones(T, S, dtype=torch.bool).tril(S - T), float("-inf"))
        y = torch.einsum("bhts,bshd->bthd", att.softmax(-1), v).reshape(B, T, C)
        return self.o_proj(y), (k, v)
