import torch
import torch.nn as nn
import torch.nn.functional as F


def freqs_cis(dim, n, theta=10000.0):
    f = 1.0 / theta ** (torch.arange(0, dim, 2)[: dim // 2].float() / dim)
    f = torch.outer(torch.arange(n), f)
    return torch.polar(torch.ones_like(f), f)


def apply_rotary(x, fc):
    # x (B, T, H, D): neighbouring channels form a complex number, as in Meta's llama
    z = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(z * fc[None, :, None, :]).flatten(3).type_as(x)


class LlamaAttn(nn.Module):
    def __init__(self, dim: int = 32, n_heads: int = 4, causal: bool = True):
        super().__init__()
        self.n_heads, self.head_dim, self.causal = n_heads, dim // n_heads, causal
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        B, T, _ = x.shape
        xq, xk, xv = (w(x).view(B, T, self.n_heads, self.head_dim) for w in (self.wq, self.wk, self.wv))
        fc = freqs_cis(self.head_dim, T)
        xq, xk = apply_rotary(xq, fc), apply_rotary(xk, fc)
        y = F.scaled_dot_product_attention(xq.transpose(1, 2), xk.transpose(1, 2), xv.transpose(1, 2),
                                           is_causal=self.causal)
        return self.wo(y.transpose(1, 2).contiguous().view(B, T, -1))
