# npattn: layout=bdt heads=2
import torch
import torch.nn as nn


class AttentionBlock1d(nn.Module):
    """Diffusion U-Net attention over (B, C, L) with 1x1 conv projections and a residual."""

    def __init__(self, channels: int = 16, num_heads: int = 2):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Conv1d(channels, channels * 3, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        b, c, length = x.shape
        ch = c // self.num_heads
        q, k, v = self.qkv(x).reshape(b * self.num_heads, ch * 3, length).split(ch, dim=1)
        scale = ch ** -0.25                 # on both sides, safer in half precision
        w = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        w = torch.softmax(w, dim=-1)
        h = torch.einsum("bts,bcs->bct", w, v).reshape(b, c, length)
        return x + self.proj_out(h)
