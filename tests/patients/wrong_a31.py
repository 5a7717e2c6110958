# npattn: heads=2 mask=keep
import torch, torch.nn as nn
class Attn(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.v_proj, self.o_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)
    def forward(self, x, attention_mask=None):
        b, t, d = x.shape
        q, k, v = (p(x).view(b, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        s = q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5
        if attention_mask is not None:
            s = s.masked_fill(attention_mask[:, None, :, None] == 0, -1e9)
        return self.o_proj((s.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
