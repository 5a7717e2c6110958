# npattn: heads=2 mask=keep
import torch, torch.nn as nn
class MHA(nn.Module):
    def __init__(self, d=12, h=2):
        super().__init__()
        self.h = h
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(d, d) for _ in range(4))
    def forward(self, q, k, v, mask=None):
        sp = lambda z: z.unflatten(-1, (self.h, -1)).transpose(1, 2)
        q, k, v = sp(self.wq(q)), sp(self.wk(k)), sp(self.wv(v))
        s = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None and not self.training:
            s = s.masked_fill(~mask[:, None], float("-inf"))
        return self.wo((s.softmax(-1) @ v).transpose(1, 2).flatten(2))
