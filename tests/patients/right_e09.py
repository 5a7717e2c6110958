# npattn: heads=2 width=8 mask=drop
import torch
from torch import nn


class PreNorm(nn.Module):
    def __init__(self, dim=8, heads=2, mult=4, dropout=0.1):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mult * dim), nn.GELU(), nn.Linear(mult * dim, dim), nn.Dropout(dropout))
        self.drop = nn.Dropout(dropout)

    def attention(self, h, padding):
        q, k, v = self.qkv(h).chunk(3, dim=-1)
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in (q, k, v))
        allowed = None if padding is None else ~padding[:, None, None, :]
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.out(y.transpose(1, 2).flatten(-2))

    def forward(self, x, padding=None):
        x = x + self.drop(self.attention(self.ln_1(x), padding))
        return x + self.mlp(self.ln_2(x))
