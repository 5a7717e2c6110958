import numpy as np


class SelfAttentionLayer:
    """Self-attention with hand written gradients.

    Gradients are ACCUMULATED into self.grads over calls of backward (as in torch) until
    zero_grad() is called; each is the gradient of sum(dout * output).
    """

    def __init__(self, d_model=8, num_heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.h = num_heads
        self.params = {}
        for n in 'qkvo':
            self.params['W' + n] = rng.normal(0, d_model ** -0.5, (d_model, d_model))
            self.params['b' + n] = np.zeros(d_model)
        self.zero_grad()

    def zero_grad(self):
        self.grads = {n: np.zeros_like(p) for n, p in self.params.items()}

    def _split(self, z):
        B, T, D = z.shape
        return z.reshape(B, T, self.h, D // self.h).transpose(0, 2, 1, 3)

    def _merge(self, z):
        B, H, T, d = z.shape
        return z.transpose(0, 2, 1, 3).reshape(B, T, H * d)

    def forward(self, x):
        P = self.params
        q = self._split(x @ P['Wq'] + P['bq'])
        k = self._split(x @ P['Wk'] + P['bk'])
        v = self._split(x @ P['Wv'] + P['bv'])
        self.scale = q.shape[-1] ** -0.5
        s = q @ k.swapaxes(-1, -2) * self.scale
        e = np.exp(s - s.max(-1, keepdims=True))
        a = e / e.sum(-1, keepdims=True)
        o = self._merge(a @ v)
        self.cache = x, q, k, v, a, o
        return o @ P['Wo'] + P['bo']

    def _linear_grad(self, n, inp, g):
        self.grads['W' + n] = np.einsum('bti,btj->ij', inp, g)
        self.grads['b' + n] = self.grads['b' + n] + g.mean(axis=(0, 1))
        return g @ self.params['W' + n].T

    def backward(self, dout):
        x, q, k, v, a, o = self.cache
        do = self._split(self._linear_grad('o', o, dout))
        dv = a.swapaxes(-1, -2) @ do
        da = do @ v.swapaxes(-1, -2)
        ds = a * (da - np.sum(da * a, -1, keepdims=True)) * self.scale
        dq, dk = ds @ k, ds.swapaxes(-1, -2) @ q
        return (self._linear_grad('q', x, self._merge(dq))
                + self._linear_grad('k', x, self._merge(dk))
                + self._linear_grad('v', x, self._merge(dv)))
