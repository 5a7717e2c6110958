# npattn: mask=drop heads=2 layout=btd
import torch, torch.nn as nn
class Wrap(nn.Module):
    def __init__(self, d=12):
        super().__init__()
        self.m = nn.MultiheadAttention(d, 2, dropout=0.1)
    def forward(self, q, k, v, key_padding_mask=None):
        o, w = self.m(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), key_padding_mask=key_padding_mask)
        return o.transpose(0, 1), w
