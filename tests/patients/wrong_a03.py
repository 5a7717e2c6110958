# npattn: causal=yes heads=2
import torch, torch.nn as nn
class CausalAttention(nn.Module):
    def __init__(self, dim=16, n_head=2):
        super().__init__()
        self.n_head = n_head
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)
    def forward(self, x, past=None):
        B, T, C = x.shape
        q, k, v = (f(x).view(B, T, self.n_head, -1).transpose(1, 2) for f in (self.wq, self.wk, self.wv))
        if past is not None:
            k = torch.cat([past[0], k], dim=2)
            v = torch.cat([past[1], v], dim=2)
        s = q @ k.transpose(-1, -2) * (C // self.n_head) ** -0.5
        ok = torch.ones(s.shape[-2:], dtype=torch.bool).tril()
        a = s.masked_fill(~ok, float("-inf")).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(B, T, C)), (k, v)
