# npattn: mask=lens heads=2
import torch
from torch import nn
import torch.nn.functional as F


class MultiHeadAttention(nn.Module):
    """多头注意力"""
    def __init__(self, num_hiddens=16, num_heads=2, bias=False):
        super().__init__()
        self.num_heads = num_heads
        self.W_q = nn.Linear(num_hiddens, num_hiddens, bias=bias)
        self.W_k = nn.Linear(num_hiddens, num_hiddens, bias=bias)
        self.W_v = nn.Linear(num_hiddens, num_hiddens, bias=bias)
        self.W_o = nn.Linear(num_hiddens, num_hiddens, bias=bias)

    def transpose_qkv(self, X):
        X = X.reshape(X.shape[0], X.shape[1], self.num_heads, -1).permute(0, 2, 1, 3)
        return X.reshape(-1, X.shape[2], X.shape[3])

    def forward(self, queries, keys, values, valid_lens=None):
        # valid_lens: (batch,)
        B = queries.shape[0]
        Q, K, V = (self.transpose_qkv(w(t)) for w, t in
                   ((self.W_q, queries), (self.W_k, keys), (self.W_v, values)))
        S = torch.bmm(Q, K.transpose(1, 2)) / Q.shape[-1] ** 0.5
        if valid_lens is not None:
            # 在轴0, 将每一项复制num_heads次
            lens = torch.cat([valid_lens] * self.num_heads)
            S = S.masked_fill(torch.arange(K.shape[1])[None, None] >= lens[:, None, None], -1e6)
        O = torch.bmm(F.softmax(S, -1), V)
        O = O.reshape(B, self.num_heads, O.shape[1], -1).permute(0, 2, 1, 3).reshape(B, O.shape[1], -1)
        return self.W_o(O)
