# npattn: heads=2
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d_model=16, n_heads=2, d_ff=32, dropout=0.1):
        super().__init__()
        self.attn = nn.MultiheadAttention(d_model, n_heads, dropout=dropout, batch_first=True)
        self.lin1, self.lin2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.drop = nn.Dropout(dropout)

    def forward(self, src, src_key_padding_mask=None):
        a, _ = self.attn(src, src, src, key_padding_mask=src_key_padding_mask)
        src = self.norm1(src + self.drop(a))
        f = self.lin2(self.drop(torch.relu(self.lin1(src))))
        return self.norm1(src + self.drop(f))
