import torch, torch.nn as nn
class Attn(nn.Module):
    def __init__(self, dim=16, n_heads=4):
        super().__init__()
        self.n = n_heads
        self.wqkv = nn.Linear(dim, 3 * dim)
        self.wo = nn.Linear(dim, dim)
    def forward(self, x, is_causal=False):
        B, T, C = x.shape
        q, k, v = self.wqkv(x).view(B, T, 3, self.n, C // self.n).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
        return self.wo(y.reshape(B, T, C))
