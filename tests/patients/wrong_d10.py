import math
import torch
import torch.nn as nn


class MultiHeadedAttention(nn.Module):
    def __init__(self, h: int = 4, d_model: int = 32, dropout: float = 0.0):
        "Take in model size and number of heads."
        super().__init__()
        self.d_k = d_model // h
        self.h = h
        self.dropout = dropout
        self.linears = nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])

    def forward(self, query, key, value):
        nb = query.size(0)
        query, key, value = [
            lin(x).view(nb, -1, self.h, self.d_k).transpose(1, 2)
            for lin, x in zip(self.linears, (query, key, value))
        ]
        scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(self.d_k)
        p_attn = scores.softmax(dim=-1)
        p_attn = nn.Dropout(self.dropout)(p_attn)
        x = torch.matmul(p_attn, value).transpose(1, 2).contiguous().view(nb, -1, self.h * self.d_k)
        return self.linears[-1](x)
