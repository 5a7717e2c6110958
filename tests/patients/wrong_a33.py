# npattn: heads=4 layout=btd
import torch, torch.nn as nn
class Wrapper(nn.Module):
    def __init__(self, embed_dim=16, num_heads=4):
        super().__init__()
        self.mha = nn.MultiheadAttention(embed_dim, num_heads)
    def forward(self, x):
        y, w = self.mha(x, x, x)
        return y
