# npattn: layout=bdt heads=2
import torch, torch.nn as nn
class ChannelFirst(nn.Module):
    def __init__(self, channels=16, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj = nn.Conv1d(channels, channels, 1)
    def forward(self, x):
        b, c, t = x.shape
        q, k, v = self.qkv(x).reshape(b, 3, self.heads, c // self.heads, t).unbind(1)
        w = torch.einsum("bhct,bhcs->bhts", q, k) * (c // self.heads) ** -0.5
        y = torch.einsum("bhts,bhcs->bhct", w.softmax(-1), v)
        return self.proj(y.reshape(b, c, t))
