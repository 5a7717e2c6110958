import torch
class Flash(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, causal):
        s = q @ k.mT / q.shape[-1] ** 0.5
        if causal:
            s = s.masked_fill(torch.ones(s.shape[-2:]).triu(1).bool(), float("-inf"))
        lse = s.logsumexp(-1, keepdim=True)
        o = (s - lse).exp() @ v
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.causal = causal
        return o
    @staticmethod
    def backward(ctx, do):
        q, k, v, o, lse = ctx.saved_tensors
        c = q.shape[-1] ** -0.5
        s = q @ k.mT * c
        if ctx.causal:
            s = s.masked_fill(torch.ones(s.shape[-2:]).triu(1).bool(), float("-inf"))
        p = (s - lse).exp()
        delta = (do * o).sum(-1, keepdim=True)
        ds = p * (do @ v.mT - delta) * c
        return ds @ k, ds.mT @ q, p.mT @ do, None
def flash_attention(q, k, v, causal=False):
    return Flash.apply(q, k, v, causal)
