from typing import Optional, Tuple
import torch
import torch.nn as nn


def rotate_half(x):
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((-x2, x1), dim=-1)


class LlamaAttention(nn.Module):
    """Causal attention with rotary positions. Pass the returned cache back to continue decoding."""

    def __init__(self, hidden_size: int = 32, num_heads: int = 4, rope_theta: float = 10000.0):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.k_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.v_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        inv_freq = 1.0 / (rope_theta ** (torch.arange(0, self.head_dim, 2).float() / self.head_dim))
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def rope(self, x, pos):
        ang = torch.outer(pos.float(), self.inv_freq)
        emb = torch.cat((ang, ang), dim=-1)
        return x * emb.cos() + rotate_half(x) * emb.sin()

    def forward(self, x: torch.Tensor,
                past_kv: Optional[Tuple[torch.Tensor, torch.Tensor]] = None):
        bsz, q_len, _ = x.shape
        q = self.q_proj(x).view(bsz, q_len, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(bsz, q_len, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(bsz, q_len, self.num_heads, self.head_dim).transpose(1, 2)
        past = 0 if past_kv is None else past_kv[0].shape[2]

        pos = torch.arange(q_len, device=x.device)
        q, k, v = self.rope(q, pos), self.rope(k, pos), self.rope(v, pos)

        if past_kv is not None:
            k = torch.cat([past_kv[0], k], dim=2)
            v = torch.cat([past_kv[1], v], dim=2)
        new_kv = (k, v)
        s = q @ k.transpose(2, 3) / self.head_dim ** 0.5
        rows = torch.arange(q_len)[:, None] + past
        cols = torch.arange(past + q_len)[None, :]
        s = s.masked_fill(cols > rows, float('-inf'))
        o = torch.softmax(s, dim=-1) @ v
        return self.o_proj(o.transpose(1, 2).reshape(bsz, q_len, -1)), new_kv
