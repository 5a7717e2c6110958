# npattn: heads=4 causal=yes
import math
import torch
import torch.nn as nn


class MPTAttention(nn.Module):
    def __init__(self, d_model: int = 32, n_heads: int = 4):
        super().__init__()
        self.n_heads = n_heads
        self.Wqkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out_proj = nn.Linear(d_model, d_model, bias=False)

    @staticmethod
    def build_alibi_bias(n_heads: int, t: int, alibi_bias_max: int = 8) -> torch.Tensor:
        pos = torch.arange(1 - t, 1).view(1, 1, 1, t)
        m = torch.arange(1, n_heads + 1).float().mul(alibi_bias_max / n_heads)
        return pos * (1.0 / torch.pow(2, m)).view(1, n_heads, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        q, k, v = self.Wqkv(x).chunk(3, dim=2)
        q, k, v = (z.view(b, t, self.n_heads, -1).transpose(1, 2) for z in (q, k, v))
        w = q @ k.transpose(-1, -2)
        w = w + self.build_alibi_bias(self.n_heads, t).to(w)
        w = w / math.sqrt(c // self.n_heads)
        w = w.masked_fill(torch.triu(torch.ones_like(w, dtype=torch.bool), 1), float("-inf"))
        return self.out_proj((w.softmax(-1) @ v).transpose(1, 2).reshape(b, t, c))
