import torch
from torch import nn
import torch.nn.functional as F
class SelfAttention(nn.Module):
    def __init__(self, embed=16, heads=4, p=0.1):
        super().__init__()
        self.heads, self.p = heads, p
        self.q, self.k, self.v, self.o = (nn.Linear(embed, embed) for _ in range(4))
    def forward(self, x, mask=None):
        n, t, e = x.shape
        f = lambda lin: lin(x).reshape(n, t, self.heads, e // self.heads).permute(0, 2, 1, 3)
        s = f(self.q) @ f(self.k).transpose(2, 3) / (e // self.heads) ** 0.5
        if mask is not None:
            s = s.masked_fill(mask == 0, -1e9)
        a = F.dropout(s.softmax(dim=-1), self.p)
        return self.o((a @ f(self.v)).permute(0, 2, 1, 3).reshape(n, t, e))
