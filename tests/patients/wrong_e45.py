# npattn: heads=2 width=8 mask=drop
import torch
from torch import nn
import torch.nn.functional as F


class EncoderLayer(nn.Module):
    def __init__(self, d_model=8, nhead=2, d_ff=16, p=0.1):
        super().__init__()
        self.nhead = nhead
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.o = nn.Linear(d_model, d_model)
        self.fc1 = nn.Linear(d_model, d_ff)
        self.fc2 = nn.Linear(d_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(p)

    def attend(self, x, mask):
        B, T, D = x.shape
        q, k, v = [f(x).view(B, T, self.nhead, -1).transpose(1, 2) for f in (self.q, self.k, self.v)]
        s = q @ k.transpose(-1, -2) / (D // self.nhead) ** 0.5
        if mask is not None:
            s = s.masked_fill(mask[:, None, None, :], -1e9)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))

    def forward(self, x, mask=None):
        h = self.norm1(x)
        h = h + self.dropout(self.attend(h, mask))
        return h + self.dropout(self.fc2(F.relu(self.fc1(self.norm2(h)))))
