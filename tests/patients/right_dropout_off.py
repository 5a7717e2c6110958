import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.drop = nn.Dropout(p)

    def forward(self, q, k, v, key_padding_mask=None):
        """key_padding_mask: (B, Tk), True for padding."""
        s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if key_padding_mask is not None:
            s = s.masked_fill(key_padding_mask[:, None, :], torch.finfo(s.dtype).min)
        return self.drop(s.softmax(-1)) @ v
