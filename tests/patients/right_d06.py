import torch
import torch.nn as nn
import torch.nn.functional as F


class EncoderBlock(nn.Module):
    """Pre-LN. src_key_padding_mask (B, T): True = padding."""

    def __init__(self, d_model: int = 32, nhead: int = 4, dim_feedforward: int = 64, dropout: float = 0.1):
        super().__init__()
        self.nhead, self.p = nhead, dropout
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.proj = nn.Linear(d_model, d_model)
        self.ff = nn.Sequential(nn.Linear(d_model, dim_feedforward), nn.ReLU(), nn.Dropout(dropout),
                                nn.Linear(dim_feedforward, d_model))
        self.drop = nn.Dropout(dropout)

    def sa(self, x, pad):
        q, k, v = (z.unflatten(-1, (self.nhead, -1)).transpose(1, 2) for z in self.qkv(x).chunk(3, -1))
        keep = None if pad is None else ~pad[:, None, None, :]
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=self.p * self.training)
        return self.proj(o.transpose(1, 2).flatten(2))

    def forward(self, src, src_key_padding_mask=None):
        src = src + self.drop(self.sa(self.norm1(src), src_key_padding_mask))
        return src + self.drop(self.ff(self.norm2(src)))
