import torch, torch.nn as nn
class Attention(nn.Module):
    def __init__(self, dim=32, num_heads=4):
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(dim, dim); self.to_k = nn.Linear(dim, dim); self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.Linear(dim, dim)
    def forward(self, x, context):
        B, N, C = x.shape
        M = context.shape[1]
        H = self.num_heads
        q = self.to_q(x).view(B, N, H, C // H).permute(0, 2, 1, 3)
        k = self.to_k(context).view(B, M, H, C // H).permute(0, 2, 1, 3)
        v = self.to_v(context).view(B, H, M, C // H)
        attn = torch.softmax(q @ k.transpose(-2, -1) * (C // H) ** -0.5, dim=-1)
        return self.to_out((attn @ v).permute(0, 2, 1, 3).reshape(B, N, C))
