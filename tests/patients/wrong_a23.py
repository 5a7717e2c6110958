import torch, torch.nn as nn
class MHA(nn.Module):
    def __init__(self, d=16, h=4):
        super().__init__()
        self.d, self.h = d, h
        self.in_proj = nn.Linear(d, 3 * d)
        self.out_proj = nn.Linear(d, d)
    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.in_proj(x).split(self.d, dim=2)
        q, k, v = [z.view(b, t, self.h, self.d // self.h).permute(0, 2, 1, 3) for z in (q, k, v)]
        a = torch.softmax(q @ k.permute(0, 1, 3, 2) / (self.d // self.h) ** 0.5, dim=1)
        return self.out_proj((a @ v).permute(0, 2, 1, 3).contiguous().view(b, t, self.d))
