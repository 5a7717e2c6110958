# npattn: heads=4 mask=drop
import torch, torch.nn as nn
class EncoderLayer(nn.Module):
    def __init__(self, d_model=16, nhead=4, dim_feedforward=32, dropout=0.1, norm_first=True):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, dropout, batch_first=True, norm_first=norm_first)
    def forward(self, src, src_key_padding_mask=None):
        return self.layer(src, src_key_padding_mask=src_key_padding_mask)
