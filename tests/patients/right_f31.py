import torch
from torch import nn


class Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx, s):
        p = torch.softmax(s, -1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        p, = ctx.saved_tensors
        return p * (g - (g * p).sum(-1, keepdim=True))


class Block(nn.Module):
    def __init__(self, d_model, n_heads=2, d_ff=32):
        super().__init__()
        self.h = n_heads
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.proj = nn.Linear(d_model, d_model)
        self.fc1, self.fc2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (t.view(B, T, self.h, -1).transpose(1, 2) for t in self.qkv(self.ln1(x)).chunk(3, -1))
        w = Soft.apply(q @ k.transpose(-1, -2) / (D // self.h) ** 0.5)
        x = x + self.proj((w @ v).transpose(1, 2).reshape(B, T, D))
        return x + self.fc2(torch.relu(self.fc1(self.ln2(x))))
