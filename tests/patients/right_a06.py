# npattn: heads=4 kv-heads=2 causal=yes rotary=pairs
import torch, torch.nn as nn
def apply_rope(x, start):
    t, d = x.shape[1], x.shape[-1]
    f = 1.0 / 10000 ** (torch.arange(0, d, 2, dtype=x.dtype) / d)
    ang = (torch.arange(start, start + t, dtype=x.dtype)[:, None] * f)[None, :, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * ang.cos() - b * ang.sin(), a * ang.sin() + b * ang.cos()], -1).flatten(-2)
class GroupedAttention(nn.Module):
    def __init__(self, dim=32, n_heads=4, n_kv_heads=2):
        super().__init__()
        self.h, self.g, self.dh = n_heads, n_kv_heads, dim // n_heads
        self.wq = nn.Linear(dim, n_heads * self.dh, bias=False)
        self.wk = nn.Linear(dim, n_kv_heads * self.dh, bias=False)
        self.wv = nn.Linear(dim, n_kv_heads * self.dh, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
    def forward(self, x, past_kv=None):
        b, t, _ = x.shape
        start = 0 if past_kv is None else past_kv[0].shape[1]
        q = apply_rope(self.wq(x).view(b, t, self.h, self.dh), start)
        k = apply_rope(self.wk(x).view(b, t, self.g, self.dh), start)
        v = self.wv(x).view(b, t, self.g, self.dh)
        if past_kv is not None:
            k, v = torch.cat([past_kv[0], k], 1), torch.cat([past_kv[1], v], 1)
        kk, vv = (z.repeat_interleave(self.h // self.g, 2).transpose(1, 2) for z in (k, v))
        s = q.transpose(1, 2) @ kk.mT / self.dh ** 0.5
        s = s.masked_fill(torch.ones(t, kk.shape[2]).triu(start + 1).bool(), float("-inf"))
        return self.wo((s.softmax(-1) @ vv).transpose(1, 2).flatten(2)), (k, v)
