# npattn: mask=drop
import torch, torch.nn as nn
class Encoder(nn.Module):
    def __init__(self, d=16, heads=4, hidden=24, dropout=0.1):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.ff = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, d))
        self.norm_a, self.norm_b = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)
    def forward(self, x, mask=None):
        b, t, d = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        s = q @ k.transpose(2, 3) / (d // self.heads) ** 0.5
        if mask is not None:
            s = s.masked_fill(mask[:, None, None, :], float("-inf"))
        a = self.dropout(s.softmax(-1))
        x = self.norm_a(x + self.dropout(self.o((a @ v).transpose(1, 2).reshape(b, t, d))))
        return self.norm_b(x + self.dropout(self.ff(x)))
