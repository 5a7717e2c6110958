# npattn: heads=2 mask=keep
import torch
from torch import nn


class EncoderAttention(nn.Module):
    """pad: (B, T), True for real tokens."""

    def __init__(self, d=8, h=2):
        super().__init__()
        self.h = h
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))

    def forward(self, x, pad=None):
        B, T, D = x.shape
        q, k, v = (f(x).view(B, T, self.h, D // self.h).transpose(1, 2) for f in (self.q, self.k, self.v))
        s = q @ k.mT / (D // self.h) ** .5
        if pad is not None:
            s = s.masked_fill(~pad[:, None, :, None], -1e9)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
