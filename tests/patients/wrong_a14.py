# npattn: heads=2 causal=yes rotary=half
import torch, torch.nn as nn
def rope(x):
    t, d = x.shape[-2:]
    inv = 10000.0 ** (-torch.arange(0, d, 2, dtype=x.dtype) / d)
    ang = torch.arange(t, dtype=x.dtype)[:, None] * inv
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([a * ang.cos() - b * ang.sin(), b * ang.cos() + a * ang.sin()], -1)
class LlamaAttention(nn.Module):
    def __init__(self, dim=16, n_heads=2):
        super().__init__()
        self.n = n_heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))
    def forward(self, x, cache=None):
        B, T, C = x.shape
        sp = lambda z: z.view(B, T, self.n, C // self.n).transpose(1, 2)
        q, k, v = rope(sp(self.wq(x))), rope(sp(self.wk(x))), sp(self.wv(x))
        if cache is not None:
            k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
        Tk = k.shape[2]
        ok = torch.ones(T, Tk, dtype=torch.bool).tril(Tk - T)
        s = (q @ k.transpose(2, 3) / (C // self.n) ** 0.5).masked_fill(~ok, float("-inf"))
        o = (s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C)
        return self.wo(o), (k, v)
