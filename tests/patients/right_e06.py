# npattn: heads=4 kv-heads=2 width=16 causal=yes rotary=half
import torch
from torch import nn


class GroupedQueryAttention(nn.Module):
    def __init__(self, dim=16, heads=4, kv_heads=2):
        super().__init__()
        self.g, self.r, self.d = kv_heads, heads // kv_heads, dim // heads
        self.wq = nn.Linear(dim, heads * self.d, bias=False)
        self.wk = nn.Linear(dim, kv_heads * self.d, bias=False)
        self.wv = nn.Linear(dim, kv_heads * self.d, bias=False)
        self.wo = nn.Linear(heads * self.d, dim, bias=False)

    @staticmethod
    def spin(z):
        # complex rotation of (first half, second half); time is axis 1
        half = z.shape[-1] // 2
        w = torch.complex(z[..., :half].double(), z[..., half:].double())
        theta = 1e4 ** (-torch.arange(half, dtype=torch.float64) / half)
        turn = torch.polar(torch.ones(z.shape[1], half, dtype=torch.float64), torch.outer(torch.arange(z.shape[1], dtype=torch.float64), theta))
        w = w * turn.view(1, z.shape[1], *(1,) * (z.dim() - 3), half)
        return torch.cat((w.real, w.imag), -1).to(z.dtype)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.spin(self.wq(x).view(b, t, self.g, self.r, self.d))
        k = self.spin(self.wk(x).view(b, t, self.g, self.d))
        v = self.wv(x).view(b, t, self.g, self.d)
        s = torch.einsum("btgrd,bsgd->bgrts", q, k) / self.d ** 0.5
        s = s + torch.full((t, t), float("-inf"), dtype=s.dtype).triu(1)
        return self.wo(torch.einsum("bgrts,bsgd->btgrd", s.softmax(-1), v).flatten(2))
