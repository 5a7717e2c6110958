import torch
import torch.nn as nn


class MultiHeadSelfAttention(nn.Module):
    """The query projection is stored unscaled; the temperature sits in the effective weight."""

    def __init__(self, dim=32, heads=4):
        super().__init__()
        self.heads = heads
        self.wq = nn.Linear(dim, dim)
        self.wk = nn.Linear(dim, dim)
        self.wv = nn.Linear(dim, dim)
        self.wo = nn.Linear(dim, dim)

    def forward(self, x, key_padding_mask=None):
        b, n, d = x.shape
        c = (d // self.heads) ** -0.5
        q = nn.functional.linear(x, self.wq.weight * c, self.wq.bias * c)
        split = lambda z: z.view(b, n, self.heads, -1).transpose(1, 2)
        q, k, v = split(q), split(self.wk(x)), split(self.wv(x))
        s = q @ k.mT
        if key_padding_mask is not None:   # True = padding
            s = s.masked_fill(key_padding_mask[:, None, None], float("-inf"))
        return self.wo((s.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))
