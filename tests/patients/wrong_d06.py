import torch
from torch import nn


def exists(v):
    return v is not None


class CrossAttention(nn.Module):
    """Stable-diffusion style: attends to `context` if given, else to x itself."""

    def __init__(self, query_dim: int = 32, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.scale = (query_dim // heads) ** -0.5
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(query_dim, query_dim, bias=False)
        self.to_v = nn.Linear(query_dim, query_dim, bias=False)
        self.to_out = nn.Linear(query_dim, query_dim)

    def forward(self, x, context=None):
        ctx = context if exists(context) else x
        q, k, v = self.to_q(x), self.to_k(ctx), self.to_v(x)
        q, k, v = (t.reshape(*t.shape[:2], self.heads, -1).transpose(1, 2) for t in (q, k, v))
        sim = torch.einsum('b h i d, b h j d -> b h i j', q, k) * self.scale
        out = torch.einsum('b h i j, b h j d -> b h i d', sim.softmax(dim=-1), v)
        return self.to_out(out.transpose(1, 2).flatten(2))
