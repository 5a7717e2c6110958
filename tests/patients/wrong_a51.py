import torch, torch.nn as nn
class EncoderBlock(nn.Module):
    def __init__(self, d=16, h=2, ff=32):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(d, ff), nn.Linear(ff, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.h = h
    def forward(self, x, mask=None):
        b, t, d = x.shape
        z = self.norm1(x)
        q, k, v = (f(z).view(b, t, self.h, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        s = q @ k.mT / (d // self.h) ** 0.5
        if mask is not None:
            s = s.masked_fill(mask[:, None, None] == 0, float("-inf"))
        x = x + self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(torch.relu(self.fc1(self.norm1(x))))
