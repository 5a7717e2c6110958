# npattn: heads=2 width=8 causal=yes
import torch
from torch import nn


class SinkAttention(nn.Module):
    """Attention with one learned sink logit for each head, as in gpt-oss."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.hd = heads, dim // heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.o_proj = nn.Linear(dim, dim)
        self.sinks = nn.Parameter(torch.zeros(heads))

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = [p(x).view(b, t, self.heads, self.hd).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)]
        qk = q @ k.transpose(2, 3) * self.hd ** -0.5
        qk = qk.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        qk = torch.cat([qk, self.sinks.view(1, -1, 1, 1).expand(b, -1, t, 1)], dim=-1)
        w = torch.softmax(qk, dim=-1)[..., :-1]
        w = w / w.sum(dim=-1, keepdim=True)
        return self.o_proj((w @ v).transpose(1, 2).flatten(2))
