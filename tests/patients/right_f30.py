import torch
import torch.nn as nn
import torch.nn.functional as F
from typing import Optional


class MaskedMHA(nn.Module):
    """Same conventions as nn.MultiheadAttention(batch_first=True): in both boolean masks True hides."""

    def __init__(self, embed_dim: int, num_heads: int, bias: bool = True):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias)

    def forward(self, query, key, value, key_padding_mask: Optional[torch.Tensor] = None,
                attn_mask: Optional[torch.Tensor] = None):
        B, L, E = query.shape
        S = key.shape[1]
        view = lambda t: t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        hide = torch.zeros(B, 1, L, S, dtype=torch.bool, device=query.device)
        if attn_mask is not None:
            hide = hide | attn_mask
        if key_padding_mask is not None:
            hide = hide | key_padding_mask[:, None, None, :]
        q, k, v = view(self.q_proj(query)), view(self.k_proj(key)), view(self.v_proj(value))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=~hide)
        return self.out_proj(y.transpose(1, 2).flatten(2))
