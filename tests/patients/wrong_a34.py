# npattn: heads=2 mask=keep layout=btd
import torch, torch.nn as nn
class Pool(nn.Module):
    def __init__(self, d=12):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, 2, batch_first=True)
    def forward(self, x, pad_mask=None):
        return self.attn(x, x, x, key_padding_mask=pad_mask, need_weights=False)[0]
