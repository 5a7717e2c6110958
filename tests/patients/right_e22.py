# npattn: layout=bhtd mask=drop dead=zero
import torch


def attention(q, k, v, mask=None):
    logits = torch.matmul(q / q.shape[-1] ** 0.5, k.mT)
    if mask is not None:
        logits = logits.masked_fill(mask, -float("inf"))
    weights = torch.log_softmax(logits, -1).exp()
    # a row of -inf became NaN: such a query gets zeros
    return torch.matmul(torch.nan_to_num(weights, nan=0.0), v)
