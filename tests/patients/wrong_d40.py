import torch
import torch.nn as nn
import torch.nn.functional as F


def rope_table(T, d, base=10000.0):
    inv = 1.0 / (base ** (torch.arange(0, d, 2).float() / d))
    ang = torch.outer(torch.arange(T).float(), inv)       # (T, d/2)
    emb = torch.cat((ang, ang), dim=-1)                   # (T, d)
    return emb.cos(), emb.sin()


def rotate(x):
    a = x[..., 0::2]
    b = x[..., 1::2]
    return torch.stack((-b, a), dim=-1).flatten(-2)


class RotaryAttention(nn.Module):
    def __init__(self, dim: int = 32, n_heads: int = 2):
        super().__init__()
        self.n_heads = n_heads
        self.hd = dim // n_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.n_heads, self.hd).permute(2, 0, 3, 1, 4)
        cos, sin = rope_table(t, self.hd)
        q = q * cos + rotate(q) * sin
        k = k * cos + rotate(k) * sin
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, c))
