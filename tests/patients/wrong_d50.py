import torch
from torch import nn


class Attention(nn.Module):
    """Attention used in a ViT encoder. Input (B, N, C)."""

    def __init__(self, dim: int = 64, heads: int = 8, attn_drop: float = 0.):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)

    def _h(self, t):
        B, N, C = t.shape
        return t.reshape(B, N, self.heads, C // self.heads).permute(0, 2, 1, 3)

    def forward(self, x):
        B, N, C = x.shape
        q = self._h(self.to_q(x))
        k = self._h(self.to_k(x))
        v = self._h(self.to_k(x))
        attn = (q @ k.transpose(-2, -1)) * self.scale
        attn = self.attn_drop(attn.softmax(dim=-1))
        x = (attn @ v).transpose(1, 2).reshape(B, N, C)
        return self.proj(x)
