import torch
import torch.nn as nn


class SinkAttention(nn.Module):
    """gpt-oss style: every head owns a learned sink logit that takes part in the softmax and
    is then thrown away, so that a head may attend to nothing. Causal."""

    def __init__(self, d_model: int = 32, n_heads: int = 4):
        super().__init__()
        self.n_heads = n_heads
        self.hd = d_model // n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.sinks = nn.Parameter(torch.zeros(n_heads))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (z.view(B, T, self.n_heads, self.hd) for z in self.qkv(x).chunk(3, -1))
        s = torch.einsum('bqhd,bkhd->bhqk', q, k) * self.hd ** -0.5
        s = s + torch.full((T, T), float('-inf'), dtype=x.dtype).triu(1)
        sink = self.sinks.view(1, -1, 1, 1).expand(B, -1, T, 1).to(s.dtype)
        w = torch.cat([s, sink], dim=-1).softmax(-1)[..., :-1]
        return self.out(torch.einsum('bhqk,bkhd->bqhd', w, v).reshape(B, T, D))
