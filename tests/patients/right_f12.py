import torch
import torch.nn as nn
import torch.nn.functional as F


class TransformerEncoderBlock(nn.Module):
    """post-norm, as in Vaswani et al."""

    def __init__(self, d_model=32, nhead=4, dim_ff=64, p=0.1):
        super().__init__()
        self.nhead = nhead
        self.in_proj = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        self.linear1 = nn.Linear(d_model, dim_ff)
        self.linear2 = nn.Linear(dim_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.p = p

    def _drop(self, x):
        return F.dropout(x, self.p, self.training)

    def _sa(self, x, pad):
        B, T, C = x.shape
        q, k, v = self.in_proj(x).view(B, T, 3, self.nhead, -1).unbind(2)
        s = torch.einsum("bihc,bjhc->bijh", q, k) * (C // self.nhead) ** -0.5
        if pad is not None:
            s = s.masked_fill(pad[:, None, :, None], float("-inf"))
        w = self._drop(torch.softmax(s, dim=2))
        return self.out_proj(torch.einsum("bijh,bjhc->bihc", w, v).reshape(B, T, C))

    def forward(self, src, src_key_padding_mask=None):
        x = self.norm1(src + self._drop(self._sa(src, src_key_padding_mask)))
        return self.norm2(x + self._drop(self.linear2(self._drop(F.relu(self.linear1(x))))))
