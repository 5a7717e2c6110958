# npattn: heads=2
import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


class MultiHead:
    def __init__(self, d=8, num_heads=2):
        self.h = num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = np.random.default_rng(0).normal(size=(4, d, d)) / 3

    def fold(self, X):
        B, T, D = X.shape
        X = X.reshape(B, T, self.h, -1).transpose(0, 2, 1, 3)
        return X.reshape(B * self.h, T, -1)

    def forward(self, queries, keys, values, valid_lens=None):
        Q, K, V = (self.fold(X) for X in (queries @ self.W_q, keys @ self.W_k, values @ self.W_v))
        S = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
        if valid_lens is not None:
            lens = np.tile(valid_lens, self.h)
            S = np.where(np.arange(S.shape[-1]) < lens[:, None, None], S, -1e6)
        O = softmax(S) @ V
        B, T = queries.shape[:2]
        return O.reshape(B, self.h, T, -1).transpose(0, 2, 1, 3).reshape(B, T, -1) @ self.W_o
