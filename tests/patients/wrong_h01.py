import torch, torch.nn as nn
class SelfAttention(nn.Module):
    def __init__(self, d_model=32, nhead=4):
        super().__init__()
        self.nhead = nhead
        self.Wqkv = nn.Linear(d_model, 3 * d_model)
        self.Wo = nn.Linear(d_model, d_model)
        self.pad = None
    def forward(self, x, key_padding_mask=None):
        B, T, C = x.shape
        q, k, v = self.Wqkv(x).split(C, dim=2)
        q, k, v = (z.reshape(B, T, self.nhead, C // self.nhead).transpose(1, 2) for z in (q, k, v))
        if self.pad is None or self.pad.shape[0] != B:
            self.pad = key_padding_mask
        s = q @ k.transpose(2, 3) / (C // self.nhead) ** 0.5
        if self.pad is not None:
            s = s.masked_fill(self.pad[:, None, None, :], float("-inf"))
        return self.Wo((torch.softmax(s, -1) @ v).transpose(1, 2).reshape(B, T, C))
