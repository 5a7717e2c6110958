import math
import torch
import torch.nn as nn


class MultiHeadAttention(nn.Module):
    """Multi-head self attention, (B, T, D) -> (B, T, D)."""

    def __init__(self, d_model: int = 32, num_heads: int = 4):
        super().__init__()
        assert d_model % num_heads == 0
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.W_q = nn.Linear(d_model, d_model)
        self.W_k = nn.Linear(d_model, d_model)
        self.W_v = nn.Linear(d_model, d_model)
        self.W_o = nn.Linear(d_model, d_model)

    def split_heads(self, x):
        b, t, _ = x.size()
        return x.view(b, t, self.num_heads, self.d_k).transpose(1, 2)

    def combine_heads(self, x):
        b, h, t, d = x.size()
        return x.transpose(1, 2).contiguous().view(b, t, h * d)

    def forward(self, x):
        Q = self.split_heads(self.W_q(x))
        K = self.split_heads(self.W_k(x))
        V = self.split_heads(self.W_v(x))
        scores = torch.matmul(Q, K.transpose(-2, -1)) / math.sqrt(x.size(-1))
        probs = torch.softmax(scores, dim=-1)
        return self.W_o(self.combine_heads(torch.matmul(probs, V)))
