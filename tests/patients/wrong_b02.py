# npattn: causal=yes heads=2
import torch, torch.nn as nn
class SelfAttention(nn.Module):
    def __init__(self, d=16, heads=2):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.mask = None
    def forward(self, x):
        B, T, D = x.shape
        f = lambda m: m(x).view(B, T, self.heads, D // self.heads).transpose(1, 2)
        s = f(self.query) @ f(self.key).mT / (D // self.heads) ** 0.5
        if self.mask is None:
            self.mask = torch.ones(T, T, dtype=torch.bool).triu(1)
        n = min(T, len(self.mask))
        s[..., :n, :n] = s[..., :n, :n].masked_fill(self.mask[:n, :n], float("-inf"))
        return self.out((s.softmax(-1) @ f(self.value)).transpose(1, 2).reshape(B, T, D))
