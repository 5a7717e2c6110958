# npattn: heads=4 mask=keep
import torch
import torch.nn as nn


class BertSelfAttention(nn.Module):
    def __init__(self, hidden_size=32, num_attention_heads=4):
        super().__init__()
        self.nh = num_attention_heads
        self.hs = hidden_size // num_attention_heads
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.query_bias = nn.Parameter(torch.zeros(hidden_size))

    def heads(self, t):
        return t.unflatten(-1, (self.nh, self.hs)).transpose(1, 2)

    def forward(self, hidden_states, attention_mask=None):
        """attention_mask (B, T): 1 for real tokens, 0 for padding"""
        q = self.heads(self.query(hidden_states) * self.hs ** -0.5 + self.query_bias)
        k = self.heads(self.key(hidden_states))
        v = self.heads(self.value(hidden_states))
        scores = q @ k.transpose(-1, -2)
        if attention_mask is not None:
            ext = (1.0 - attention_mask[:, None, None, :].to(scores.dtype)) * -1.0
            scores = scores + ext
        ctx = scores.softmax(-1) @ v
        return self.dense(ctx.transpose(1, 2).flatten(2))
