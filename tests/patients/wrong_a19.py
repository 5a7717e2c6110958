# npattn: heads=2
import torch, torch.nn as nn
class Block(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
    def forward(self, x):
        x = self.ln1(x)
        x = x + self.attn(x, x, x, need_weights=False)[0]
        x = self.ln2(x)
        return x + self.mlp(x)
