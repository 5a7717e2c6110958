import torch
import torch.nn as nn


class SinkAttention(nn.Module):
    """gpt-oss style: one learned sink logit per head joins the softmax and is thrown away"""

    def __init__(self, hidden=32, heads=4):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(hidden, hidden)
        self.k_proj = nn.Linear(hidden, hidden)
        self.v_proj = nn.Linear(hidden, hidden)
        self.o_proj = nn.Linear(hidden, hidden)
        self.sinks = nn.Parameter(torch.zeros(heads))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p(x).view(b, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        qk = q @ k.mT * q.shape[-1] ** -0.5
        qk = qk.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        s = self.sinks.view(1, -1, 1, 1).expand(b, -1, t, 1)
        w = torch.cat([qk, s], dim=-1).softmax(-1)[..., :-1]
        return self.o_proj((w @ v).transpose(1, 2).reshape(b, t, c))
