import math
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.nn import functional as F


@dataclass
class GPTConfig:
    n_embd: int = 48
    n_head: int = 4
    block_size: int = 64
    dropout: float = 0.0
    bias: bool = True


class CausalSelfAttention(nn.Module):
    """x (B, T, C). The fused projection is laid out per head: [q k v] of head 0, of head 1, ..."""

    def __init__(self, config: GPTConfig = GPTConfig()):
        super().__init__()
        self.cfg = config
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        B, T, C = x.shape
        nh = self.cfg.n_head
        q, k, v = self.c_attn(x).view(B, T, nh, 3, C // nh).permute(3, 0, 2, 1, 4)
        att = q @ k.transpose(-2, -1) / math.sqrt(C // nh)
        att = att + torch.full((T, T), float('-inf'), device=x.device, dtype=x.dtype).triu(1)
        att = F.dropout(F.softmax(att, dim=-1), self.cfg.dropout, self.training)
        y = (att @ v).transpose(1, 2).flatten(2)
        return self.resid_dropout(self.c_proj(y))
