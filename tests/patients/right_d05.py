import numpy as np


class PerHeadWeights:
    """Weights are held per head: Wq, Wk, Wv (H, D, d) and Wo (H, d, D). x (T, D) or (B, T, D)."""

    def __init__(self, d_model=16, n_head=4, seed=0):
        rng = np.random.default_rng(seed)
        d = d_model // n_head
        self.Wq, self.Wk, self.Wv = rng.normal(0, d_model ** -.5, (3, n_head, d_model, d))
        self.Wo = rng.normal(0, d_model ** -.5, (n_head, d, d_model))

    def __call__(self, x):
        q = np.einsum('...tm,hmd->...htd', x, self.Wq)
        k = np.einsum('...tm,hmd->...htd', x, self.Wk)
        s = np.einsum('...hid,...hjd->...hij', q, k) / np.sqrt(q.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        s = s / s.sum(-1, keepdims=True)
        # mix the tokens first, project afterwards: (A x) Wv Wo
        mixed = np.einsum('...hij,...jm->...him', s, x)
        return np.einsum('...him,hmd,hde->...ie', mixed, self.Wv, self.Wo)
