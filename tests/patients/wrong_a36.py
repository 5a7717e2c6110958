import torch, torch.nn as nn
class DropAttn(nn.Module):
    def __init__(self, d=16, heads=2, p=0.3):
        super().__init__()
        self.heads, self.p = heads, p
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        a = torch.softmax(q @ k.transpose(2, 3) * (d // self.heads) ** -0.5, -1)
        if self.training:
            a = a * (torch.rand_like(a) > self.p)
        return self.o((a @ v).transpose(1, 2).reshape(b, t, d))
