import torch, torch.nn as nn
class CrossAttention(nn.Module):
    def __init__(self, dim=16, context_dim=10, heads=4, dim_head=8):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.scale = heads, dim_head ** -0.5
        self.to_q = nn.Linear(dim, inner)
        self.to_kv = nn.Linear(context_dim, 2 * inner)
        self.to_out = nn.Linear(inner, dim)
    def forward(self, x, context, mask=None):
        k, v = self.to_kv(context).chunk(2, dim=-1)
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in (self.to_q(x), k, v))
        sim = q @ k.mT * self.scale
        if mask is not None:
            sim = sim.masked_fill(~mask[:, None, None, :], -torch.finfo(sim.dtype).max)
        return self.to_out((sim.softmax(-1) @ v).transpose(1, 2).flatten(2))
