# npattn: heads=2 width=8 causal=yes
import torch
from torch import nn


class GPT2Attention(nn.Module):
    """Weights stored (in, out) as in the TF checkpoint; returns (output, attention weights)."""

    def __init__(self, nx, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn_w = nn.Parameter(torch.randn(nx, 3 * nx) * 0.3)
        self.c_attn_b = nn.Parameter(torch.zeros(3 * nx))
        self.c_proj_w = nn.Parameter(torch.randn(nx, nx) * 0.3)
        self.c_proj_b = nn.Parameter(torch.zeros(nx))

    def forward(self, x):
        b, t, c = x.shape
        h = torch.addmm(self.c_attn_b, x.reshape(-1, c), self.c_attn_w).view(b, t, 3, self.n_head, -1)
        q, k, v = h.permute(2, 0, 3, 1, 4)
        w = q @ k.mT / q.shape[-1] ** 0.5
        tri = torch.tril(torch.ones(t, t, dtype=w.dtype))
        w = (w * tri - 1e10 * (1 - tri)).softmax(-1)
        a = (w @ v).transpose(1, 2).reshape(-1, c)
        return torch.addmm(self.c_proj_b, a, self.c_proj_w).view(b, t, c), w
