import numpy as np


class MultiHeadAttentionNP:
    def __init__(self, embed_dim: int = 16, num_heads: int = 4):
        rng = np.random.default_rng(123)
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        k = 1 / np.sqrt(embed_dim)
        self.q_w = rng.uniform(-k, k, (embed_dim, embed_dim))
        self.k_w = rng.uniform(-k, k, (embed_dim, embed_dim))
        self.v_w = rng.uniform(-k, k, (embed_dim, embed_dim))
        self.o_w = rng.uniform(-k, k, (embed_dim, embed_dim))
        self.q_b = np.zeros(embed_dim); self.k_b = np.zeros(embed_dim)
        self.v_b = np.zeros(embed_dim); self.o_b = np.zeros(embed_dim)

    def forward(self, query, key, value):
        b = query.shape[0]
        hd, nh = self.head_dim, self.num_heads
        q = (query @ self.q_w + self.q_b).reshape(b, nh, -1, hd)
        k = (key @ self.k_w + self.k_b).reshape(b, nh, -1, hd)
        v = (value @ self.v_w + self.v_b).reshape(b, nh, -1, hd)
        scores = np.einsum("bhqd,bhkd->bhqk", q, k) / np.sqrt(hd)
        scores -= scores.max(axis=-1, keepdims=True)
        probs = np.exp(scores)
        probs /= probs.sum(axis=-1, keepdims=True)
        ctx = np.einsum("bhqk,bhkd->bhqd", probs, v)
        ctx = ctx.reshape(b, -1, nh * hd)
        return ctx @ self.o_w + self.o_b

    __call__ = forward
