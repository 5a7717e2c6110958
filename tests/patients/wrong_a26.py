import torch, torch.nn as nn
class HeadSum(nn.Module):
    def __init__(self, dim=12, heads=3):
        super().__init__()
        self.dh, self.heads = dim // heads, heads
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        nn.init.zeros_(self.o.bias)
    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        y = 0
        for h in range(self.heads):
            i = slice(h * self.dh, (h + 1) * self.dh)
            a = (q[..., i] @ k[..., i].mT / self.dh ** 0.5).softmax(-1)
            y = y + nn.functional.linear(a @ v[..., i], self.o.weight[:, i], self.o.bias)
        return y
