import torch
from torch import nn


class GQA(nn.Module):
    """grouped-query attention, query head h belongs to key head h // (n_q // n_kv)"""

    def __init__(self, width=32, heads=4, kv_heads=None, bias=False):
        super().__init__()
        kv_heads = kv_heads or heads
        self.hq, self.hk, self.d = heads, kv_heads, width // heads
        self.q = nn.Linear(width, heads * self.d, bias)
        self.k = nn.Linear(width, kv_heads * self.d, bias)
        self.v = nn.Linear(width, kv_heads * self.d, bias)
        self.o = nn.Linear(heads * self.d, width, bias)

    def forward(self, x, context=None):
        c = x if context is None else context
        b, t, _ = x.shape
        s = c.shape[1]
        q = self.q(x).view(b, t, self.hq // self.hk, self.hk, self.d)
        k = self.k(c).view(b, s, self.hk, self.d)
        v = self.v(c).view(b, s, self.hk, self.d)
        w = torch.einsum("btgkd,bskd->bgkts", q, k) * self.d ** -0.5
        y = torch.einsum("bgkts,bskd->btgkd", w.softmax(-1), v)
        return self.o(y.reshape(b, t, -1))
