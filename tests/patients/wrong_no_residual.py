# npattn: heads=2
import torch
from torch import nn


class EncoderLayer(nn.Module):
    def __init__(self, d=8, heads=2, hidden=16):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.linear1, self.linear2 = nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        a, _ = self.self_attn(x, x, x)
        x = self.norm1(a)
        return self.norm2(x + self.linear2(torch.relu(self.linear1(x))))
