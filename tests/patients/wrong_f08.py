# npattn: heads=2 rotary=half causal=yes
import torch
import torch.nn as nn

def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)

class RotaryAttention(nn.Module):
    def __init__(self, hidden=16, heads=2, base=10000.0):
        super().__init__()
        self.heads, self.hd = heads, hidden // heads
        self.q_proj = nn.Linear(hidden, hidden, bias=False)
        self.k_proj = nn.Linear(hidden, hidden, bias=False)
        self.v_proj = nn.Linear(hidden, hidden, bias=False)
        self.o_proj = nn.Linear(hidden, hidden, bias=False)
        inv = 1.0 / base ** (torch.arange(0, self.hd, 2).double() / self.hd)
        self.register_buffer("inv_freq", inv, persistent=False)

    def rope(self, x):
        t = torch.arange(x.shape[2], device=x.device, dtype=self.inv_freq.dtype)
        ang = torch.outer(t, self.inv_freq)
        ang = torch.cat((ang, ang), -1)
        return x * ang.cos().to(x.dtype) + rotate_half(x) * ang.sin().to(x.dtype)

    def forward(self, x, past_key_value=None, use_cache=False):
        B, L, _ = x.shape
        shp = lambda t: t.view(B, L, self.heads, self.hd).transpose(1, 2)
        q, k, v = shp(self.q_proj(x)), shp(self.k_proj(x)), shp(self.v_proj(x))
        q, k = self.rope(q), self.rope(k)
        if past_key_value is not None:
            k = torch.cat([past_key_value[0], k], 2)
            v = torch.cat([past_key_value[1], v], 2)
        S = k.shape[2]
        w = q @ k.transpose(2, 3) / self.hd ** 0.5
        w = w + torch.full((L, S), float("-inf"), dtype=w.dtype, device=w.device).triu(S - L + 1)
        o = (w.softmax(-1) @ v).transpose(1, 2).reshape(B, L, -1)
        o = self.o_proj(o)
        return (o, (k, v)) if use_cache else o
