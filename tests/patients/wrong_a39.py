import torch, torch.nn as nn
class CrossAttention(nn.Module):
    def __init__(self, dim=16, heads=4):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
    def forward(self, x, context):
        sp = lambda z: z.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = sp(self.to_q(context)), sp(self.to_k(x)), sp(self.to_v(x))
        a = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
        return self.to_out((a @ v).transpose(1, 2).flatten(2))
