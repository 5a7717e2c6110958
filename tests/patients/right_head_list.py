# npattn: heads=3
import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, dim, size):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(dim, size, bias=False) for _ in range(3))

    def forward(self, x):
        w = self.query(x) @ self.key(x).transpose(-2, -1) * self.key.out_features ** -0.5
        return w.softmax(-1) @ self.value(x)


class MultiHead(nn.Module):
    def __init__(self, dim=12, heads=3):
        super().__init__()
        self.heads = nn.ModuleList(Head(dim, dim // heads) for _ in range(heads))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        return self.proj(torch.cat([h(x) for h in self.heads], dim=-1))
