# npattn: mask=keep
import torch
import torch.nn as nn


class MHA(nn.Module):
    """mask: (B, T) bool, True for real tokens, False for padding."""

    def __init__(self, embed_dim: int = 32, num_heads: int = 4):
        super().__init__()
        self.H = num_heads
        self.q = nn.Linear(embed_dim, embed_dim)
        self.k = nn.Linear(embed_dim, embed_dim)
        self.v = nn.Linear(embed_dim, embed_dim)
        self.o = nn.Linear(embed_dim, embed_dim)

    def forward(self, x, mask=None):
        B, T, E = x.shape
        heads = lambda t: t.view(B, T, self.H, -1).transpose(1, 2)
        q, k, v = heads(self.q(x)), heads(self.k(x)), heads(self.v(x))
        w = torch.softmax(q @ k.transpose(-2, -1) / (E // self.H) ** 0.5, -1)
        if mask is not None:
            w = w * mask[:, None, None, :].to(w.dtype)
        return self.o((w @ v).transpose(1, 2).reshape(B, T, E))
