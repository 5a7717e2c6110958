# npattn: causal=yes heads=4
import torch, torch.nn as nn, torch.nn.functional as F
class GPTAttention(nn.Module):
    def __init__(self, n_embd=16, n_head=4):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.n_head = n_head
    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.training)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))
