# npattn: heads=2 layout=tbd
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mha = nn.MultiheadAttention(embed_dim=8, num_heads=2, dropout=0.1)

    def forward(self, x):
        return self.mha(x, x, x)
