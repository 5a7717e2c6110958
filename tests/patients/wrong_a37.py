# npattn: heads=2 causal=yes
import torch, torch.nn as nn
class CachedAttention(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads = heads
        self.w = nn.Linear(dim, 3 * dim)
        self.p = nn.Linear(dim, dim)
    def forward(self, x, kv_cache=None):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.w(x).chunk(3, -1))
        if kv_cache is not None:
            k, v = torch.cat([k, kv_cache[0]], 2), torch.cat([v, kv_cache[1]], 2)
        n = k.shape[2]
        i, j = torch.arange(t)[:, None] + n - t, torch.arange(n)[None]
        s = q @ k.mT / (d // self.heads) ** 0.5
        s = s.masked_fill(j > i, float("-inf"))
        return self.p((s.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d)), (k, v)
