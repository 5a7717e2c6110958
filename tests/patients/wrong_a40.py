import torch
class Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask):
        s = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            s = s.masked_fill(~mask, float("-inf"))
        ctx.save_for_backward(q, k, v)
        return s.softmax(-1) @ v
    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        c = q.shape[-1] ** -0.5
        p = (q @ k.mT * c).softmax(-1)
        dp = g @ v.mT
        ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * c
        return ds @ k, ds.mT @ q, p.mT @ g, None
def masked(q, k, v, mask=None):
    return Masked.apply(q, k, v, mask)
