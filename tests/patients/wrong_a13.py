# npattn: heads=2 causal=yes rotary=half
import torch, torch.nn as nn
def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)
class RotaryAttention(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, dim * 3, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        dh = dim // heads
        self.register_buffer("freq", 10000.0 ** (-torch.arange(0, dh, 2).float() / dh))
    def forward(self, x):
        b, t, d = x.shape
        ang = torch.outer(torch.arange(t, device=x.device), self.freq)
        emb = torch.cat((ang, ang), -1).to(x.dtype)
        qkv = [z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.to_qkv(x).chunk(3, -1)]
        q, k, v = (z * emb.cos() + rotate_half(z) * emb.sin() for z in qkv)
        s = (q @ k.transpose(-1, -2)) * (d // self.heads) ** -0.5
        s = s + torch.full((t, t), float("-inf"), dtype=x.dtype).triu(1)
        o = s.softmax(-1) @ v
        return self.to_out(o.transpose(1, 2).reshape(b, t, d))
