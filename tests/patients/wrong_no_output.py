# npattn: heads=2
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d_model=8, nhead=2):
        super().__init__()
        self.nhead = nhead
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(d_model, d_model) for _ in range(3))
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        b, t, d = x.shape
        q = self.q_proj(x).view(b, t, self.nhead, -1).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.nhead, -1).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.nhead, -1).transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return y.transpose(1, 2).flatten(2)
