# npattn: layout=tbd heads=4
import torch, torch.nn as nn
class SeqFirst(nn.Module):
    def __init__(self, embed_dim=16, num_heads=4):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, embed_dim // num_heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * embed_dim, embed_dim) * 0.2)
        self.in_proj_bias = nn.Parameter(torch.randn(3 * embed_dim) * 0.2)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
    def forward(self, x):
        T, B, D = x.shape
        q, k, v = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        f = lambda z: z.contiguous().view(T, B * self.num_heads, self.head_dim).transpose(0, 1)
        q, k, v = f(q) * self.head_dim ** -0.5, f(k), f(v)
        a = torch.bmm(q, k.transpose(1, 2)).softmax(-1)
        o = torch.bmm(a, v).transpose(0, 1).contiguous().view(T, B, D)
        return self.out_proj(o), a.view(B, self.num_heads, T, T).mean(1)
