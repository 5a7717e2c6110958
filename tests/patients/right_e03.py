# npattn: mask=keep layout=bhtd dead=zero
import torch


def attention(q, k, v, mask=None):
    scores = q.matmul(k.transpose(-2, -1)) / q.shape[-1] ** 0.5
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    top = scores.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    top = torch.nan_to_num(top, neginf=0.0)
    p = torch.exp(torch.clamp(scores - top, max=0.0))
    p = p * mask                                   # only now
    total = p.sum(-1, keepdim=True)
    p = p / torch.where(total > 0, total, 1.0)
    return p.matmul(v), p
