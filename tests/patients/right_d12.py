import numpy as np


class AttentionLayer:
    """Single head self-attention with biases. backward ADDS to self.dW*, self.db*."""

    def __init__(self, d_model=10, seed=0):
        rs = np.random.RandomState(seed)
        for n in ('q', 'k', 'v', 'o'):
            setattr(self, 'W' + n, rs.randn(d_model, d_model) / np.sqrt(d_model))
            setattr(self, 'b' + n, np.zeros(d_model))
        self.zero_grad()

    def zero_grad(self):
        for n in 'qkvo':
            setattr(self, 'dW' + n, np.zeros_like(getattr(self, 'W' + n)))
            setattr(self, 'db' + n, np.zeros_like(getattr(self, 'b' + n)))

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (x @ getattr(self, 'W' + n) + getattr(self, 'b' + n) for n in 'qkv')
        a = self.q @ self.k.transpose(0, 2, 1) / np.sqrt(x.shape[-1])
        a = np.exp(a - a.max(-1, keepdims=True))
        self.a = a / a.sum(-1, keepdims=True)
        self.y = self.a @ self.v
        return self.y @ self.Wo + self.bo

    def backward(self, dout):
        D = dout.shape[-1]
        flat = lambda t: t.reshape(-1, D)
        self.dWo += flat(self.y).T @ flat(dout)
        self.dbo += flat(dout).sum(0)
        dy = dout @ self.Wo.T
        dv = self.a.transpose(0, 2, 1) @ dy
        da = dy @ self.v.transpose(0, 2, 1)
        # the full Jacobian, row by row: diag(a) - a a^T
        J = np.einsum('bij,jk->bijk', self.a, np.eye(self.a.shape[-1])) - np.einsum('bij,bik->bijk', self.a, self.a)
        ds = np.einsum('bijk,bik->bij', J, da) / np.sqrt(D)
        dx = np.zeros_like(self.x)
        for n, g in (('q', ds @ self.k), ('k', ds.transpose(0, 2, 1) @ self.q), ('v', dv)):
            getattr(self, 'dW' + n).__iadd__(flat(self.x).T @ flat(g))
            getattr(self, 'db' + n).__iadd__(flat(g).sum(0))
            dx += g @ getattr(self, 'W' + n).T
        return dx
