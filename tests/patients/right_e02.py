# npattn: heads=2 width=8 mask=add
import torch
import torch.nn as nn
import torch.nn.functional as F


class Attn(nn.Module):
    """The scale is folded into the query projection, weight and bias; the scores stay unscaled."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x, attn_mask=None):
        b, t, c = x.shape
        s = (c // self.heads) ** -0.5
        q = F.linear(x, self.wq.weight * s, self.wq.bias * s)
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in (q, self.wk(x), self.wv(x)))
        a = q @ k.mT
        if attn_mask is not None:
            a = a + attn_mask
        return self.wo((torch.softmax(a, -1) @ v).transpose(1, 2).flatten(2))
