import torch
import torch.nn as nn
import torch.nn.functional as F


class CachedCausalAttention(nn.Module):
    """Causal decoder attention. forward(x, cache) -> (y, cache); feed a sequence in any pieces."""

    def __init__(self, dim: int = 32, n_heads: int = 4):
        super().__init__()
        self.n_heads = n_heads
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cache=None):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, self.n_heads, -1).transpose(1, 2) for z in self.wqkv(x).split(C, -1))
        if cache is not None:
            k = torch.cat((cache[0], k), 2)
            v = torch.cat((cache[1], v), 2)
        # a single query sees everything; several need the causal mask
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
        return self.wo(y.transpose(1, 2).reshape(B, T, C)), (k, v)
