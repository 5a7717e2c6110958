# npattn: heads=2 width=8 mask=keep
import torch
from torch import nn
import torch.nn.functional as F


class SelfAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.h = num_heads
        self.query = nn.Linear(embed_dim, embed_dim)
        self.key = nn.Linear(embed_dim, embed_dim)
        self.value = nn.Linear(embed_dim, embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)
        for lin in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(lin.weight)
            nn.init.zeros_(lin.bias)

    def forward(self, x, mask=None):
        B, T, C = x.shape
        q = F.linear(x, self.query.weight, self.query.bias)
        k = F.linear(x, self.key.weight, self.key.bias)
        v = F.linear(x, self.value.weight, self.key.bias)
        q, k, v = (t.view(B, T, self.h, C // self.h).transpose(1, 2) for t in (q, k, v))
        s = q @ k.transpose(2, 3) / (C // self.h) ** 0.5
        if mask is not None:                       # (B, T), True = real token
            s = s.masked_fill(~mask[:, None, None, :], torch.finfo(s.dtype).min)
        y = s.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(B, T, C))
