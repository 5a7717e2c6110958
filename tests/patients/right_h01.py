import torch, torch.nn as nn
class Attn(nn.Module):
    def __init__(self, dim=32, heads=4):
        super().__init__()
        self.h = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
    def forward(self, x, mask=None):
        B, T, C = x.shape
        f = lambda z: z.view(B, T, self.h, -1).transpose(1, 2)
        q, k, v = f(self.q(x)), f(self.k(x)), f(self.v(x))
        s = (q @ k.transpose(-1, -2)) / (C // self.h) ** 0.5
        if mask is not None:
            s = s.masked_fill(mask[:, None, None, :] == 0, -1e9)
        p = torch.softmax(s, dim=-1)
        p = p / (p.sum(-1, keepdim=True) + 1e-6)
        return self.o((p @ v).transpose(1, 2).reshape(B, T, C))
