# npattn: heads=2 causal=yes rotary=half
import torch, torch.nn as nn
class Cached(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads, self.hd = heads, dim // heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))
    def rope(self, x, start):
        t = x.shape[2]
        f = 10000 ** (-torch.arange(0, self.hd, 2, dtype=torch.float64) / self.hd)
        a = torch.arange(start, start + t)[:, None] * f
        c, s = torch.cat([a.cos()] * 2, -1).to(x.dtype), torch.cat([a.sin()] * 2, -1).to(x.dtype)
        h = self.hd // 2
        return x * c + torch.cat([-x[..., h:], x[..., :h]], -1) * s
    def forward(self, x, past=None):
        b, t, d = x.shape
        q, k, v = (w(x).view(b, t, self.heads, self.hd).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        n = 0
        if past is not None:
            n = past[0].shape[2]
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        q, k = self.rope(q, n), self.rope(k, 0)
        m = torch.ones(t, n + t, dtype=torch.bool).tril(n)
        s = (q @ k.mT * self.hd ** -0.5).masked_fill(~m, float("-inf"))
        return self.wo((s.softmax(-1) @ v).transpose(1, 2).flatten(2)), (k, v)
