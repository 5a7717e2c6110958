# npattn: mask=keep layout=bhtd
import torch
import torch.nn.functional as F


def attention(q, k, v, mask=None, causal=False):
    """
    mask   : bool, broadcastable to (B,H,Tq,Tk), True = may be attended
    causal : additionally forbid looking ahead
    """
    tq, tk = q.size(-2), k.size(-2)
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    keep = None
    if causal:
        keep = torch.ones(tq, tk, dtype=torch.bool, device=q.device).tril(tk - tq)
    elif mask is not None:
        keep = mask
    if keep is not None:
        scores = scores.masked_fill(~keep, torch.finfo(scores.dtype).min)
    return F.softmax(scores, dim=-1) @ v
