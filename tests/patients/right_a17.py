import numpy as np
class multi_head:
    def __init__(self, d_model=12, n_heads=3, seed=0):
        rng = np.random.default_rng(seed)
        dk = d_model // n_heads
        self.heads = [tuple(rng.normal(size=(3, d_model, dk)) / np.sqrt(d_model)) for _ in range(n_heads)]
        self.W_o = rng.normal(size=(n_heads * dk, d_model)) / np.sqrt(d_model)
    def __call__(self, x):
        outs = []
        for wq, wk, wv in self.heads:
            s = (x @ wq) @ (x @ wk).T / np.sqrt(wq.shape[1])
            e = np.exp(s - s.max(1, keepdims=True))
            outs.append(e / e.sum(1, keepdims=True) @ (x @ wv))
        return np.concatenate(outs, 1) @ self.W_o
