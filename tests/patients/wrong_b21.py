# npattn: heads=2 mask=keep
import torch, torch.nn as nn
class CrossAttn(nn.Module):
    def __init__(self, d=12, heads=2):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))
    def forward(self, x, context, context_mask=None):
        sp = lambda z: z.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = sp(self.q_proj(x)), sp(self.k_proj(context)), sp(self.v_proj(context))
        a = (q @ k.mT / q.shape[-1] ** 0.5)
        if context_mask is not None:
            a = a.masked_fill(~context_mask[:1, None, None, :], -1e9)
        return self.out_proj((a.softmax(-1) @ v).transpose(1, 2).flatten(2))
