# npattn: mask=drop layout=bhtd
import torch


def attend(q, k, v, mask=None, *, causal=False):
    """
    mask: bool, True = blocked. With causal=True the last query lines up with the last key.
    A row in which everything is blocked falls back to the plain mean of the values.
    """
    s = q @ k.transpose(-1, -2) / (q.shape[-1] ** 0.5)
    block = torch.zeros(s.shape, dtype=torch.bool)
    if causal:
        block = block | torch.ones(s.shape[-2:], dtype=torch.bool).triu(1 + s.shape[-1] - s.shape[-2])
    if mask is not None:
        block = block | mask
    return torch.softmax(torch.where(block, torch.finfo(s.dtype).min, s), dim=-1) @ v
