# npattn: layout=bdt heads=1
import torch
import torch.nn as nn


class ConvSelfAttention1d(nn.Module):
    """Self-attention over the last axis of (B, C, L), 1x1 convolutions as projections,
    attention scores scaled by sqrt(C)."""

    def __init__(self, channels: int = 16):
        super().__init__()
        self.query = nn.Conv1d(channels, channels, 1)
        self.key = nn.Conv1d(channels, channels, 1)
        self.value = nn.Conv1d(channels, channels, 1)
        self.c = channels

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        energy = torch.bmm(q.transpose(1, 2), k) / self.c ** 0.5   # (B, Lq, Lk)
        attn = torch.softmax(energy, dim=-1)
        return torch.bmm(v, attn)
