# npattn: layout=tbd heads=4
import torch
import torch.nn as nn


class TimeFirstMHA(nn.Module):
    """(T, B, D) in and out, as fairseq; heads folded into the batch. Returns (y, mean weights)."""

    def __init__(self, embed_dim: int = 32, num_heads: int = 4, bias: bool = True):
        super().__init__()
        self.E, self.H, self.d = embed_dim, num_heads, embed_dim // num_heads
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, query, key, value):
        T, B, E = query.shape
        S = key.shape[0]
        q = (self.q_proj(query) * self.d ** -0.5).contiguous().view(T, B * self.H, self.d).transpose(0, 1)
        k = self.k_proj(key).contiguous().view(S, B * self.H, self.d).transpose(0, 1)
        v = self.v_proj(value).contiguous().view(S, B * self.H, self.d).transpose(0, 1)
        w = torch.bmm(q, k.transpose(1, 2)).softmax(-1)
        y = torch.bmm(w, v).transpose(0, 1).contiguous().view(T, B, E)
        return self.out_proj(y), w.view(B, self.H, T, S).mean(1)
