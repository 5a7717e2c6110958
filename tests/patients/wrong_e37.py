# npattn: heads=2 width=8 causal=yes corner=lower
import torch
from torch import nn


class DecoderAttention(nn.Module):
    def __init__(self, d_model, n_head):
        super().__init__()
        self.n_head = n_head
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.o = nn.Linear(d_model, d_model)

    def forward(self, x, past_key_value=None):
        B, T, C = x.shape
        shape = lambda t: t.view(B, -1, self.n_head, C // self.n_head).transpose(1, 2)
        q, k, v = shape(self.q(x)), shape(self.k(x)), shape(self.v(x))
        if past_key_value is not None:
            old_k, old_v = past_key_value
            k = torch.cat([old_k, k], 2)
            v = torch.cat([old_v, v], 2)
        S = k.shape[2]
        w = q @ k.transpose(2, 3) / (C // self.n_head) ** 0.5
        w = w + torch.full((T, S), float("-inf"), dtype=w.dtype).triu(S - T + 1)
        y = w.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(B, T, C)), (v, k)
