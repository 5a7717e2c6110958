import torch
import torch.nn as nn
import torch.nn.functional as F
from typing import Optional


class GroupedQueryAttention(nn.Module):
    def __init__(self, dim: int, n_heads: int, n_kv_heads: Optional[int] = None):
        super().__init__()
        self.n_heads = n_heads
        self.n_kv_heads = n_kv_heads or n_heads
        self.head_dim = dim // n_heads
        self.wq = nn.Linear(dim, n_heads * self.head_dim, bias=False)
        self.wk = nn.Linear(dim, self.n_kv_heads * self.head_dim, bias=False)
        self.wv = nn.Linear(dim, self.n_kv_heads * self.head_dim, bias=False)
        self.wo = nn.Linear(n_heads * self.head_dim, dim, bias=False)

    def forward(self, x: torch.Tensor, is_causal: bool = False) -> torch.Tensor:
        b, t, _ = x.shape
        xq = self.wq(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        xk = self.wk(x).view(b, t, self.n_kv_heads, self.head_dim).transpose(1, 2)
        xv = self.wv(x).view(b, t, self.n_kv_heads, self.head_dim).transpose(1, 2)
        n_rep = self.n_heads // self.n_kv_heads
        xk = xk.repeat(1, n_rep, 1, 1)
        xv = xv.repeat(1, n_rep, 1, 1)
        out = F.scaled_dot_product_attention(xq, xk, xv, is_causal=is_causal)
        return self.wo(out.transpose(1, 2).reshape(b, t, -1))
