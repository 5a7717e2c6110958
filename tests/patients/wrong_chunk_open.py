# npattn: heads=2 causal=yes
import torch
from torch import nn


class Decoder(nn.Module):
    def __init__(self, d=8, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x, past=None):
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        s = q @ k.transpose(-1, -2) / (D // self.heads) ** 0.5
        if past is None:
            s = s.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -torch.inf)
        y = (s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D)
        return self.out(y), (k, v)
