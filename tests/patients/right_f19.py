import torch
import torch.nn as nn


class MultiQueryAttention(nn.Module):
    """Shazeer 2019: many query heads, one key/value head. Parameters are kept per head."""

    def __init__(self, d=32, h=4):
        super().__init__()
        k = d // h
        self.P_q = nn.Parameter(torch.randn(h, d, k) * d ** -0.5)
        self.P_k = nn.Parameter(torch.randn(d, k) * d ** -0.5)
        self.P_v = nn.Parameter(torch.randn(d, k) * d ** -0.5)
        self.P_o = nn.Parameter(torch.randn(h, d, k) * d ** -0.5)

    def forward(self, X, mask=None):
        # mask: float (n, m), added
        Q = torch.einsum("bnd,hdk->bhnk", X, self.P_q)
        K = torch.einsum("bmd,dk->bmk", X, self.P_k)
        V = torch.einsum("bmd,dv->bmv", X, self.P_v)
        logits = torch.einsum("bhnk,bmk->bhnm", Q, K) / K.shape[-1] ** 0.5
        if mask is not None:
            logits = logits + mask
        O = torch.einsum("bhnm,bmv->bhnv", logits.softmax(-1), V)
        return torch.einsum("bhnv,hdv->bnd", O, self.P_o)
