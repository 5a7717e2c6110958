import torch
from torch import nn


def rope(x, pos, base=10000.0):
    d = x.shape[-1]
    f = base ** (-torch.arange(0, d, 2, dtype=x.dtype, device=x.device) / d)
    a = pos[:, None] * f
    c, s = a.cos().repeat(1, 2), a.sin().repeat(1, 2)
    h = torch.cat((-x[..., d // 2:], x[..., :d // 2]), -1)
    return x * c + h * s


class Llama(nn.Module):
    def __init__(self, hidden_size=32, num_heads=4, num_key_value_heads=2):
        super().__init__()
        self.h, self.g, self.d = num_heads, num_key_value_heads, hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.k_proj = nn.Linear(hidden_size, self.g * self.d, bias=False)
        self.v_proj = nn.Linear(hidden_size, self.g * self.d, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, past=None):
        B, T, _ = x.shape
        n = 0 if past is None else past[0].shape[2]
        pos = torch.arange(n, n + T, device=x.device, dtype=x.dtype)
        q = rope(self.q_proj(x).view(B, T, self.h, self.d).transpose(1, 2), pos)
        k = self.k_proj(x).view(B, T, self.g, self.d).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.g, self.d).transpose(1, 2)
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        present = (k, v)
        k = rope(k, torch.arange(T, n + 2 * T - T + T - T, device=x.device, dtype=x.dtype) if False else torch.arange(k.shape[2], device=x.device, dtype=x.dtype))
        k, v = (t.repeat_interleave(self.h // self.g, 1) for t in (k, v))
        s = q @ k.mT / self.d ** 0.5
        m = torch.ones(T, k.shape[2], dtype=torch.bool, device=x.device).tril(n)
        s = s.masked_fill(~m, float("-inf"))
        return self.o_proj((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)), present
