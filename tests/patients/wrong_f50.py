import torch
from torch import nn


class Attn(nn.Module):
    def __init__(self, dim, num_heads=4):
        super().__init__()
        self.h = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (f(x).view(B, T, self.h, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        w = torch.softmax(q @ k.detach().transpose(-1, -2) / (D // self.h) ** 0.5, -1)
        return self.o((w @ v).transpose(1, 2).reshape(B, T, D))
