# npattn: layout=bhtd mask=keep
import torch


class Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask=None):
        ctx.c = q.shape[-1] ** -0.25
        s = (q * ctx.c) @ (k * ctx.c).mT
        if mask is not None:
            s = s.masked_fill(~mask, -1e30)
        p = s.softmax(-1)
        ctx.save_for_backward(q, k, v, p)
        return p @ v

    @staticmethod
    def backward(ctx, g):
        q, k, v, p = ctx.saved_tensors
        gp = g @ v.mT
        # the same as p * (gp - rowsum), with the row sum as a batched product
        gs = torch.addcmul(p * gp, p, (p.unsqueeze(-2) @ gp.unsqueeze(-1)).squeeze(-1), value=-1.0)
        gs = gs * ctx.c ** 2
        return gs @ k, (q.mT @ gs).mT, p.mT @ g, None
