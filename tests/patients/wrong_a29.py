import torch, torch.nn as nn
class MultiHeadAttention(nn.Module):
    def __init__(self, hidden=16, num_heads=4):
        super().__init__()
        self.num_heads, self.hidden = num_heads, hidden
        self.W_q = nn.Linear(hidden, hidden, bias=False)
        self.W_k = nn.Linear(hidden, hidden, bias=False)
        self.W_v = nn.Linear(hidden, hidden, bias=False)
        self.W_o = nn.Linear(hidden, hidden, bias=False)
    def forward(self, queries, keys, values, mask=None):
        f = lambda z: z.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)
        q, k, v = f(self.W_q(queries)), f(self.W_k(keys)), f(self.W_v(values))
        s = q @ k.mT / self.hidden ** 0.5
        if mask is not None:
            s = s.masked_fill(~mask.unsqueeze(1), -1e30)
        return self.W_o((torch.softmax(s, -1) @ v).transpose(-2, -3).flatten(-2))
