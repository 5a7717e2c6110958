# npattn: layout=bthd mask=keep
import torch


def mha(q, k, v, mask=None):
    """q, k, v: (batch, time, head, channel). mask: True where attention is allowed."""
    logits = torch.einsum('nqhc,nkhc->nhqk', q, k) / q.size(3) ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, float('-inf'))
    weights = logits.softmax(dim=3)
    return torch.einsum('nhqk,nqhc->nqhc', weights, v)
