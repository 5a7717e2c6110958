# npattn: heads=2 width=8 causal=yes
import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, size, bias=False) for _ in range(3))

    def forward(self, x):
        t = x.shape[1]
        later = torch.arange(t)[:, None] > torch.arange(t)       # [key, query]
        s = self.k(x) @ self.q(x).mT / self.q.out_features ** 0.5
        s = s.masked_fill(later, -torch.inf).softmax(dim=1)
        return s.mT @ self.v(x)


class MultiHeadAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = nn.ModuleList(Head(width, width // heads) for _ in range(heads))
        self.proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        return self.dropout(self.proj(torch.cat([h(x) for h in self.heads], dim=-1)))
