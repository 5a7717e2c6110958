# npattn: mask=keep heads=4
import torch
import torch.nn as nn


class CrossAttention(nn.Module):
    # decoder -> encoder attention
    def __init__(self, d_model=32, h=4):
        super().__init__()
        self.h = h
        self.q = nn.Linear(d_model, d_model)
        self.kv = nn.Linear(d_model, 2 * d_model)
        self.o = nn.Linear(d_model, d_model)

    def forward(self, x, memory, memory_mask=None):
        b, t, c = x.shape
        s = memory.shape[1]
        q = self.q(x).reshape(b, t, self.h, -1).transpose(1, 2)
        k, v = self.kv(memory).chunk(2, dim=-1)
        k = k.reshape(b, s, self.h, -1).transpose(1, 2)
        v = v.reshape(b, s, self.h, -1).transpose(1, 2)
        score = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if memory_mask is not None:      # 1 = real token, 0 = pad
            score = score.masked_fill(memory_mask[:, None, :, None] == 0, -1e9)
        y = score.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(b, t, c))
