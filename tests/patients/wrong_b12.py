# npattn: heads=2
import torch, torch.nn as nn
class Encoder(nn.Module):
    def __init__(self, c=16, heads=2):
        super().__init__()
        self.ln_a, self.ln_b = nn.LayerNorm(c), nn.LayerNorm(c)
        self.attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(c, 32), nn.ReLU(), nn.Linear(32, c))
    def forward(self, x, key_padding_mask=None):
        x = x + self.attn(self.ln_a(x), x, x, key_padding_mask=key_padding_mask)[0]
        return x + self.ff(self.ln_b(x))
