import torch
import torch.nn as nn


class WindowAttention(nn.Module):
    """Mistral-style local attention: token t sees tokens t-window+1 .. t."""

    def __init__(self, dim=16, heads=2, window=4):
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cache=None):
        B, T, C = x.shape
        q, k, v = (t.reshape(B, T, self.heads, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        if cache is not None:
            k = torch.cat([cache[0], k], 2)
            v = torch.cat([cache[1], v], 2)
        S = k.size(2)
        qpos = torch.arange(T, device=x.device)[:, None]
        kpos = torch.arange(S, device=x.device)[None, :]
        allowed = kpos <= qpos + (S - T)
        allowed &= kpos > qpos - self.window
        a = (q @ k.transpose(-2, -1)) / (C // self.heads) ** 0.5
        a = a.masked_fill(~allowed, float('-inf')).softmax(-1)
        return self.out((a @ v).transpose(1, 2).reshape(B, T, C)), (k, v)
