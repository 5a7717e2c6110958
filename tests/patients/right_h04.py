# npattn: heads=4 layout=btd causal=yes
import math
import torch
import torch.nn as nn


class GPTAttention(nn.Module):
    """GPT-2 style: one (n, 3n) matrix applied from the right, as in Conv1D."""

    def __init__(self, n_embd=32, n_head=4):
        super().__init__()
        self.n_head = n_head
        self.w = nn.Parameter(torch.randn(n_embd, 3 * n_embd) * 0.1)
        self.b = nn.Parameter(torch.zeros(3 * n_embd))
        self.w_out = nn.Parameter(torch.randn(n_embd, n_embd) * 0.1)
        self.b_out = nn.Parameter(torch.zeros(n_embd))

    def forward(self, x):
        B, T, C = x.shape
        h = torch.addmm(self.b, x.reshape(-1, C), self.w).view(B, T, 3, self.n_head, -1)
        q, k, v = (h[:, :, i].permute(0, 2, 1, 3) for i in range(3))
        s = q.matmul(k.mT).div(math.sqrt(q.size(-1)))
        bias = torch.tril(torch.ones(T, T, dtype=s.dtype, device=s.device)).view(1, 1, T, T)
        s = s * bias - 1e10 * (1 - bias)
        a = s.softmax(-1).matmul(v).permute(0, 2, 1, 3).reshape(B * T, C)
        return torch.addmm(self.b_out, a, self.w_out).view(B, T, C)
