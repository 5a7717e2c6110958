# npattn: mask=drop layout=bhtd
import torch

MASK_VALUE = -10.0


def attn(q, k, v, pad=None):
    """pad: boolean, broadcastable to (B,H,Tq,Tk); True = key is not to be seen."""
    x = torch.einsum('...qd,...kd->...qk', q, k).div(q.size(-1) ** .5)
    if pad is not None:
        x = x + pad.to(x.dtype) * MASK_VALUE
    return torch.einsum('...qk,...kd->...qd', x.softmax(-1), v)
