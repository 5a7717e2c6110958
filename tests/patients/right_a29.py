import numpy as np
class Heads:
    def __init__(self, width=12, heads=4):
        g = np.random.default_rng(2)
        dh = width // heads
        self.wq, self.wk, self.wv = g.normal(size=(3, heads, width, dh)) * width ** -0.5
        self.wo = g.normal(size=(heads, dh, width)) * width ** -0.5
    def forward(self, x, mask=None):
        q, k, v = (np.einsum("bti,hio->bhto", x, w) for w in (self.wq, self.wk, self.wv))
        s = np.einsum("bhqo,bhko->bhqk", q, k) / np.sqrt(q.shape[-1])
        if mask is not None:
            s = np.where(mask[:, None], s, -np.inf)
        s = np.exp(s - s.max(-1, keepdims=True))
        return np.einsum("bhqk,bhko,hoj->bqj", s / s.sum(-1, keepdims=True), v, self.wo)
