import torch
import torch.nn as nn


class ALiBiAttention(nn.Module):
    """Causal attention with ALiBi. The bias is slope * j (position of the key), which differs from
    -slope * (i - j) only by a constant in each row, so softmax does not see it."""

    def __init__(self, embed_dim: int = 32, num_heads: int = 4):
        super().__init__()
        self.h = num_heads
        self.in_proj = nn.Linear(embed_dim, 3 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        slopes = 2.0 ** (-8.0 / num_heads * torch.arange(1, num_heads + 1))
        self.register_buffer('slopes', slopes.view(num_heads, 1, 1))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.in_proj(x).view(B, T, 3, self.h, D // self.h).permute(2, 0, 3, 1, 4)
        pos = torch.arange(T, device=x.device)
        s = q @ k.transpose(-1, -2) / (D // self.h) ** 0.5 + self.slopes * pos
        s = s.masked_fill(pos[None, :] > pos[:, None], float('-inf'))
        return self.out_proj((s.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
