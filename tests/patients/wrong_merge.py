# npattn: heads=3
import torch
import torch.nn as nn
import torch.nn.functional as F


class Attn(nn.Module):
    def __init__(self, dim=12, heads=3):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (f(x).reshape(b, n, self.heads, -1).permute(0, 2, 1, 3)
                   for f in (self.to_q, self.to_k, self.to_v))
        w = F.softmax(torch.einsum("bhid,bhjd->bhij", q, k) * (d // self.heads) ** -0.5, dim=-1)
        out = torch.einsum("bhij,bhjd->bhid", w, v)
        return self.to_out(out.reshape(b, n, d))
