import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class MHA(nn.Module):
    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0):
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.in_proj = nn.Linear(embed_dim, 3 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        self.drop = nn.Dropout(dropout)
        nn.init.zeros_(self.in_proj.bias)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        """x: (B, T, E); attn_mask: (T, T) bool, True = not allowed."""
        b, t, e = x.shape
        q, k, v = self.in_proj(x).view(b, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        att = q @ k.transpose(-1, -2) / math.sqrt(self.embed_dim)
        if attn_mask is not None:
            att = att.masked_fill(attn_mask, -torch.inf)
        y = self.drop(F.softmax(att, dim=-1)) @ v
        return self.out_proj(y.transpose(1, 2).flatten(2))
