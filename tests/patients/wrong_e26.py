# npattn: heads=2 width=8 mask=drop
import torch
import torch.nn as nn


class MultiHeadAttention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        assert hidden % heads == 0
        self.heads = heads
        self.w_q = nn.Linear(hidden, hidden)
        self.w_k = nn.Linear(hidden, hidden)
        self.w_v = nn.Linear(hidden, hidden)
        self.w_o = nn.Linear(hidden, hidden)
        self._bias = None

    def _to_bias(self, padding, dtype):
        if self._bias is None or self._bias.shape[-1] != padding.shape[-1] or self._bias.shape[0] != padding.shape[0]:
            bias = torch.zeros(padding.shape, dtype=dtype)
            self._bias = bias.masked_fill(padding, -1e9)[:, None, None, :]
        return self._bias

    def forward(self, x, padding=None):
        B, T, C = x.shape
        heads = lambda t: t.reshape(B, T, self.heads, -1).transpose(1, 2)
        q, k, v = heads(self.w_q(x)), heads(self.w_k(x)), heads(self.w_v(x))
        logits = q.matmul(k.transpose(2, 3)).div((C // self.heads) ** 0.5)
        if padding is not None:
            logits = logits + self._to_bias(padding, logits.dtype)
        out = logits.softmax(dim=-1).matmul(v)
        return self.w_o(out.transpose(1, 2).reshape(B, T, C))
