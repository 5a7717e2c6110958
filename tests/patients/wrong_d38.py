import torch
import torch.nn as nn


class TransformerEncoderLayer(nn.Module):
    """Post-norm encoder layer with two layer norms of its own, one for each sub-layer."""

    def __init__(self, d_model: int = 32, nhead: int = 4, dim_feedforward: int = 64, dropout: float = 0.0):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=dropout, batch_first=True)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.drop = nn.Dropout(dropout)

    def forward(self, src, src_key_padding_mask=None):
        a, _ = self.self_attn(src, src, src, key_padding_mask=src_key_padding_mask)
        src = self.norm1(src + self.drop(a))
        f = self.linear2(torch.relu(self.linear1(src)))
        return self.norm1(src + self.drop(f))
