# npattn: heads=2 causal=yes
import torch, torch.nn as nn
class Attn(nn.Module):
    def __init__(self, d=16, heads=2, block_size=256):
        super().__init__()
        self.n = heads
        self.k, self.q, self.v = (nn.Linear(d, d) for _ in range(3))
        self.proj = nn.Linear(d, d)
        self.register_buffer("tril", torch.tril(torch.ones(block_size, block_size)))
    def forward(self, x, pad=None):
        B, T, C = x.shape
        k, q, v = (f(x).view(B, T, self.n, C // self.n).transpose(1, 2) for f in (self.k, self.q, self.v))
        w = (q @ k.transpose(-2, -1)) * k.size(-1) ** -0.5
        w = w.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        if pad is not None:
            w = w.masked_fill(pad[:, None, None, :], float("-inf"))
        return self.proj((torch.nan_to_num(w.softmax(-1)) @ v).transpose(1, 2).reshape(B, T, C))
