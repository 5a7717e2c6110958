import torch
from torch import nn


class RMS(nn.Module):
    def __init__(self, d, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * (1.0 + self.weight)


class Layer(nn.Module):
    def __init__(self, d_model=16, n_heads=4, n_kv_heads=2, d_ff=32):
        super().__init__()
        self.h, self.g, self.d = n_heads, n_kv_heads, d_model // n_heads
        self.norm1, self.norm2 = RMS(d_model), RMS(d_model)
        self.q_proj = nn.Linear(d_model, n_heads * self.d, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.d, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.d, bias=False)
        self.o_proj = nn.Linear(d_model, d_model, bias=False)
        self.gate_proj = nn.Linear(d_model, d_ff, bias=False)
        self.up_proj = nn.Linear(d_model, d_ff, bias=False)
        self.down_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x):
        B, T, D = x.shape
        n = self.norm1(x)
        q = self.q_proj(n).view(B, T, self.h, self.d).transpose(1, 2)
        k = self.k_proj(n).view(B, T, self.g, self.d).transpose(1, 2)
        v = self.v_proj(n).view(B, T, self.g, self.d).transpose(1, 2)
        k, v = (t.repeat_interleave(self.h // self.g, 1) for t in (k, v))
        s = q @ k.mT / self.d ** 0.5
        s = s.masked_fill(torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1), float("-inf"))
        x = x + self.o_proj((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
        n = self.norm2(x)
        return x + self.down_proj(nn.functional.gelu(self.gate_proj(n), approximate="tanh") * self.up_proj(n))
