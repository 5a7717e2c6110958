import torch
from torch import nn
import torch.nn.functional as F


class Attn(nn.Module):
    def __init__(self, d=16, heads=2, p=0.1):
        super().__init__()
        self.heads, self.p = heads, p
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        s = q @ k.mT / (D // self.heads) ** 0.5
        s = F.dropout(s, self.p, self.training)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
