# npattn: mask=drop layout=btd dead=nan
import math
import torch


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """A query whose keys are all masked has no answer: it is NaN on purpose."""
    w = torch.baddbmm(torch.zeros(1, dtype=q.dtype), q, k.transpose(1, 2), alpha=1 / math.sqrt(q.size(2)))
    if mask is not None:
        w = w.masked_fill(mask, -math.inf)
    return torch.bmm(w.softmax(2), v)
