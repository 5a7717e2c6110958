# npattn: heads=2 mask=keep
import numpy as np

def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))

class PreLNEncoder:
    """GPT-2 like pre-norm block, parameters in a dict so that checkpoints can be loaded"""
    def __init__(self, n_embd=16, n_head=2, seed=3):
        r = np.random.default_rng(seed)
        w = lambda i, o: r.normal(size=(i, o)) / np.sqrt(i)
        self.n_head = n_head
        self.p = {
            'ln_1.g': np.ones(n_embd), 'ln_1.b': np.zeros(n_embd),
            'ln_2.g': np.ones(n_embd), 'ln_2.b': np.zeros(n_embd),
            'attn.w': w(n_embd, 3 * n_embd), 'attn.b': np.zeros(3 * n_embd),
            'proj.w': w(n_embd, n_embd), 'proj.b': np.zeros(n_embd),
            'fc.w': w(n_embd, 4 * n_embd), 'fc.b': np.zeros(4 * n_embd),
            'out.w': w(4 * n_embd, n_embd), 'out.b': np.zeros(n_embd),
        }

    def norm(self, x, name='ln_1'):
        mu, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return self.p[f'{name}.g'] * (x - mu) / np.sqrt(var + 1e-5) + self.p[f'{name}.b']

    def linear(self, x, name):
        return x @ self.p[f'{name}.w'] + self.p[f'{name}.b']

    def attn(self, x, mask):
        q, k, v = (np.stack(np.split(t, self.n_head, -1), 1) for t in np.split(self.linear(x, 'attn'), 3, -1))
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        if mask is not None:                       # (B, T) True = real token
            s = np.where(mask[:, None, None, :], s, -1e10)
        s = np.exp(s - s.max(-1, keepdims=True))
        o = s / s.sum(-1, keepdims=True) @ v
        return self.linear(np.concatenate(list(o.transpose(1, 0, 2, 3)), -1), 'proj')

    def __call__(self, x, mask=None):
        x = x + self.attn(self.norm(x), mask)
        return x + self.linear(gelu(self.linear(self.norm(x), 'fc')), 'out')
