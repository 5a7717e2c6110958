import math
import torch
import torch.nn as nn


class T5SelfAttention(nn.Module):
    """T5 encoder self attention: no 1/sqrt(d) (T5 has none), bucketed relative bias, both ways."""

    def __init__(self, d_model: int = 32, num_heads: int = 4, num_buckets: int = 16, max_distance: int = 32):
        super().__init__()
        self.H, self.nb, self.md = num_heads, num_buckets, max_distance
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))
        nn.init.normal_(self.q.weight, std=(d_model * d_model // num_heads) ** -0.5)
        self.rel = nn.Embedding(num_buckets, num_heads)

    def buckets(self, T):
        r = torch.arange(T)[None, :] - torch.arange(T)[:, None]
        half = self.nb // 2
        out = (r > 0).long() * half
        r = r.abs()
        exact = half // 2
        far = exact + (torch.log(r.clamp(min=1) / exact) / math.log(self.md / exact) * (half - exact)).long()
        return out + torch.where(r < exact, r, far.clamp(max=half - 1))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (l(x).view(B, T, self.H, -1).transpose(1, 2) for l in (self.q, self.k, self.v))
        s = q @ k.transpose(-1, -2) + self.rel(self.buckets(T)).permute(2, 0, 1)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
