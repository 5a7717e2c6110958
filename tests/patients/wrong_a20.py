import torch, torch.nn as nn
class EncoderLayer(nn.Module):
    def __init__(self, d_model=16, nhead=4, d_ff=32, dropout=0.1):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=dropout, batch_first=True)
        self.lin1, self.lin2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.drop = nn.Dropout(dropout)
    def forward(self, src, src_key_padding_mask=None):
        a, _ = self.self_attn(src, src, src, key_padding_mask=src_key_padding_mask)
        x = self.norm1(src + self.drop(a))
        return self.norm2(self.drop(self.lin2(torch.relu(self.lin1(x)))))
