# npattn: heads=1 width=6
import numpy as np


class SelfAttn:
    """One head, no output projection."""

    def __init__(self, n_in=6, n_hid=6, seed=3):
        r = np.random.RandomState(seed)
        self.wq, self.wk, self.wv = [r.randn(n_hid, n_in) * n_in ** -0.5 for _ in "qkv"]

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = x @ self.wq.T, x @ self.wk.T, x @ self.wv.T
        self.c = self.q.shape[-1] ** -0.5
        s = np.einsum("nid,njd->nij", self.q, self.k) * self.c
        s = np.exp(s - s.max(axis=2, keepdims=True))
        self.p = s / s.sum(axis=2, keepdims=True)
        return np.einsum("nij,njd->nid", self.p, self.v)

    def backward(self, dy):
        dv = np.einsum("nij,nid->njd", self.p, dy)
        dp = np.einsum("nid,njd->nij", dy, self.v)
        ds = self.p * (dp - (dp * self.p).sum(axis=2, keepdims=True)) * self.c
        dq = np.einsum("nij,njd->nid", ds, self.k)
        dk = np.einsum("nij,nid->njd", ds, self.q)
        self.dwq = np.einsum("nti,ntj->ij", dq, self.x)
        self.dwk = np.einsum("nti,ntj->ij", dk, self.x)
        self.dwv = np.einsum("nti,ntj->ij", dv, self.x)
        dx = dq @ self.wq
        dx += dk @ self.wk
        return dx
