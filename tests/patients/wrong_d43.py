# npattn: heads=2 layout=tbd
import torch
import torch.nn as nn


class SeqFirstAttention(nn.Module):
    """Self-attention for sequence-first tensors, x: (T, B, D), like nn.Transformer's default."""

    def __init__(self, embed_dim: int = 16, num_heads: int = 2):
        super().__init__()
        self.nh = num_heads
        self.in_proj = nn.Linear(embed_dim, 3 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x):
        T, B, D = x.shape
        q, k, v = self.in_proj(x).chunk(3, dim=-1)
        hd = D // self.nh
        q = q.reshape(T, B, self.nh, hd).transpose(1, 2)
        k = k.reshape(T, B, self.nh, hd).transpose(1, 2)
        v = v.reshape(T, B, self.nh, hd).transpose(1, 2)
        a = torch.softmax(q @ k.transpose(-1, -2) / hd ** 0.5, dim=-1)
        y = (a @ v).transpose(1, 2).reshape(T, B, D)
        return self.out_proj(y)
