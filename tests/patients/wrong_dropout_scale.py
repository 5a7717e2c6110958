import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dropout=0.2):
        super().__init__()
        self.p = dropout

    def forward(self, q, k, v):
        a = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1)
        if self.training:
            a = a * (torch.rand_like(a) > self.p)
        return (a / (1 - self.p)) @ v
