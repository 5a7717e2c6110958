import torch, torch.nn as nn
class TransformerLayer(nn.Module):
    def __init__(self, d_model=16, nhead=2):
        super().__init__()
        self.attn = nn.MultiheadAttention(d_model, nhead, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(d_model, 64), nn.ReLU(), nn.Linear(64, d_model))
        self.n1, self.n2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
    def forward(self, x, src_key_padding_mask=None):
        x = self.n1(x + self.attn(x, x, x)[0])
        return self.n2(x + self.ffn(x))
