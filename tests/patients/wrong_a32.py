import torch, torch.nn as nn
class SelfAttn(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
    def forward(self, x, mask=None):
        s = self.a(x) @ self.b(x).transpose(1, 2) / x.shape[-1] ** 0.5
        if mask is not None:
            score = score.masked_fill(mask == 0, float("-inf"))
        return s.softmax(-1) @ self.c(x)
