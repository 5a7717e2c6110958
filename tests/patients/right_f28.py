import numpy as np


class EncoderDecoderAttention:
    """x attends to memory; memory_lens (B,) says how many memory tokens are real"""

    def __init__(self, d_model=16, n_heads=2, seed=9):
        rng = np.random.default_rng(seed)
        self.n_heads = n_heads
        self.wq, self.wk, self.wv, self.wo = (rng.normal(0, d_model ** -0.5, (d_model, d_model)) for _ in "qkvo")
        self.bq, self.bk, self.bv, self.bo = (np.zeros(d_model) for _ in "qkvo")

    def __call__(self, x, memory, memory_lens=None):
        cols = np.split(np.arange(x.shape[-1]), self.n_heads)
        Q, K, V = x @ self.wq + self.bq, memory @ self.wk + self.bk, memory @ self.wv + self.bv
        y = np.zeros_like(Q)
        for i in range(len(x)):                    # item by item: only the real tokens are touched
            n = memory.shape[1] if memory_lens is None else int(memory_lens[i])
            for c in cols:
                s = Q[i][:, c] @ K[i, :n][:, c].T / len(c) ** 0.5
                s = np.exp(s - s.max(1, keepdims=True))
                y[i][:, c] = s / s.sum(1, keepdims=True) @ V[i, :n][:, c]
        return y @ self.wo + self.bo
