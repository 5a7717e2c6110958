# npattn: heads=2 width=8 mask=keep
import torch
from torch import nn


class CrossAttention(nn.Module):
    """Folds heads into the batch, as older diffusion code does."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def fold(self, t):
        b, n, c = t.shape
        return t.reshape(b, n, self.heads, c // self.heads).transpose(1, 2).reshape(b * self.heads, n, -1)

    def forward(self, x, context, mask=None):
        b, n, c = x.shape
        q = self.fold(self.to_q(x))
        k, v = map(self.fold, self.to_kv(context).chunk(2, dim=-1))
        bias = q.new_zeros(1)
        if mask is not None:
            bias = q.new_zeros(b, 1, mask.shape[1]).masked_fill(~mask[:, None], -1e30).repeat_interleave(self.heads, 0)
        a = torch.baddbmm(bias, q, k.mT, alpha=q.shape[-1] ** -0.5).softmax(-1)
        y = (a @ v).reshape(b, self.heads, n, -1).transpose(1, 2).reshape(b, n, c)
        return self.to_out(y)
