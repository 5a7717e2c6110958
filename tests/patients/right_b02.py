import torch, torch.nn as nn
class Layer(nn.Module):
    def __init__(self, dim=16, heads=4, dropout=0.25):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.mT / (d // self.heads) ** 0.5).softmax(-1)
        if self.training:
            a = a * (torch.rand_like(a) >= self.dropout) / (1 - self.dropout)
        return self.proj((a @ v).transpose(1, 2).reshape(b, t, d))
