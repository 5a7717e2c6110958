# npattn: heads=2 layout=btd
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mha = nn.MultiheadAttention(embed_dim=8, num_heads=2)

    def forward(self, x):
        out, _ = self.mha(x, x, x, need_weights=False)
        return out
