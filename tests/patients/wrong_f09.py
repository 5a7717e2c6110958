import torch.nn as nn


class Block(nn.Module):
    """Pre-LN transformer block"""
    def __init__(self, d=32, heads=4, mult=4):
        super().__init__()
        self.ln1 = nn.LayerNorm(d)
        self.attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ln2 = nn.LayerNorm(d)
        self.ff = nn.Sequential(nn.Linear(d, mult * d), nn.GELU(), nn.Linear(mult * d, d))

    def forward(self, x, key_padding_mask=None):
        x = self.ln1(x)
        a, _ = self.attn(x, x, x, key_padding_mask=key_padding_mask, need_weights=False)
        x = x + a
        x = self.ln2(x)
        return x + self.ff(x)
