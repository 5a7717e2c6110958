# npattn: layout=bhtd rotary=half causal=no
import torch

def rotate_half(x):
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-x2, x1), dim=-1)

def apply_and_attend(q, k, v):
    """rotary embedding on q and k, then softmax attention. shapes (B, H, T, D)"""
    T, D = q.shape[-2:]
    freqs = 10000 ** (-torch.arange(0, D, 2, dtype=torch.float32) / D)
    ang = torch.arange(T, dtype=torch.float32)[:, None] * freqs
    ang = ang.repeat_interleave(2, dim=-1)
    cos, sin = ang.cos().to(q.dtype), ang.sin().to(q.dtype)
    q = q * cos + rotate_half(q) * sin
    k = k * cos + rotate_half(k) * sin
    return torch.softmax(q @ k.transpose(-1, -2) / D ** 0.5, -1) @ v
