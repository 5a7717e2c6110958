# npattn: heads=2 layout=btd width=8
import torch
from torch import nn


class BatchFirst(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.o = nn.Linear(width, width)

    def forward(self, x):
        n, m, c = x.shape
        d = c // self.heads
        q = self.q(x).reshape(n, m * self.heads, d).transpose(0, 1)
        k = self.k(x).reshape(n, m * self.heads, d).transpose(0, 1)
        v = self.v(x).reshape(n, m * self.heads, d).transpose(0, 1)
        w = torch.softmax(torch.bmm(q, k.transpose(1, 2)) / d ** 0.5, -1)
        y = torch.bmm(w, v).transpose(0, 1).reshape(n, m, c)
        return self.o(y)
