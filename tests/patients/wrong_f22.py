import torch
import torch.nn as nn


class ScaledDotProductAttention(nn.Module):
    """ Scaled Dot-Product Attention """

    def __init__(self, temperature=None, attn_dropout=0.0):
        super().__init__()
        self.temperature = temperature
        self.dropout = nn.Dropout(attn_dropout)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, q, k, v, mask=None):
        # mask: bool, True = may attend
        t = self.temperature or q.size(-1) ** 0.5
        attn = torch.matmul(q / t, k.transpose(-2, -1))
        attn = self.softmax(attn)
        if mask is not None:
            attn = attn.masked_fill(~mask, 0.0)
        attn = self.dropout(attn)
        output = torch.matmul(attn, v)
        return output, attn
