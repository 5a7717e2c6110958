from typing import Optional, Tuple
import torch
import torch.nn as nn
import torch.nn.functional as F


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], dim=-1)


class Attention(nn.Module):
    """Causal grouped-query attention with rotary embedding; returns (y, cache)."""

    def __init__(self, hidden_size: int = 32, num_heads: int = 4, num_kv_heads: int = 2, theta: float = 1e4):
        super().__init__()
        self.nq, self.nkv, self.hd = num_heads, num_kv_heads, hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, self.nq * self.hd, bias=False)
        self.k_proj = nn.Linear(hidden_size, self.nkv * self.hd, bias=False)
        self.v_proj = nn.Linear(hidden_size, self.nkv * self.hd, bias=False)
        self.o_proj = nn.Linear(self.nq * self.hd, hidden_size, bias=False)
        self.theta = theta

    def rope(self, x, offset):
        f = self.theta ** (-torch.arange(0, self.hd, 2, dtype=torch.float32) / self.hd)
        a = (offset + torch.arange(x.shape[2]))[:, None] * f
        a = torch.cat([a, a], -1)
        return x * a.cos() + rotate_half(x) * a.sin()

    def forward(self, x, cache: Optional[Tuple[torch.Tensor, torch.Tensor]] = None):
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.nq, self.hd).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.nkv, self.hd).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.nkv, self.hd).transpose(1, 2)
        if cache is not None:                    # keys are cached BEFORE the rotation
            k = torch.cat([cache[0], k], 2)
            v = torch.cat([cache[1], v], 2)
        cache = (k, v)
        S = k.shape[2]
        q, k = self.rope(q, S - T), self.rope(k, 0)
        q = q.view(B, self.nkv, self.nq // self.nkv, T, self.hd)
        s = torch.einsum('bgrtd,bgsd->bgrts', q, k) / self.hd ** 0.5
        s = s + torch.full((T, S), float('-inf')).triu(1 + S - T)
        y = torch.einsum('bgrts,bgsd->btgrd', s.softmax(-1), v)
        return self.o_proj(y.reshape(B, T, -1)), cache
