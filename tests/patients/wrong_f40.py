# npattn: heads=2 causal=yes
import torch
import torch.nn as nn


class RollingAttention(nn.Module):
    """local causal attention; the rolling buffer keeps `window` keys at most"""

    def __init__(self, dim=16, heads=2, window=8):
        super().__init__()
        self.heads, self.window = heads, window
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))

    def forward(self, x, past=None):
        b, t, d = x.shape
        sh = lambda z: z.view(b, t, self.heads, d // self.heads).permute(0, 2, 1, 3)
        q, k, v = sh(self.wq(x)), sh(self.wk(x)), sh(self.wv(x))
        if past is not None:
            k = torch.cat([past[0], k], dim=2)[:, :, -self.window:]
            v = torch.cat([past[1], v], dim=2)[:, :, -self.window:]
        s = k.shape[2]
        rel = torch.arange(s - t, s)[:, None] - torch.arange(s)[None, :]
        sc = q @ k.mT / (d // self.heads) ** 0.5
        sc = sc.masked_fill((rel < 0) | (rel >= self.window), float("-inf"))
        y = (torch.softmax(sc, -1) @ v).permute(0, 2, 1, 3).reshape(b, t, d)
        return self.wo(y), (k[:, :, -self.window:], v[:, :, -self.window:])
