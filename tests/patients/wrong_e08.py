# npattn: heads=2 width=8 mask=drop
import torch
import torch.nn as nn


class MultiHead(nn.Module):
    def __init__(self, d_model=8, heads=2):
        super().__init__()
        self.heads = heads
        self.d = d_model // heads
        self.Wq = nn.Linear(d_model, d_model, bias=False)
        self.Wk = nn.Linear(d_model, d_model, bias=False)
        self.Wv = nn.Linear(d_model, d_model, bias=False)
        self.Wo = nn.Linear(d_model, d_model)

    def split(self, x):
        return x.reshape(x.shape[0], -1, self.heads, self.d).permute(0, 2, 1, 3)

    def forward(self, q, k, v, mask=None):
        n, t = q.shape[:2]
        Q, K, V = self.split(self.Wq(q)), self.split(self.Wk(k)), self.split(self.Wv(v))
        energy = torch.einsum("nhqd,nhkd->nhqk", Q, K) / self.d ** 0.5
        if mask is not None:
            energy = energy.masked_fill(mask, float("-inf"))
        out = torch.einsum("nhqk,nhkd->nhqd", energy.softmax(dim=3), V)
        return self.Wo(out.reshape(n, t, self.heads * self.d))
