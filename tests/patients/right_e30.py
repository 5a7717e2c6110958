# npattn: mask=lens layout=btd
import torch


def ragged_attention(q, k, v, lengths=None):
    """No mask at all: each sentence's padding is cut off before the product."""
    if lengths is None:
        lengths = [k.shape[1]] * k.shape[0]
    rows = []
    for qi, ki, vi, n in zip(q, k, v, lengths):
        n = int(n)
        w = torch.softmax(qi @ ki[:n].T * qi.shape[-1] ** -0.5, dim=-1)
        rows.append(w @ vi[:n])
    return torch.stack(rows)
