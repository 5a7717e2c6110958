import torch
import torch.nn as nn
import torch.nn.functional as F


class CrossAttention(nn.Module):
    """Perceiver style: latents read from inputs, with separate norms; returns latents + attention."""

    def __init__(self, *, dim: int = 32, num_heads: int = 4, dropout: float = 0.0):
        super().__init__()
        self.num_heads = num_heads
        self.p = dropout
        self.norm_q, self.norm_kv = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.q, self.kv, self.o = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def forward(self, x, context=None):
        c = self.norm_kv(x if context is None else context)
        q = self.q(self.norm_q(x)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.kv(c).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)
        return x + self.o(y.transpose(1, 2).flatten(-2))
